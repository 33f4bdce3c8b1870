"""The firmware: its own verdict (PCIE_FW), its log, its mailbox, its processor."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from vmcoredd_lab.devices.cxgb4.firmware import PCIE_FW
from vmcoredd_lab.devices.cxgb4.rules.case import AdapterCase
from vmcoredd_lab.rules import DeclaredRule, Match, NotEvaluableError
from vmcoredd_lab.text import plural

__all__ = ["FUNCTIONS", "last_words"]

# PCIE_FW_EVAL_*, t4fw_api.h: the reasons of the rules about the error flag
REASONS = {"FW-01": (0, 7), "FW-02": (1, 2, 3), "FW-03": (4,), "FW-04": (5,), "FW-05": (6,)}
GRAVE = ("EMERG", "CRIT", "ERR")
RECENT = 32  # entries: what was logged at about the time of the dump
PROBES = ("FW_PARAMS_CMD", "FW_CAPS_CONFIG_CMD", "FW_HELLO_CMD", "FW_PTP_CMD", "FW_DCB_IEEE_CMD")
PROBED = (1, 2, 22, 38)  # FW_EPERM, FW_ENOENT, FW_EINVAL, FW_ENOSYS: what probing is answered with
RETVAL_SEVERITY = {5: "error", 14: "error", 12: "warning", 71: "warning", 110: "warning", 8: "warning"}
ETIMEDOUT, EBUSY = -110, -16
SLOW_MS, SLOW = 1000, ("FW_CAPS_CONFIG_CMD", "FW_INITIALIZE_CMD", "FW_HELLO_CMD", "FW_RESET_CMD", "FW_LDST_CMD")
ERROR_CMD, DEBUG_CMD = 0x80, 0x81  # FW_ERROR_CMD, FW_DEBUG_CMD
NEEDED_SAMPLES = 32
LETTERS = re.compile(r"[A-Za-z]{3}")


# -- its own verdict ------------------------------------------------------------------------------------------------


def last_words(case: AdapterCase) -> tuple[int, str, str] | None:
    """Return row, level and message of what the firmware said of its end: the newest of the gravest recent entries."""
    try:
        table = case.table("dev_log")
    except NotEvaluableError:
        return None
    levels, messages = table.values("level"), table.values("message")
    for level in GRAVE:
        start = 0 if level == "EMERG" else max(0, len(levels) - RECENT)
        at = [i for i in range(start, len(levels)) if levels[i] == level and LETTERS.search(messages[i] or "")]
        if at:
            return at[-1], level, messages[at[-1]]
    return None


def error_flag(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """PCIE_FW says that the firmware gave up, and why; its log often says where."""
    word = case.registers.value(PCIE_FW)
    if word is None:
        raise NotEvaluableError("PCIE_FW is damaged or cut off")
    if not word >> 31 or word >> 24 & 7 not in REASONS[rule.id]:
        return
    evidence = [case.word(PCIE_FW, "PCIE_FW (error flag, reason in bits 26:24)", word)]
    title = rule.title
    if rule.id == "FW-02":
        stage = ("preparing", "configuring", "initialising")[(word >> 24 & 7) - 1]
        title = f"Firmware failed while {stage} the device"
    said = last_words(case)
    if said is not None:
        row, level, message = said
        title = f"{title}: {message}"
        evidence.append(case.row("dev_log", row, f"firmware log, {level}: {message}"))
    yield Match(tuple(evidence), title=title, value=f"{word:#010x}")


# -- its log ----------------------------------------------------------------------------------------------------------


def _log(case: AdapterCase) -> dict[str, list[Any]]:
    table = case.table("dev_log")
    return {name: table.values(name) for name in ("seqno", "timestamp", "level", "facility", "message")}


def logged(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Entries of one level, the newest first."""
    wanted = {"FW-11": "EMERG", "FW-12": "CRIT", "FW-13": "ERR"}[rule.id]
    log = _log(case)
    at = [i for i, level in enumerate(log["level"]) if level == wanted]
    if not at:
        return
    newest, count = at[-1], len(at)
    recent = newest >= len(log["level"]) - RECENT
    more = f" (and {plural(count - 1, 'earlier one')})" if count > 1 else ""
    yield Match(
        tuple(case.row("dev_log", i, f"entry {log['seqno'][i]}, {log['facility'][i]}: {log['message'][i]}")
              for i in at[::-1][:64]),
        title=f"{rule.title}: {log['message'][newest]}{more}", severity=None if recent else _one_less(rule),
        confidence="high" if recent else "medium", value=str(count),
    )  # fmt: skip


