"""Conditions of rules: over all instances at once, with what is missing, and which operands made them hold."""

from __future__ import annotations

import numpy as np
import pytest

from vmcoredd_lab.rules import Condition, Evidence, NotEvaluableError, Operand

PORTS = ("port 0", "port 1", "port 2")


def operand(name, values, missing=None, labels=None):
    values = np.array(values)
    gone = np.zeros(len(values), bool) if missing is None else np.array(missing)
    return Operand(
        name, values, gone, lambda i: Evidence("file", 4 * i, 4, f"{name} {i}"), labels or ("",) * len(values)
    )


KNOWN = {
    "LINK": operand("LINK", [1, 0, 1], labels=PORTS),
    "ERRORS": operand("ERRORS", [0, 7, 9], labels=PORTS),
    "LOST": operand("LOST", [5, 5, 5], [False, True, False], PORTS),
    "GONE": operand("GONE", [5], [True]),
    "CONTROL.Enable": operand("CONTROL.Enable", [0]),
    "TEXT": operand("TEXT", np.array(["Overheat now", "fine", ""], object)),
    "TWO": operand("TWO", [1, 2]),
}


def held(text):
    return [i for i, _ in Condition(text).evaluate(KNOWN.__getitem__)]


@pytest.mark.parametrize(
    ("text", "instances"),
    [
        ("LINK == 0", [1]),
        ("ERRORS > 0 and LINK == 1", [2]),
        ("ERRORS > 8 or LINK == 0", [1, 2]),
        ("CONTROL.Enable == 0 and ERRORS > 0", [1, 2]),
        ("not LINK == 1", [1]),
        ("ERRORS & 1 == 1", [1, 2]),
        ("ERRORS >> 3 == 1", [2]),
        ("ERRORS in (0, 9)", [0, 2]),
        ("all(LINK == 1)", []),
        ("any(LINK == 0)", [0]),
        ("sum(ERRORS) == 16", [0]),
        ("count(ERRORS > 0) == 2", [0]),
        ("ERRORS > 0.1 * max(ERRORS)", [1, 2]),
        ('matches(TEXT, "over ?heat")', [0]),
        ('TEXT == "fine"', [1]),
        ("0 < ERRORS < 9", [1]),
    ],
)
def test_a_condition_holds_for_the_instances_it_is_true_of(text, instances):
    assert held(text) == instances


def test_a_comparison_with_what_is_missing_does_not_hold():
    assert held("LOST == 5") == [0, 2]
    assert held("LOST != 5") == []
    assert held("not LOST == 4") == [0, 2]


def test_the_other_branch_of_an_or_can_hold_where_one_is_missing():
    assert held("GONE == 1 or LINK == 0") == [1]


def test_where_all_is_missing_it_cannot_be_evaluated():
    with pytest.raises(NotEvaluableError, match="damaged"):
        held("GONE == 5")


def test_operands_that_are_not_there_as_often_cannot_be_compared():
    with pytest.raises(NotEvaluableError, match="2 and 3 times"):
        held("LINK == TWO")


def test_only_what_made_it_hold_is_evidence():
    ((instance, touched),) = Condition("ERRORS > 8 or LINK == 0 and ERRORS == 99").evaluate(KNOWN.__getitem__)
    assert (instance, [(o.name, i) for o, i in touched]) == (2, [("ERRORS", 2)])


def test_the_names_are_those_of_the_operands():
    assert Condition('any(cfg.A.b > 0) or matches(log.text, "x.y")').names == ("cfg.A.b", "log.text")


@pytest.mark.parametrize("text", ["__import__('os')", "[1, 2]", "lambda: 1", "LINK[0]"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises((ValueError, KeyError)):
        held(text)
