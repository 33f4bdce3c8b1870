"""Registers of two dumps, down to their fields; counters joined over two words."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmcoredd_lab.analysis.diff.rows import Difference, Differences
from vmcoredd_lab.devices.comparison import ComparisonRules, Rule
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import plural

__all__ = ["Words", "compare_counter", "compare_words", "counter_delta"]

Array = np.ndarray[Any, Any]

# The halves of a 64-bit counter by the ends of their names; they are neighbours, in TP_MIB the high one first.
_HALVES = (("_L", "_H"), ("_LOW", "_HIGH"), ("_LO", "_HI"), ("", "HI"))


@dataclass
class Words:
    """Registers as parallel lists: block, name, which one, address, value (None: not there), place in the entity."""

    entity: str
    blocks: list[str | None]
    names: list[str]
    keys: list[str | None]
    addresses: list[int]
    values: list[int | None]
    places: list[int]

    @classmethod
    def of_registers(cls, table: Table, entity: str) -> Words:
        """Return the words of a table of registers: register, address, value; block, instance and scope where it has them."""

        def column(name: str) -> list[Any]:
            return table.values(name) if name in table.columns else [None] * len(table)

        addresses = column("address")
        names = [name or f"{address:#x}" for name, address in zip(column("register"), addresses, strict=True)]
        keys = [
            ", ".join(filter(None, [None if i is None else f"[{i}]", scope])) or None
            for i, scope in zip(column("instance"), column("scope"), strict=True)
        ]
        return cls(entity, column("block"), names, keys, addresses, column("value"), addresses)

    @classmethod
    def of_indirect(cls, table: Table, entity: str) -> Words:
        """Return the words of a table of registers behind an index register."""
        addresses = [a << 32 | i for a, i in zip(table.values("data_register"), table.values("address"), strict=True)]
        indexes = table.values("address")
        names = [
            n or f"{s}[{i:#x}]" for n, s, i in zip(*map(table.values, ("register", "space", "address")), strict=True)
        ]
        many = Counter(names)
        keys = [f"index {i:#x}" if many[name] > 1 else None for name, i in zip(names, indexes, strict=True)]
        values = table.values("value")
        if "damaged" in table.columns:
            values = [None if bad else v for v, bad in zip(values, table.values("damaged"), strict=True)]
        places = table.spans[:, 0].tolist() if table.spans is not None else [0] * len(table)
        return cls(entity, [None] * len(names), names, keys, addresses, values, places)


@dataclass(frozen=True)
class _Pair:
    """One register on both sides: its index in A and in B; None where a side has no such word."""

    a: int | None
    b: int | None


def compare_words(a: Words, b: Words, rules: ComparisonRules, found: Differences) -> None:
    """Add what differs between two lists of registers of the same chip."""
    _Words(a, b, rules, found).compare()


class _Words:
    def __init__(self, a: Words, b: Words, rules: ComparisonRules, found: Differences) -> None:
        self.a, self.b, self.rules, self.found = a, b, rules, found
        self.in_b = {address: i for i, address in enumerate(b.addresses)}
        self.in_a = {address: i for i, address in enumerate(a.addresses)}
        self.summaries: dict[tuple[str, str | None], list[tuple[_Pair, Rule]]] = defaultdict(list)
        self.done: set[int] = set()

    def rule(self, words: Words, i: int) -> Rule:
        if words.entity == "reg_dump":
            return self.rules.register(words.blocks[i], words.names[i])
        return self.rules.indirect(words.entity, words.names[i])

    def compare(self) -> None:
        for address in [*self.a.addresses, *(x for x in self.b.addresses if x not in self.in_a)]:
            pair = _Pair(self.in_a.get(address), self.in_b.get(address))
            if self.value(self.a, pair.a) == self.value(self.b, pair.b) or address in self.done:
                continue
            words, i = (self.a, pair.a) if pair.a is not None else (self.b, pair.b)
            assert i is not None
            rule = self.rule(words, i)
            if self.found.summarised(rule):
                self.summaries[rule.kind, words.blocks[i]].append((pair, rule))
            elif rule.kind == "counter" and rule.policy.startswith("increase"):
                self.counter(words, i, address, rule)
            else:
                self.register(words, i, pair, rule)
        for (kind, block), pairs in self.summaries.items():
            self.summary(kind, block, pairs)

    @staticmethod
    def value(words: Words, i: int | None) -> int | None:
        return None if i is None else words.values[i]

    def place(self, pair: _Pair) -> dict[str, Any]:
        return {
            "entity": self.a.entity,
            "where_a": None if pair.a is None else self.a.places[pair.a],
            "where_b": None if pair.b is None else self.b.places[pair.b],
        }

    # -- counters -----------------------------------------------------------------------------------------------------

    def counter(self, words: Words, i: int, address: int, rule: Rule) -> None:
        name, low, high = self.joined(words, i, address)
        self.done |= {low} if high is None else {low, high}
        pair = _Pair(self.in_a.get(low), self.in_b.get(low))
        a, b = self.whole(self.a, self.in_a, low, high), self.whole(self.b, self.in_b, low, high)
        bits = 32 if high is None or rule.policy == "increase32" else 64
        called, counts = self.rules.counter(name)
        delta, said = compare_counter(a, b, bits)
        self.found.add(Difference(
            "counter", name, a, b, key=words.keys[i], field=called or None, policy=rule.policy, block=words.blocks[i],
            delta=delta, note="; ".join(filter(None, ["counts errors" if counts == "error" else "", said])), form="count",
            **self.place(pair),
        ))  # fmt: skip

    def joined(self, words: Words, i: int, address: int) -> tuple[str, int, int | None]:
        """Return the counter's name, and the addresses of its low and high word; of a single word the high one is None."""
        where = self.in_a if words is self.a else self.in_b
        name, step = words.names[i], 4 if words.entity == "reg_dump" else 1
        neighbours = [(at, words.names[where[at]]) for at in (address + step, address - step) if at in where]
        for low, high in _HALVES:
            for other, of_other in neighbours:
                if name.endswith(low) and of_other == name.removesuffix(low) + high:
                    return name.removesuffix(low), address, other
                if name.endswith(high) and of_other == name.removesuffix(high) + low:
                    return name.removesuffix(high), other, address
        return name, address, None

    def whole(self, words: Words, where: dict[int, int], low: int, high: int | None) -> int | None:
        value = self.value(words, where.get(low))
        if high is None or value is None:
            return value
        above = self.value(words, where.get(high))
        return None if above is None else above << 32 | value

    # -- fields -------------------------------------------------------------------------------------------------------

    def register(self, words: Words, i: int, pair: _Pair, rule: Rule) -> None:
        a, b = self.value(self.a, pair.a), self.value(self.b, pair.b)
        name, block, key, place = words.names[i], words.blocks[i], words.keys[i], self.place(pair)
        if a is None or b is None:
            side = "A" if a is None else "B"
            self.found.add(Difference(
                "status", name, a, b, key=key, policy="compare", block=block, form="hex",
                note=f"not readable in {side}: damaged, or not collected", **place,
            ))  # fmt: skip
            return
        changed = a ^ b
        for field in self.rules.fields(name):
            mask = ((1 << field.width) - 1) << field.lsb
            if changed & mask:
                changed &= ~mask
                of_field = self.rules.register_field(name, field.name) or rule
                values = field.of(a), field.of(b)
                delta = values[1] - values[0] if of_field.kind == "counter" else None
                self.found.add(Difference(
                    self.found.place(of_field), name, *values, key=key, field=field.name, policy=of_field.policy, block=block,
                    delta=delta, form="hex" if delta is None else "count", **place,
                    note=self.note(name, field.lsb, a, b, of_field),
                ))  # fmt: skip
        if changed:
            text = None if changed == a ^ b and not self.rules.fields(name) else f"bits {changed:#x} (no name)"
            self.found.add(Difference(
                self.found.place(rule), name, a & changed if text else a, b & changed if text else b, key=key, field=text,
                policy=rule.policy, block=block, form="hex", note=rule.note, **place,
            ))  # fmt: skip

    def note(self, name: str, lsb: int, a: int, b: int, rule: Rule) -> str:
        set_now = b >> lsb & 1 and not a >> lsb & 1
        meaning = self.rules.meaning(name, lsb)
        told = f"{'set in B' if set_now else 'differs'}: {meaning}" if meaning else rule.note
        must = "must be explained" if rule.policy == "must_be_explained" else ""
        return "; ".join(filter(None, [told, must]))

    # -- summaries ----------------------------------------------------------------------------------------------------

    def summary(self, kind: str, block: str | None, pairs: list[tuple[_Pair, Rule]]) -> None:
        names = [self.a.names[p.a] if p.a is not None else self.b.names[p.b] for p, _ in pairs]  # type: ignore[index]
        notes = dict.fromkeys(rule.note for _, rule in pairs if rule.note)
        first = pairs[0][0]
        what = block or self.a.entity
        self.found.add_summary(
            Difference(
                kind, f"{what} registers", None, None, policy=pairs[0][1].policy, block=block,
                note="; ".join(list(notes)[:2]), **self.place(first),
            ),
            names, self.total(kind, block), "word",
        )  # fmt: skip

    def total(self, kind: str, block: str | None) -> int:
        """Return how many words of a block are summarised under a class."""
        a = self.a
        return sum(
            a.blocks[i] == block and (rule := self.rule(a, i)).kind == kind and self.found.summarised(rule)
            for i in range(len(a.names))
        )


def counter_delta(a: int, b: int, bits: int) -> int:
    """Return B - A of a counter of so many bits, its wrap considered: what is nearer, forward or back.

    >>> counter_delta(0xfffffff0, 0x10, 32), counter_delta(9, 4, 64)
    (32, -5)
    """
    size = 1 << bits
    forward = (b - a) % size
    return forward - size if forward >= size >> 1 else forward


def compare_counter(a: int | None, b: int | None, bits: int) -> tuple[int | None, str]:
    """Return the delta of a counter, and what is to be said of it."""
    if a is None or b is None:
        return None, f"not readable in {'A' if a is None else 'B'}"
    delta = counter_delta(a, b, bits)
    if delta < 0:
        return delta, "lower in B: it was reset in between, or B is the older dump"
    return delta, f"wrapped at {plural(bits, 'bit')}" if b < a else ""
