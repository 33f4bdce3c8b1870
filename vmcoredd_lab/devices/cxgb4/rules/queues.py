"""Queues, pools and tables: SGE contexts against each other, page pools, counters of packet starts and ends, TCAMs.

Indexes of contexts count units of 64 bytes (egress) or entries (ingress); the unit of the sizes is inferred, so rules about
them are no more than warnings.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from vmcoredd_lab.devices.cxgb4.register_table import parse_fields
from vmcoredd_lab.devices.cxgb4.rules.case import AdapterCase
from vmcoredd_lab.rules import DeclaredRule, Evidence, Match, NotEvaluableError
from vmcoredd_lab.rules.declared import EVIDENCE, with_labels

__all__ = ["FUNCTIONS"]

Array = np.ndarray[Any, Any]
NEARLY_FULL = 0.75
TABLE_FULL = 0.95
SOP_EOP = re.compile(r"sop", re.I)


def _numbers(case: AdapterCase, table: str, column: str) -> Array:
    return np.asarray(case.table(table).columns[column], np.int64)


def _rows(case: AdapterCase, rule: DeclaredRule, kind: str, at: Array, text: str, **more: Any) -> Iterable[Match]:
    """Return one match with the contexts at the given rows, none where there are none."""
    if not len(at):
        return
    ids = _numbers(case, kind, "id")
    pidx, cidx = _numbers(case, kind, "PIDX"), _numbers(case, kind, "CIDX")
    evidence = tuple(
        case.row(kind, i, f"{kind} context {ids[i]}: PIDX {pidx[i]}, CIDX {cidx[i]}{text}")
        for i in at[:EVIDENCE].tolist()
    )
    title = with_labels(more.pop("title", rule.title), [f"queue {ids[i]}" for i in at.tolist()])
    yield Match(evidence, title=title, value=str(len(at)), **more)


def _egress(case: AdapterCase) -> tuple[Array, Array, Array, Array]:
    """Return which egress queues are in use, size, how much is pending, and which are free lists (have an FLM context)."""
    size, valid = _numbers(case, "egress", "QueueSize"), _numbers(case, "egress", "Valid") == 1
    pidx, cidx = _numbers(case, "egress", "PIDX"), _numbers(case, "egress", "CIDX")
    pending = np.where(pidx >= cidx, pidx - cidx, pidx + size - cidx)
    lists = _numbers(case, "freelist", "id")[_numbers(case, "freelist", "Valid") == 1]
    used = valid & (size > 0) & (pidx < size) & (cidx < size)
    return used, size, pending, np.isin(_numbers(case, "egress", "id"), lists)


def egress_pending(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Send queues with descriptors that the hardware has not fetched."""
    used, size, pending, lists = _egress(case)
    work = used & ~lists & (pending > 0)
    full = work & (pending > NEARLY_FULL * size)
    yield from _rows(case, rule, "egress", np.flatnonzero(full), " (nearly full)", severity="warning",
                     title="Egress queue is nearly full of unprocessed descriptors")  # fmt: skip
    yield from _rows(case, rule, "egress", np.flatnonzero(work & ~full), "")


