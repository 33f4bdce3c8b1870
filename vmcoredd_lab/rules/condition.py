"""Conditions of rules as text: comparisons of named operands, evaluated over whole columns at once.

``SGE_CONTROL.GlobalEnable == 0 and DBG_GPIO_EN == 0`` holds or not for each instance (each port, each record, each queue)
that its operands have; an operand with one instance goes with each of the others'. The grammar is a part of Python's:
``and or not``, comparisons, ``in (1, 2)``, arithmetic and bit operators, numbers, texts, and the functions ``all any sum
max min count`` over instances (one result) and ``matches(text, "regular expression")``.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vmcoredd_lab.rules.model import Evidence, NotEvaluableError

__all__ = ["Condition", "Operand", "Touched"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Operand:
    """A named column: one value per instance.

    name: as conditions name it
    values: integers, floats, booleans, or text (dtype object)
    missing: where there is no value; comparisons with it do not hold
    evidence: gives the bytes behind an instance
    labels: what an instance is called, e.g. ``port 1``; empty where there is only one
    exact: the values as they are shown, where those to count with are rounded
    """

    name: str
    values: Array
    missing: Array
    evidence: Callable[[int], Evidence]
    labels: tuple[str, ...]
    exact: Array | None = None

    def text(self, instance: int) -> str:
        """Return an instance's value as text."""
        value = (self.values if self.exact is None else self.exact)[instance]
        return str(value.item() if hasattr(value, "item") else value)


Touched = list[tuple[Operand, int]]
Resolve = Callable[[str], Operand]


@dataclass(frozen=True)
class _Part:
    """A value for each instance, where it is missing, and which operands an instance's value came from."""

    values: Array
    missing: Array
    touched: Callable[[int], Touched]

    def at(self, instance: int) -> int:
        return instance if len(self.values) > 1 else 0


