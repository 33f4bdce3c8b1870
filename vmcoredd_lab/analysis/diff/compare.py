"""Two devices compared: identity, what was collected, registers, entities, logs, in that order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vmcoredd_lab.analysis.diff.logs import compare_commands, compare_log
from vmcoredd_lab.analysis.diff.registers import Words, compare_words
from vmcoredd_lab.analysis.diff.rows import CLASSES, Difference, Differences, Wanted
from vmcoredd_lab.analysis.diff.snapshot import BLOCK, PLACEHOLDER_PS, DecodedSnapshot, Snapshot, rules_for
from vmcoredd_lab.analysis.diff.tables import compare_rows
from vmcoredd_lab.devices.comparison import ComparisonRules, View
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.progress import progress
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import escape, plural

__all__ = ["compare"]

CARD = "serial number"
_LOGS = ("dev_log", "mbox_log", "reg_dump")  # compared by their own rules


def compare(
    a: Snapshot, b: Snapshot, *, only: Iterable[str] = (), ignore: Iterable[str] = (), detail: bool = False
) -> Table:
    """Return :data:`~vmcoredd_lab.analysis.diff.rows.DIFFERENCES` of two devices; ``attrs`` has ``a``, ``b``, ``note``, and
    ``chosen``: whether globs left anything out.

    Raises
    ------
    UsageError: the devices are of different drivers, or a glob matches nothing.
    """
    if a.driver != b.driver:
        raise UsageError(
            "devices of different drivers cannot be compared",
            expected=f"two dumps of {escape(a.driver)}",
            got=escape(b.driver),
        )
    return _Comparison(a, b, Wanted(only, ignore), detail).table()


class _Comparison:
    def __init__(self, a: Snapshot, b: Snapshot, wanted: Wanted, detail: bool) -> None:
        self.a, self.b, self.wanted = a, b, wanted
        self.same_chip = a.chip == b.chip
        card_a, card_b = a.identity.get(CARD), b.identity.get(CARD)
        self.same_card = card_a is not None and card_a == card_b
        self.found = Differences(wanted, same_card=self.same_card, detail=detail)
        self.rules: ComparisonRules = rules_for(a.driver, a.chip)
        self.known: set[str] = {*CLASSES, "chip"}

    def table(self) -> Table:
        self.known |= {view.name for view in self.rules.views} | {view.entity for view in self.rules.views}
        if not self.same_chip:
            self.found.add(Difference("config", "chip", self.a.chip, self.b.chip, note=self.statement()))
        if self.revision(self.a) != self.revision(self.b) and self.same_chip:
            self.found.add(
                Difference("identity", "chip", self.revision(self.a), self.revision(self.b), policy="per_card")
            )
        names = self.statuses()
        steps = [view for view in self.rules.views if view.entity in names]
        with progress("comparing", len(steps) + len(names) + 1) as advance:
            if self.same_chip:
                self.registers()
            advance(1)
            for view in steps:
                self.view(view)
                advance(1)
            self.logs()
            rowwise = {view.entity for view in self.rules.views} - self.rules.also_bytes
            for name in names:
                if name not in rowwise and name not in _LOGS and self.same_chip and self.wanted.may_have("data"):
                    self.bytes(name)
                advance(1)
        self.wanted.check(self.known)
        table = self.found.table()
        table.attrs.update(
            {"a": self.a.label, "b": self.b.label, "same_card": self.same_card, "chosen": self.wanted.some}
        )
        if not self.same_chip:
            table.attrs["note"] = self.statement()
        return table

    def statement(self) -> str:
        across = ", ".join(sorted(self.rules.across_chips))
        return (
            f"A is a {self.a.chip}, B is a {self.b.chip}: registers of different chips have other addresses, fields and meanings "
            f"and are not compared. Compared are identity, what was collected, the logs, and {across or 'nothing else'}."
        )

    @staticmethod
    def revision(side: Snapshot) -> str | None:
        return side.identity.get("chip")

    # -- what was collected -------------------------------------------------------------------------------------------

    def statuses(self) -> list[str]:
        """Compare what was collected; return the names of entities that both sides have."""
        a, b = self.a.statuses(), self.b.statuses()
        if a is None or b is None:
            return []
        of_a, of_b = _by_name(a), _by_name(b)
        self.known |= {*of_a, *of_b}
        for name in dict.fromkeys([*of_a, *of_b]):
            left, right = _collected(of_a.get(name)), _collected(of_b.get(name))
            if left != right:
                self.found.add(
                    Difference("status", name, left, right, field="collected", policy="compare", entity=name)
                )
        return [name for name in of_a if name in of_b]

    # -- registers ----------------------------------------------------------------------------------------------------

    def registers(self) -> None:
        a, b = self.a.registers(), self.b.registers()
        if a is None or b is None:
            self.one_sided("registers", a, b)
            return
        words = Words.of_registers(a, "reg_dump"), Words.of_registers(b, "reg_dump")
        for side in words:
            self.known |= {*side.names, *filter(None, side.blocks)}
        compare_words(*words, self.rules, self.found)

    # -- entities -----------------------------------------------------------------------------------------------------

    def view(self, view: View) -> None:
        if not self.same_chip and view.entity not in self.rules.across_chips:
            return
        if not self.reaches(view) or self.same_bytes(view.entity):
            return
        a, b = self.a.view(view), self.b.view(view)
        if a is None or b is None:
            return  # what was not collected is among the statuses
        if view.of_words:
            words = Words.of_indirect(a, view.entity), Words.of_indirect(b, view.entity)
            for side in words:
                self.known |= set(side.names)
            compare_words(*words, self.rules, self.found)
        else:
            compare_rows(a, b, view, self.rules, self.found, self.expected())

    def same_bytes(self, entity: str) -> bool:
        """Return whether an entity is the same on both sides, so that nothing of it need be decoded.

        Where globs of names were given it is decoded all the same: they may name what is in it.
        """
        if not self.same_chip or not self.wanted.whole_classes:
            return False
        if not isinstance(self.a, DecodedSnapshot) or not isinstance(self.b, DecodedSnapshot):
            return False
        a, b = self.a.bytes_of(entity), self.b.bytes_of(entity)
        return a is not None and a == b

    def reaches(self, view: View) -> bool:
        """Return whether anything of a view can be asked for: not where it is ignored as a whole."""
        return not Wanted._any(self.wanted.ignore, [view.entity, view.name])

    def expected(self) -> frozenset[str]:
        """Return the policies under which the two dumps differ because of how each was made."""
        early = [self.early(side) for side in (self.a, self.b)]
        return frozenset({"clock", "driver"}) if early[0] != early[1] else frozenset()

    def early(self, side: Snapshot) -> bool:
        """Return whether the dump was made before the driver knew its device's clock, as in a capture kernel."""
        view = next((v for v in self.rules.views if v.entity == "clk"), None)
        table = side.view(view) if view is not None else None
        return table is not None and len(table) > 0 and table.values("cclk_ps")[0] == PLACEHOLDER_PS

    def bytes(self, name: str) -> None:
        a, b = self.a.blocks(name), self.b.blocks(name)
        if a is None or b is None or a == b:
            return
        pairs = list(zip(a.digests, b.digests, strict=False))
        unlike = [i for i, (left, right) in enumerate(pairs) if left != right]
        total = max(len(a.digests), len(b.digests))
        count = len(unlike) + total - len(pairs)
        size = f"; {a.size:,} bytes in A, {b.size:,} in B" if a.size != b.size else ""
        first = (unlike[0] if unlike else len(pairs)) * BLOCK
        self.found.add(Difference(
            "data", name, None, None, field=f"{count:,} of {plural(total, 'block')}", policy="ignore", entity=name, where_a=first,
            where_b=first, note=f"in blocks of {BLOCK:,} bytes{size}",
        ))  # fmt: skip

    # -- logs ---------------------------------------------------------------------------------------------------------

    def logs(self) -> None:
        self.known |= {"firmware log", "mailbox log", *_LOGS}
        a, b = self.a.log(), self.b.log()
        if a is not None and b is not None:
            compare_log(a, b, self.found)
        else:
            self.one_sided("firmware log", a, b)
        view = View("mbox_log")
        a, b = self.a.view(view), self.b.view(view)
        if a is not None and b is not None:
            compare_commands(a, b, self.found)

    def one_sided(self, what: str, a: Any, b: Any) -> None:
        """Say that a part could be had from one side only."""
        if (a is None) == (b is None):
            return
        side, name = (self.a, "A") if a is None else (self.b, "B")
        self.found.add(Difference(
            "status", what, "not there" if a is None else "there", "not there" if b is None else "there", field="collected",
            policy="compare", note=f"in {name}: {side.missing.get(what, 'not offered')}",
        ))  # fmt: skip


def _by_name(table: Table) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in table.records()}


def _collected(record: dict[str, Any] | None) -> str:
    """Return in words whether an entity was collected."""
    if record is None:
        return "not attempted"
    status, cause, warned = (record.get(name) or 0 for name in ("status", "sys_err", "sys_warn"))
    if status:
        return f"failed ({cause or status})"
    return f"partial ({warned})" if warned else "yes"
