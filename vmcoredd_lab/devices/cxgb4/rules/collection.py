"""Whether the adapter answered, and what its collection could not get (status codes: cudbg_lib_common.h)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from vmcoredd_lab.devices.cxgb4.container import EntityHeader
from vmcoredd_lab.devices.cxgb4.declared import declared
from vmcoredd_lab.devices.cxgb4.entity_names import entity_description, entity_name
from vmcoredd_lab.devices.cxgb4.firmware import PCIE_FW
from vmcoredd_lab.devices.cxgb4.rules.case import PL_WHOAMI, AdapterCase
from vmcoredd_lab.devices.cxgb4.structs import ENTITY_HDR
from vmcoredd_lab.rules import DeclaredRule, Evidence, Match, NotEvaluableError
from vmcoredd_lab.text import plural

__all__ = ["FUNCTIONS"]

ONES, BLOCKED = 0xFFFFFFFF, 0xEEEEEEEE
REG_DUMP_SIZE = {"T4": 160 << 10, "T5": 332 << 10, "T6": 332 << 10}  # T4_REGMAP_SIZE, T5_REGMAP_SIZE, cxgb4.h
NO_SPACE, NOT_THERE, NOT_FOR_CHIP, NO_CLOCK = -19, -24, -28, -32
EINVAL = -22
MEMORIES = (18, 19, 20, 21, 68)
THROUGH_WINDOW = (*MEMORIES, 2)  # DEV_LOG too is read through the memory window
MEMORY_READ = 64 << 20  # bytes of an image that are looked at; a memory as large as this holds something somewhere
LARGE = (*MEMORIES, 70)
FLASH = 71
CIM = (3, 4, 5, *range(6, 18), 47, 48, 64, 65)
BUSY = (-16, -11, -110)
ALWAYS = (1, 2, 3, 5, 18, 19, 36, 37, 44, 55, 56, 57, 58)  # what a whole dump of any chip has


def _share(case: AdapterCase, pattern: int) -> float:
    dump = case.raw_registers
    known = dump.values[~dump.missing]
    return float((known == pattern).mean()) if len(known) else 0.0


def _answer(case: AdapterCase, pattern: int, least: float) -> Iterable[Match]:
    """Return a match where registers read as a pattern that nothing in the chip answers with."""
    dump, share = case.raw_registers, _share(case, pattern)
    first = [a for a in (PL_WHOAMI, PCIE_FW) if dump.value(a) == pattern]
    if share < least and PL_WHOAMI not in first:
        return
    if not first:
        first = dump.table.addresses[(dump.values == pattern) & ~dump.missing][:1].tolist()
    names = {PL_WHOAMI: "PL_WHOAMI", PCIE_FW: "PCIE_FW"}
    evidence = tuple(case.word(a, names.get(a, f"register {a:#x}"), pattern) for a in first)
    yield Match(evidence, value=f"{share:.0%} of the collected registers read as {pattern:#x}")


def bus_gone(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """Nearly all registers read as ones: no read reached the adapter."""
    return _answer(case, ONES, 0.9)


def access_blocked(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """Registers read as the pattern that the chip gives while access is blocked."""
    return _answer(case, BLOCKED, 0.05)


def config_gone(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """The configuration space reads as ones."""
    values = np.asarray(case.table("pcie_config").columns["value"], np.int64)
    if len(values) and int(values[0]) == ONES:
        yield Match((case.row("pcie_config", 0, f"PCIE_DEVID_VENID = {ONES:#x}"),), value=f"{ONES:#x}")


def _blocks(case: AdapterCase, value: int, least: int) -> list[tuple[str, int, int]]:
    """Return name, first address and size of the blocks whose every collected word has a value."""
    dump = case.registers
    table = dump.table
    found = []
    for code, name in enumerate(table.blocks.categories):
        at = np.flatnonzero((table.blocks.codes == code) & ~dump.missing)
        if len(at) >= least and (dump.values[at] == value).all():
            found.append((name, int(table.addresses[at[0]]), len(at)))
    return found


def block_of_ones(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """One block never answers."""
    blocks = _blocks(case, ONES, 4)
    if blocks:
        names = ", ".join(name for name, *_ in blocks[:4])
        yield Match(tuple(case.word(a, f"the first of {n} words of {name}") for name, a, n in blocks),
                    title=f"{rule.title}: {names}", value=str(len(blocks)))  # fmt: skip


def block_of_zeros(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """A block of the chip that reads as zero."""
    blocks = _blocks(case, 0, 8)
    if blocks:
        names = ", ".join(name for name, *_ in blocks[:8]) + (", ..." if len(blocks) > 8 else "")
        yield Match(tuple(case.word(a, f"the first of {n} words of {name}") for name, a, n in blocks),
                    title=f"{rule.title}: {names}", value=str(len(blocks)))  # fmt: skip


# -- entity headers ---------------------------------------------------------------------------------------------------


def _header(case: AdapterCase, entity: EntityHeader) -> Evidence:
    text = f"{entity.name}: hdr_flags {entity.status}, sys_err {entity.sys_err}, sys_warn {entity.sys_warn}"
    return case.in_dump(entity.slot_offset, ENTITY_HDR.size(), text)


def _attempted(case: AdapterCase) -> list[EntityHeader]:
    if case.nic.container.unified_wire:
        raise NotEvaluableError("the status codes of this format (Unified Wire) are not the driver's")
    return sorted(case.nic.container.entities.values(), key=lambda e: e.number)


def _named(entities: list[EntityHeader]) -> str:
    names = [e.name for e in entities]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _cause(entity: EntityHeader) -> int:
    return entity.sys_err or entity.status


def _failed(case: AdapterCase) -> list[EntityHeader]:
    """Return the entities whose collection failed for no reason that is usual."""
    usual = (0, NO_SPACE, NOT_THERE, NOT_FOR_CHIP, NO_CLOCK)
    return [
        e for e in _attempted(case)
        if _cause(e) not in usual and not (e.number == FLASH or (e.number in CIM and _cause(e) == EINVAL))
    ]  # fmt: skip


def most_failed(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """More than half of the collections failed."""
    entities = _attempted(case)
    failed = [e for e in entities if e.status < 0]
    if entities and len(failed) > len(entities) / 2:
        evidence = tuple(_header(case, e) for e in failed)
        space = [e for e in failed if _cause(e) == NO_SPACE]
        title = f"{rule.title}: {len(failed)} of {len(entities)}"
        if len(space) > len(failed) / 2:  # the buffer was small, the adapter is not to blame
            yield Match(evidence, title=f"{title}, most for want of room", severity="warning", value=str(len(failed)))
        else:
            yield Match(evidence, title=title, value=str(len(failed)))


def failed(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Collections that failed, by what they have in common: the memory window, the embedded processor, or nothing."""
    left = _failed(case)
    window = [e for e in left if e.number in THROUGH_WINDOW]
    busy = [e for e in left if e.number in CIM and _cause(e) in BUSY]
    rest = [e for e in left if e not in window and e not in busy]
    if window:
        codes = sorted({_cause(e) for e in window})
        yield Match(
            tuple(_header(case, e) for e in window), value=str(codes[0]), severity="error",
            title=f"Memory window failed: {_named(window)} could not be read ({', '.join(map(str, codes))})",
            explanation="Memories of the adapter and the firmware's log in them are read through a window in the PCI BAR. Where "
            "it fails they are not in the dump, whatever they held.",
            next_step="Look at PCIE_MEM_ACCESS_BASE_WIN and at what the kernel log says of the adapter's BARs; ACC-01.",
        )  # fmt: skip
    if rest:
        codes = sorted({_cause(e) for e in rest})
        yield Match(
            tuple(_header(case, e) for e in rest), value=str(codes[0]),
            title=f"{plural(len(rest), 'entity', 'entities')} could not be collected: {_named(rest)} "
            f"({', '.join(map(str, codes))})",
        )  # fmt: skip


