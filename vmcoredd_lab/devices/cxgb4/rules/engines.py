"""The receive DMA engines of the SGE: whether they move, and what they wait for (t4_idma_monitor(), t4_hw.c).

States by number are in data/idma_states.csv (t4_sge_decode_idma_state()). T4 has no names for the debug words in REG_DUMP; they
are in SGE_INDIRECT there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.rules.case import AdapterCase
from vmcoredd_lab.rules import DeclaredRule, Evidence, Match, NotEvaluableError, Operand

__all__ = ["FUNCTIONS"]

LONG = 1_000_000_000  # core clocks
STALLED = ("SGE_DEBUG_DATA_HIGH_INDEX_13", "SGE_DEBUG_DATA_LOW_INDEX_13")  # of engine 0 and 1
STATE, QUEUE = "SGE_DEBUG_DATA_LOW_INDEX_0", "SGE_DEBUG_DATA_LOW_INDEX_11"
IDLE, NO_BUFFER = "idle", "wait_free_list"
UNKNOWN = ("a state without a name", "other")


@cache
def _states() -> dict[tuple[str, int], tuple[str, str]]:
    rows = read_table("idma_states.csv")
    return {(r["chip"], int(r["value"])): (r["name"], r["meaning_class"]) for r in rows if r["name"]}


def _engine(case: AdapterCase, engine: int) -> tuple[Operand, Operand, Operand, int, int]:
    """Return an engine's counter, the words of its state and its queue, and state and queue."""
    if case.kind == "T4":  # bits as t4_idma_monitor() takes them: 6 bits and 3 apart, 16 bits
        counter, state, queue = (case.resolve(f"ind.{name}") for name in (STALLED[engine], STATE, QUEUE))
        return (
            counter,
            state,
            queue,
            int(state.values[0]) >> 9 * engine & 0x3F,
            int(queue.values[0]) >> 16 * engine & 0xFFFF,
        )
    counter = case.resolve(STALLED[engine])
    state = case.resolve(f"{STATE}.debug_st_idma{engine}_idma_sm")
    queue = case.resolve(f"{QUEUE}.debug_idma{engine}_qid")
    return counter, state, queue, int(state.values[0]), int(queue.values[0])


def stalled(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """An engine that is not idle and did not change its state for seconds."""
    for engine in {"SGE-01": (0,), "SGE-02": (1,)}.get(rule.id, (0, 1)):
        counter, state, queue, number, qid = _engine(case, engine)
        if counter.missing[0] or state.missing[0] or int(counter.values[0]) < LONG:
            continue
        name, kind = _states().get((case.kind, number), UNKNOWN)
        if kind == IDLE and case.kind != "T4":  # T4's debug words have no names of their own: there the counter alone decides
            continue
        yield Match(
            (counter.evidence(0), state.evidence(0), queue.evidence(0)), value=str(int(counter.values[0])),
            title=f"Receive DMA engine {engine} did not move for a long time" + (
                f": queue {qid}, {name}" if kind != IDLE else ""
            ),
            severity="info" if case.late and kind == NO_BUFFER else None,
        )  # fmt: skip


def waiting(case: AdapterCase, rule: DeclaredRule) -> Iterable[Match]:
    """An engine that asks for a buffer."""
    found: list[tuple[Evidence, str]] = []
    for engine in (0, 1):
        try:
            _, state, _, number, _ = _engine(case, engine)
        except NotEvaluableError:
            if engine:
                continue
            raise
        name, kind = _states().get((case.kind, number), UNKNOWN)
        if kind == NO_BUFFER and not state.missing[0]:
            found.append((state.evidence(0), f"engine {engine} in {name}"))
    if found:
        yield Match(tuple(e for e, _ in found), title=f"{rule.title}: {', '.join(t for _, t in found)}",
                    severity="info" if case.late else None)  # fmt: skip


FUNCTIONS = {"engine_stalled": stalled, "waiting": waiting}