_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: np.divide, ast.Mod: np.remainder,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.RShift: operator.rshift, ast.FloorDiv: np.floor_divide,
}  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """A condition; what it names is resolved when it is evaluated."""

    text: str

    @cached_property
    def _tree(self) -> ast.expr:
        return ast.parse(self.text, mode="eval").body

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The operands, in the order of the text, each once."""
        return tuple(dict.fromkeys(_names(self._tree)))

    def evaluate(self, resolve: Resolve) -> list[tuple[int, Touched]]:
        """Return the instances for which it holds, each with the operands (and their instances) that made it so.

        Raises
        ------
        NotEvaluableError: what an operand needs is not there, or no instance has all of its values.
        """
        part = self._part(self._tree, resolve)
        holds = part.values.astype(bool) & ~part.missing
        if part.missing.all() and len(part.missing):
            raise NotEvaluableError("the bytes it needs are damaged or cut off")
        return [(i, part.touched(i)) for i in np.flatnonzero(holds).tolist()]

    def size(self, resolve: Resolve) -> int:
        """Return how many instances it is evaluated for."""
        return len(self._part(self._tree, resolve).values)

    def _part(self, node: ast.expr, resolve: Resolve) -> _Part:
        name = _dotted(node)
        if name is not None:
            one = resolve(name)
            return _Part(one.values, one.missing, lambda i: [(one, i if len(one.values) > 1 else 0)])
        kinds: dict[type, Callable[[Any, Resolve], _Part]] = {
            ast.Constant: self._constant, ast.BoolOp: self._bool, ast.UnaryOp: self._unary, ast.Compare: self._compare,
            ast.BinOp: self._binary, ast.Call: self._call,
        }  # fmt: skip
        if type(node) not in kinds:
            raise ValueError(f"{ast.unparse(node)!r} is no part of a condition")
        return kinds[type(node)](node, resolve)

    def _constant(self, node: ast.Constant, _: Resolve) -> _Part:
        return _Part(np.array([node.value]), np.zeros(1, bool), lambda _: [])

    def _unary(self, node: ast.UnaryOp, resolve: Resolve) -> _Part:
        part = self._part(node.operand, resolve)
        values = ~part.values.astype(bool) if isinstance(node.op, ast.Not) else -part.values
        return _Part(values, part.missing, part.touched)

    def _binary(self, node: ast.BinOp, resolve: Resolve) -> _Part:
        left, right = self._part(node.left, resolve), self._part(node.right, resolve)
        with np.errstate(all="ignore"):
            return _joined(_BINARY[type(node.op)](*_equal(left, right)), [left, right])

    def _bool(self, node: ast.BoolOp, resolve: Resolve) -> _Part:
        parts = [self._part(value, resolve) for value in node.values]
        size = _size(parts)
        truth = [np.broadcast_to(p.values.astype(bool) & ~p.missing, size) for p in parts]
        missing = [np.broadcast_to(p.missing, size) for p in parts]
        if isinstance(node.op, ast.And):
            known_false = np.any([~t & ~m for t, m in zip(truth, missing, strict=True)], axis=0)
            return _Part(np.all(truth, axis=0), np.any(missing, axis=0) & ~known_false, _all_of(parts))
        holds = np.any(truth, axis=0)

        def touched(i: int) -> Touched:
            at = i if size > 1 else 0
            return [t for p, ok in zip(parts, truth, strict=True) if ok[at] for t in p.touched(p.at(i))]

        return _Part(holds, np.all(missing, axis=0), touched)

    def _compare(self, node: ast.Compare, resolve: Resolve) -> _Part:
        left = self._part(node.left, resolve)
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            values = np.isin(
                left.values, ast.literal_eval(node.comparators[0]), invert=isinstance(node.ops[0], ast.NotIn)
            )
            return _Part(values, left.missing, left.touched)
        parts = [left, *(self._part(other, resolve) for other in node.comparators)]
        holds: Any = True
        with np.errstate(all="ignore"):
            for op, one, other in zip(node.ops, parts, parts[1:], strict=False):
                holds = holds & _COMPARE[type(op)](*_equal(one, other))
        return _joined(holds, parts)

    def _call(self, node: ast.Call, resolve: Resolve) -> _Part:
        assert isinstance(node.func, ast.Name)
        part = self._part(node.args[0], resolve)
        if node.func.id == "matches":
            pattern = re.compile(ast.literal_eval(node.args[1]), re.I)
            found = np.array([bool(v) and pattern.search(str(v)) is not None for v in part.values.tolist()], bool)
            return _Part(found, part.missing, part.touched)
        known = part.values[~part.missing]
        reduced = _REDUCE[node.func.id](known)
        which = np.flatnonzero(~part.missing)
        if node.func.id in ("any", "count"):
            which = which[known.astype(bool)]

        def touched(_: int) -> Touched:
            return [t for i in which.tolist()[:64] for t in part.touched(i)]

        return _Part(np.array([reduced]), np.array([not len(known) and node.func.id in ("all", "max", "min")]), touched)


_REDUCE: dict[str, Callable[[Any], Any]] = {
    "all": lambda v: bool(v.astype(bool).all()), "any": lambda v: bool(v.astype(bool).any()),
    "count": lambda v: int(v.astype(bool).sum()), "sum": lambda v: v.sum() if len(v) else 0,
    "max": lambda v: v.max() if len(v) else 0, "min": lambda v: v.min() if len(v) else 0,
}  # fmt: skip


def _equal(one: _Part, other: _Part) -> tuple[Array, Array]:
    _size([one, other])
    return one.values, other.values


def _size(parts: list[_Part]) -> int:
    sizes = {len(part.values) for part in parts}
    sizes.discard(1)
    if len(sizes) > 1:
        raise NotEvaluableError(
            f"what it compares is not there as often: {' and '.join(map(str, sorted(sizes)))} times"
        )
    return sizes.pop() if sizes else 1


def _joined(values: Any, parts: list[_Part]) -> _Part:
    missing: Any = False
    for part in parts:
        missing = missing | part.missing
    return _Part(np.asarray(values), np.broadcast_to(missing, np.shape(values)), _all_of(parts))


def _all_of(parts: list[_Part]) -> Callable[[int], Touched]:
    return lambda i: [t for part in parts for t in part.touched(part.at(i))]


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = _dotted(node.value)
        return None if head is None else f"{head}.{node.attr}"
    return None


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.expr) and (name := _dotted(node)) is not None:
        yield name
        return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.Call) and child is node.func):
            yield from _names(child)