def processor_busy(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """The embedded processor's own collections failed as busy or timed out, or its access path says that it is busy."""
    busy = [] if case.nic.container.unified_wire else [
        e for e in _failed(case) if e.number in CIM and _cause(e) in BUSY
    ]  # fmt: skip
    evidence = [_header(case, e) for e in busy]
    host_busy = False
    if case.reachable:
        operand = case.resolve("CIM_HOST_ACC_CTRL.HostBusy")
        host_busy = bool(operand.values[0]) and not operand.missing[0]
        if host_busy:
            evidence.append(operand.evidence(0))
    if len(busy) >= 3:
        yield Match(tuple(evidence), severity="error", value=str(len(busy)), confidence="high" if host_busy else "medium",
                    title=f"Firmware processor did not answer: {plural(len(busy), 'CIM entity', 'CIM entities')} failed "
                    f"as busy ({_named(busy)})")  # fmt: skip
    elif host_busy or busy:
        yield Match(tuple(evidence), value="1")


def no_space(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Entities left out for want of room: of large ones that is usual."""
    entities = [e for e in _attempted(case) if _cause(e) == NO_SPACE]
    for severity, some in (
        ("warning", [e for e in entities if e.number not in LARGE]), ("info", [e for e in entities if e.number in LARGE])
    ):  # fmt: skip
        if some:
            yield Match(tuple(_header(case, e) for e in some), title=f"{rule.title}: {_named(some)}", severity=severity,
                        value=str(len(some)))  # fmt: skip


def _with_cause(code: int) -> Callable[[AdapterCase, DeclaredRule], Iterable[Match]]:
    def matches(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
        some = [e for e in _attempted(case) if _cause(e) == code]
        if some:
            yield Match(tuple(_header(case, e) for e in some), title=f"{rule.title}: {_named(some)}", value=str(code))

    return matches


def partial(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Entities that say that they are not whole."""
    some = [e for e in _attempted(case) if e.sys_warn and not e.status]
    if some:
        yield Match(tuple(_header(case, e) for e in some), title=f"{rule.title}: {_named(some)}", value=str(len(some)))


def not_attempted(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Entities that a whole dump has and this one was not asked for."""
    known = {e.number for e in case.nic.container.entities.values()}
    missing = [n for n in ALWAYS if n not in known]
    slot = case.nic.container.header_length
    if missing:
        names = ", ".join(entity_name(n) for n in missing[:4]) + (", ..." if len(missing) > 4 else "")
        yield Match(
            tuple(case.in_dump(slot + ENTITY_HDR.size() * (n - 1), ENTITY_HDR.size(), f"{entity_description(n)}: entity_type 0")
                  for n in missing), title=f"{rule.title}: {names}", value=str(len(missing)),
        )  # fmt: skip


def cut(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """The dump ends before its entities do."""
    entities = [e for e in case.nic.container.entities.values() if e.cut]
    if entities:
        yield Match(tuple(_header(case, e) for e in entities), title=f"{rule.title}: {_named(entities)}",
                    value=str(len(entities)))  # fmt: skip


def register_image_size(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """REG_DUMP is not as long as the driver makes it."""
    size, header = len(case.nic.decoded("reg_dump").data), case.nic.container.entities[1]
    if case.kind not in REG_DUMP_SIZE:
        raise NotEvaluableError(f"the size of a {case.kind}'s register image is not known")
    if size != REG_DUMP_SIZE[case.kind] and not case.nic.container.unified_wire:
        yield Match((_header(case, header),), title=f"{rule.title}: {size:,} for {REG_DUMP_SIZE[case.kind]:,} bytes",
                    value=str(size))  # fmt: skip


def damaged(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Entities whose stored bytes cannot be inflated whole; those that rules read have been inflated, the others' headers."""
    some = [
        e for e in case.nic.container.entities.values()
        if e.available and not e.status and (case.nic.decoded_size(e) is None or case.nic.known_damage(e.number))
    ]  # fmt: skip
    if some:
        yield Match(tuple(_header(case, e) for e in some), title=f"{rule.title}: {_named(some)}", value=str(len(some)))


def memory_of_zeros(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """The image of a memory holds nothing but zeros."""
    names = []
    for entity in case.nic.container.entities.values():
        if entity.number in MEMORIES and entity.available and not entity.status:
            if (case.nic.decoded_size(entity) or MEMORY_READ) >= MEMORY_READ:
                continue
            data = np.frombuffer(case.nic.decoded(entity.number).data, np.uint8)
            if len(data) and not data.any():
                names.append((entity.name, len(data)))
    if names:
        yield Match(
            tuple(case.in_entity(name, 0, size, f"{size:,} bytes, all zero") for name, size in names),
            title=f"{rule.title}: {', '.join(name for name, _ in names)}", value=str(len(names)),
        )  # fmt: skip
    elif not any(e.number in MEMORIES and e.available for e in case.nic.container.entities.values()):
        raise NotEvaluableError("no image of a memory is in the dump")


def memory_map(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Memories that overlap, as MEMINFO has them."""
    table = case.table("meminfo")
    kinds, names, bases, limits = (table.values(n) for n in ("kind", "name", "base", "limit"))
    memories = sorted(
        (base, limit, i) for i, (kind, base, limit) in enumerate(zip(kinds, bases, limits, strict=True))
        if kind == "memory" and base is not None and limit is not None and base <= limit
    )  # fmt: skip
    found = [(a, b) for a, b in pairwise(memories) if b[0] <= a[1]]
    if found:
        rows = sorted({m[2] for pair in found for m in pair})
        yield Match(
            tuple(case.row("meminfo", i, f"{names[i]}: {bases[i]:#x} to {limits[i]:#x}") for i in rows),
            title=f"{rule.title}: {names[found[0][0][2]]} and {names[found[0][1][2]]} overlap",
        )  # fmt: skip


def contexts_cut(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """As many contexts as the capture kernel can collect at most."""
    table = case.table("egress")
    ids = table.values("id")
    if len(ids) == 256 and max(ids) == 255:
        yield Match((case.row("egress", ids.index(255), "the context with id 255"),), value="256")


def no_queues(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """QDESC was collected and says that there are no queues; its first piece has the header, the rest are zeros."""
    info = declared("cudbg_qdesc_info")
    data = case.nic.beginning("qdesc")
    if len(data) < info.size():
        raise NotEvaluableError("qdesc is shorter than its header")
    if not int(info.read(data, byteorder=case.nic.container.byteorder)["num_queues"]):
        yield Match((case.in_entity("qdesc", 0, info.size(), "num_queues = 0"),), value="0")


def no_commands(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """The mailbox log was collected and holds no record."""
    if not len(case.table("mbox_log")):
        size = len(case.nic.decoded("mbox_log").data)
        yield Match((case.in_entity("mbox_log", 0, size, "no record has a time"),), value="0")


FUNCTIONS = {
    "no_queues": no_queues, "no_commands": no_commands,
    "bus_gone": bus_gone, "access_blocked": access_blocked, "config_gone": config_gone, "block_of_ones": block_of_ones,
    "block_of_zeros": block_of_zeros, "most_failed": most_failed, "failed": failed, "processor_busy": processor_busy,
    "no_space": no_space, "not_there": _with_cause(NOT_THERE), "not_for_chip": _with_cause(NOT_FOR_CHIP),
    "no_clock": _with_cause(NO_CLOCK), "partial": partial, "not_attempted": not_attempted, "cut": cut,
    "register_image_size": register_image_size, "damaged": damaged, "memory_of_zeros": memory_of_zeros,
    "memory_map": memory_map, "contexts_cut": contexts_cut,
}  # fmt: skip