def free_list_empty(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Free lists that were in use and of which the hardware has taken every buffer."""
    used, _, pending, lists = _egress(case)
    moved = _numbers(case, "egress", "PIDX") > 0
    empty = used & lists & moved & (pending == 0)
    yield from _rows(
        case, rule, "egress", np.flatnonzero(empty), " (no buffer left)", severity="info" if case.late else None
    )


def cache_empty(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Free lists of which the free-list manager holds no pointers."""
    at = (_numbers(case, "freelist", "Valid") == 1) & (
        _numbers(case, "freelist", "PIDX") == _numbers(case, "freelist", "CIDX")
    )
    yield from _rows(case, rule, "freelist", np.flatnonzero(at & (_numbers(case, "freelist", "PIDX") > 0)), "")


def index_outside(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Indexes of a queue that lie beyond its end."""
    size = _numbers(case, "egress", "QueueSize")
    beyond = (_numbers(case, "egress", "PIDX") >= size) | (_numbers(case, "egress", "CIDX") >= size)
    valid = (_numbers(case, "egress", "Valid") == 1) & (size > 0)
    sizes = ", beyond the queue's size"
    yield from _rows(case, rule, "egress", np.flatnonzero(valid & beyond), sizes)


def _ingress(case: AdapterCase) -> tuple[Array, Array, Array]:
    size, valid = _numbers(case, "ingress", "QueueSize"), _numbers(case, "ingress", "Queue_Valid") == 1
    pidx, cidx = _numbers(case, "ingress", "PIDX"), _numbers(case, "ingress", "CIDX")
    waiting = np.where(pidx >= cidx, pidx - cidx, pidx + size - cidx)
    return valid & (size > 0) & (pidx < size) & (cidx < size), size, waiting


def ingress_full(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Receive queues that the host does not empty."""
    used, size, waiting = _ingress(case)
    yield from _rows(case, rule, "ingress", np.flatnonzero(used & (waiting >= 0.9 * size)), "",
                     severity="info" if case.late else None)  # fmt: skip


def no_interrupt(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Receive queues with something in them, armed, and no interrupt on its way."""
    used, _, waiting = _ingress(case)
    flags = [_numbers(case, "ingress", n) for n in ("InterruptArmed", "InterruptSent", "TimerPending")]
    at = used & (waiting > 0) & (flags[0] == 1) & (flags[1] == 0) & (flags[2] == 0)
    yield from _rows(
        case, rule, "ingress", np.flatnonzero(at), ", armed, not sent", severity="info" if case.late else None
    )


def not_scheduled(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Send queues with work that nothing is going to look at."""
    used, _, pending, lists = _egress(case)
    enabled = case.resolve("SGE_CONTROL.GlobalEnable")
    if not enabled.values[0] or enabled.missing[0]:
        return
    at = used & ~lists & (pending > 0) & (_numbers(case, "egress", "ReschedulePending") == 0)
    yield from _rows(case, rule, "egress", np.flatnonzero(at), ", not scheduled")


# -- pools ------------------------------------------------------------------------------------------------------------


def _counters(case: AdapterCase) -> dict[str, tuple[int, int]]:
    """Return row and value of MEMINFO's counters by name."""
    table = case.table("meminfo")
    rows = zip(table.values("kind"), table.values("name"), table.values("value"), strict=True)
    return {
        name: (i, int(value)) for i, (kind, name, value) in enumerate(rows) if kind == "counter" and value is not None
    }


POOLS = {"TP-01": ("Tx pages", "Tx pages free"), "TP-02": ("Rx pages", "Rx pages free"),
         "TP-03": ("Pstructs, count", "Pstructs free, count")}  # fmt: skip


def pool_empty(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """A pool of pages or payload structures with less than a hundredth left."""
    counters, (whole, free) = _counters(case), POOLS[rule.id]
    if whole not in counters or free not in counters:
        raise NotEvaluableError(f"meminfo has no counter {whole!r}")
    (_, total), (row, left) = counters[whole], counters[free]
    if total > 0 and left < max(1, total / 100):
        yield Match((case.row("meminfo", row, f"{free} {left:,} of {total:,}"),),
                    title=f"{rule.title}: {left:,} of {total:,} left", value=str(left))  # fmt: skip


def port_buffers(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Receive buffers of a port that are nearly all in use."""
    counters = _counters(case)
    full = []
    for port in range(4):
        used, room = counters.get(f"Port {port} pages used"), counters.get(f"Port {port} pages allocated")
        if used and room and room[1] > 0 and used[1] >= TABLE_FULL * room[1]:
            full.append((port, used, room))
    if full:
        yield Match(
            tuple(case.row("meminfo", u[0], f"port {p}: {u[1]:,} of {r[1]:,} pages used") for p, u, r in full),
            title=with_labels(rule.title, [f"port {p}" for p, *_ in full]), value=str(full[0][1][1]),
        )  # fmt: skip


# -- packet starts and ends -------------------------------------------------------------------------------------------

PAIRED = {
    "SGE-22": ("", tuple(f"SGE_DEBUG_DATA_HIGH_INDEX_{n}" for n in range(13))),
    "PM-04": ("ind.", ("PM_RX_DBG_STAT8", "PM_RX_DBG_STAT9", "PM_TX_DBG_STAT10", "PM_TX_DBG_STAT11")),
}


def starts_and_ends(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Counters of packet starts that differ from those of ends by more than a packet on its way explains."""
    prefix, names = PAIRED[rule.id]
    found: list[tuple[Evidence, str]] = []
    looked = False
    for name in names:
        for start in _field_names(case, prefix, name):
            end = SOP_EOP.sub(lambda m: "EOP" if m[0].isupper() else "Eop" if m[0][0].isupper() else "eop", start)
            try:
                one, other = case.resolve(f"{prefix}{name}.{start}"), case.resolve(f"{prefix}{name}.{end}")
            except NotEvaluableError:
                continue
            looked = True
            apart = int(one.values[0]) - int(other.values[0]) & 15
            if 1 < apart < 15 and not one.missing[0]:
                found.append((one.evidence(0), f"{name}.{start}"))
    if not looked:
        raise NotEvaluableError("the counters are not in the dump")
    if found:
        yield Match(tuple({(e.offset, e.space): e for e, _ in found}.values()), value=str(len(found)),
                    title=with_labels(rule.title, [text for _, text in found]))  # fmt: skip


def _field_names(case: AdapterCase, prefix: str, name: str) -> list[str]:
    from vmcoredd_lab.devices.cxgb4.indirect_table import indirect_table

    if prefix:
        one = indirect_table(case.kind).find(name)
        fields = one.fields if one else []
    else:
        lines = case.registers.table.by_name.get(name, [])
        fields = parse_fields(lines[0].fields) if lines else []
    return [f.name for f in fields if SOP_EOP.search(f.name)]


# -- tables of the lookup engine and the classifier -------------------------------------------------------------------


def region_full(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """A region of the lookup table with hardly an entry free."""
    wanted = {"TBL-08": ("server",), "TBL-09": ("filter", "high-priority filter")}[rule.id]
    table = case.table("le_tcam")
    regions, used = table.values("region"), table.values("used")
    for name in wanted:
        rows = [i for i, region in enumerate(regions) if region == name]
        taken = [i for i in rows if used[i]]
        if len(rows) >= 32 and len(taken) >= TABLE_FULL * len(rows):
            yield Match(tuple(case.row("le_tcam", i, f"{name} region: entry in use") for i in taken[:EVIDENCE]),
                        title=f"{rule.title}: {len(taken):,} of {len(rows):,}", value=str(len(taken)))  # fmt: skip


def no_filters(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """No address that the port would take packets for."""
    table = case.table("mps_tcam")
    if not len(table):
        size = min(len(case.nic.decoded("mps_tcam").data), 1 << 16)
        yield Match((case.in_entity("mps_tcam", 0, size, "no valid entry"),), value="0")


def same_filter(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Entries of the classifier that say the same."""
    table = case.table("mps_tcam")
    key = ("addr", "mask", "port_num", "lookup_type", "vniy", "ivlan")
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for i, row in enumerate(zip(*(table.values(name) for name in key), strict=True)):
        groups[row].append(i)
    twice = [rows for rows in groups.values() if len(rows) > 1]
    if twice:
        idx, addr = table.values("idx"), table.values("addr")
        yield Match(tuple(case.row("mps_tcam", i, f"entry {idx[i]}: {addr[i]}") for rows in twice for i in rows)[:EVIDENCE],
                    title=f"{rule.title}: {addr[twice[0][0]]}", value=str(len(twice)))  # fmt: skip


FUNCTIONS = {
    "egress_pending": egress_pending, "free_list_empty": free_list_empty, "cache_empty": cache_empty,
    "index_outside": index_outside, "ingress_full": ingress_full, "no_interrupt": no_interrupt,
    "not_scheduled": not_scheduled, "pool_empty": pool_empty, "port_buffers": port_buffers,
    "starts_and_ends": starts_and_ends, "region_full": region_full, "no_filters": no_filters, "same_filter": same_filter,
}  # fmt: skip