def _one_less(rule: DeclaredRule) -> str:
    """Return the severity of an old entry: what was logged long before the dump may be over."""
    return {"critical": "error", "error": "warning"}.get(rule.base_severity, "info")


def log_empty(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """No slot of the log was ever written."""
    if len(case.table("dev_log")):
        return
    try:
        size = min(len(case.nic.decoded("dev_log").data), 1 << 20)
    except Exception as error:  # the log was looked for in memory, where an empty one is no log
        raise NotEvaluableError("the firmware log is not in the dump") from error
    if size:
        yield Match((case.in_entity("dev_log", 0, size, "no slot has a time"),), value="0")


def never_started(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """Status word, log location and log are all empty."""
    word, where = case.registers.value(PCIE_FW), case.registers.value(0x30D8)
    if word == 0 and where == 0 and not len(case.table("dev_log")):
        yield Match((case.word(PCIE_FW, "PCIE_FW", 0), case.word(0x30D8, "PCIE_FW_PF 7", 0)), value="0")


def restarted(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """Both the numbers and the clock of the log step back between neighbours."""
    log = _log(case)
    for i, ((a, t), (b, u)) in enumerate(pairwise(zip(log["seqno"], log["timestamp"], strict=True))):
        if b < a and a - b < 1 << 31 and u < t:
            yield Match((case.row("dev_log", i + 1, f"entry {b} follows entry {a}"),
                         case.row("dev_log", i, f"entry {a}")), value=str(b))  # fmt: skip
            return


# -- its mailbox ------------------------------------------------------------------------------------------------------


def _mailbox(case: AdapterCase) -> dict[str, list[Any]]:
    table = case.table("mbox_log")
    names = (
        "seqno",
        "execute",
        "direction",
        "opcode",
        "opcode_name",
        "retval",
        "retval_name",
        "cmd0",
        "cmd1",
        "cmd2",
        "cmd3",
    )
    return {name: table.values(name) for name in names}


def _command(log: dict[str, list[Any]], i: int) -> str:
    return log["opcode_name"][i] or f"opcode {log['opcode'][i]:#x}"


def unanswered(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """The newest request has no reply; one before it that has none was answered in a record that is gone."""
    log = _mailbox(case)
    if not log["seqno"]:
        return
    at = len(log["seqno"]) - 1
    if log["direction"][at] == "request" and log["execute"][at] == 0:
        yield Match((case.row("mbox_log", at, f"request {log['seqno'][at]}: {_command(log, at)}"),),
                    title=f"{rule.title}: {_command(log, at)}", value=_command(log, at))  # fmt: skip


def refused(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Replies with an error, by command and error; probing for what a firmware can do is refused as a matter of course."""
    log = _mailbox(case)
    groups: dict[tuple[str, int, str], list[int]] = defaultdict(list)
    for i, (direction, retval, execute) in enumerate(zip(log["direction"], log["retval"], log["execute"], strict=True)):
        if direction == "reply" and retval and execute >= 0 and log["opcode"][i] < ERROR_CMD:
            groups[_command(log, i), retval, log["retval_name"][i] or str(retval)].append(i)
    by_severity: dict[str, list[tuple[str, list[int]]]] = defaultdict(list)
    for (command, retval, name), rows in groups.items():
        severity = "info" if command in PROBES and retval in PROBED else RETVAL_SEVERITY.get(retval, "info")
        by_severity[severity].append((f"{command} {name}", rows))
    for severity, found in by_severity.items():
        rows = sorted(i for _, some in found for i in some)
        more = f", and {len(found) - 1} other kinds" if len(found) > 1 else ""
        yield Match(
            tuple(case.row("mbox_log", i, f"reply {log['seqno'][i]}: {_command(log, i)}, {log['retval_name'][i]}")
                  for i in rows[::-1][:64]),
            title=f"{rule.title}: {found[0][0]} ({plural(len(found[0][1]), 'time')}{more})", severity=severity,
            value=str(len(rows)),
        )  # fmt: skip


def given_up(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Commands that the driver could not complete."""
    log = _mailbox(case)
    at = [i for i, execute in enumerate(log["execute"]) if execute < 0]
    if not at:
        return
    timeouts = [i for i in at if log["execute"][i] == ETIMEDOUT]
    first = (timeouts or at)[-1]
    why = {ETIMEDOUT: "no answer in time", EBUSY: "the mailbox was not given back"}.get(
        log["execute"][first], f"errno {-log['execute'][first]}"
    )
    order = [first, *[i for i in at[::-1] if i != first]]
    yield Match(
        tuple(case.row("mbox_log", i, f"record {log['seqno'][i]}: {_command(log, i)}, {log['execute'][i]}") for i in order[:64]),
        title=f"Mailbox command failed: {_command(log, first)}, {why}", value=str(log["execute"][first]),
        severity="critical" if timeouts else "error",
    )  # fmt: skip


def slow(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Commands that took long and are not slow by nature."""
    log = _mailbox(case)
    at = [i for i, ms in enumerate(log["execute"]) if ms > SLOW_MS and _command(log, i) not in SLOW]
    if at:
        worst = max(at, key=lambda i: log["execute"][i])
        order = [worst, *[i for i in at if i != worst]]
        yield Match(
            tuple(case.row("mbox_log", i, f"record {log['seqno'][i]}: {_command(log, i)}, {log['execute'][i]} ms")
                  for i in order[:64]),
            title=f"{rule.title}: {_command(log, worst)} took {log['execute'][worst]:,} ms", value=str(log["execute"][worst]),
        )  # fmt: skip


def reported(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """What the firmware put into the mailbox on its own: an error, or an assertion with file and line."""
    log = _mailbox(case)
    at = [i for i, opcode in enumerate(log["opcode"]) if opcode in (ERROR_CMD, DEBUG_CMD)]
    if not at:
        return
    first = at[-1]
    kind = "an assertion" if log["opcode"][first] == DEBUG_CMD else "an error"
    # FW_DEBUG_CMD, struct fw_debug_assert: fcid, line, x, y, then the first 8 bytes of the file's name (t4fw_api.h)
    line = log["cmd1"][first] & 0xFFFFFFFF if log["opcode"][first] == DEBUG_CMD else None
    yield Match(
        tuple(case.row("mbox_log", i, f"record {log['seqno'][i]}: opcode {log['opcode'][i]:#x}") for i in at[::-1][:64]),
        title=f"Firmware reported {kind} in the mailbox" + (f" (line {line})" if line else ""), value=str(len(at)),
    )  # fmt: skip


PORT_CMD, GET_PORT_INFO, GET_PORT_INFO32 = 0x1B, 3, 10  # FW_PORT_CMD and two of its actions


def _port_replies(case: AdapterCase) -> dict[int, tuple[int, int, int]]:
    """Return, by port, row, link word and type of module of the newest reply (FW_PORT_CMD_LSTATUS and _MODTYPE, t4fw_api.h)."""
    log = _mailbox(case)
    found: dict[int, tuple[int, int, int]] = {}
    for i, opcode in enumerate(log["opcode"]):
        if opcode == PORT_CMD and log["direction"][i] == "reply" and not log["retval"][i]:
            action = log["cmd0"][i] >> 16 & 0xFFFF
            if action in (GET_PORT_INFO, GET_PORT_INFO32):
                word = log["cmd1"][i] >> 32
                module = word & 0x1F if action == GET_PORT_INFO else word >> 8 & 0x1F
                found[log["cmd0"][i] >> 32 & 0xF] = (i, word, module)
    return found


def port_down(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """The firmware's last word on a port was that its link is down."""
    down = {port: at for port, at in _port_replies(case).items() if not at[1] >> 31}
    if down:
        yield Match(tuple(case.row("mbox_log", i, f"port {p}: link word {word:#x}") for p, (i, word, _) in down.items()),
                    title=f"{rule.title}: {', '.join(f'port {p}' for p in down)}", value=str(len(down)))  # fmt: skip


def transceiver(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """The firmware could not use the module in a port."""
    says = {
        28: "faulty or unreadable",
        29: "unknown",
        30: "not supported",
    }  # FW_PORT_MOD_TYPE_ERROR, _UNKNOWN, _NOTSUPPORTED
    bad = {p: at for p, at in _port_replies(case).items() if at[2] in says}
    if bad:
        port, (_, _, module) = next(iter(bad.items()))
        yield Match(tuple(case.row("mbox_log", i, f"port {p}: link word {w:#x}") for p, (i, w, _) in bad.items()),
                    title=f"{rule.title}: port {port}, module {says[module]}", value=str(module))  # fmt: skip


# -- its processor ----------------------------------------------------------------------------------------------------


def stuck(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """Every sample of the processor's trace is at one program counter (or between two)."""
    table = case.table("cim_la")
    if "pc" not in table.columns:
        raise NotEvaluableError("the trace has no program counters")
    pcs = [(i, pc) for i, pc in enumerate(table.values("pc")) if pc]
    distinct = {pc for _, pc in pcs}
    if len(pcs) >= NEEDED_SAMPLES and len(distinct) <= 2:
        first = pcs[-1]
        yield Match((case.row("cim_la", first[0], f"program counter {first[1]:#x}, in all {len(pcs)} samples"),),
                    title=f"{rule.title}: program counter {first[1]:#x} in {len(pcs)} samples", value=f"{first[1]:#x}",
                    severity="error" if _other_signs(case) else None)  # fmt: skip


def _other_signs(case: AdapterCase) -> bool:
    """Return whether a command waits in a mailbox, or a queue to the processor is full: it shows no life."""
    signs = []
    for condition in ("CIM_PF_MAILBOX_CTRL_SHADOW_COPY.MBOwner", "cim_qcfg.avail"):
        try:
            signs.append(case.resolve(condition))
        except NotEvaluableError:
            continue
    return any(bool(((s.values == (1 if "MBOwner" in s.name else 0)) & ~s.missing).any()) for s in signs)


def trace_stopped(case: AdapterCase, _: DeclaredRule) -> Iterable[Match]:
    """The first word of the trace, its configuration, has the enable bit off."""
    data = case.nic.decoded("cim_la").data
    if len(data) < 4:
        return
    word = int.from_bytes(bytes(data[:4]), case.nic.container.byteorder)
    if not word & 1:
        yield Match((case.in_entity("cim_la", 0, 4, f"UP_UP_DBG_LA_CFG = {word:#x}"),), value=f"{word:#x}")


FUNCTIONS = {
    "error_flag": error_flag, "logged": logged, "log_empty": log_empty, "never_started": never_started, "restarted": restarted,
    "unanswered": unanswered, "refused": refused, "given_up": given_up, "slow": slow, "reported": reported,
    "port_down": port_down, "transceiver": transceiver, "stuck": stuck, "trace_stopped": trace_stopped,
}  # fmt: skip
