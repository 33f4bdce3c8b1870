"""The rules of cxgb4 adapters: declared in data/health_rules.csv, with functions for what a condition cannot say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.rules import causes, collection, engines, firmware, queues
from vmcoredd_lab.rules import Rule, declared_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmcoredd_lab.devices.cxgb4.adapter import Cxgb4
    from vmcoredd_lab.rules import Match

__all__ = ["FUNCTIONS", "rules"]

FUNCTIONS: dict[str, Any] = {
    **causes.FUNCTIONS, **collection.FUNCTIONS, **engines.FUNCTIONS, **firmware.FUNCTIONS, **queues.FUNCTIONS,
}  # fmt: skip


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules, in the order of the table; each is evaluated over the decoded adapter."""
    return tuple(
        replace(rule, find=_over_adapter(rule.find))
        for rule in declared_rules(read_table("health_rules.csv"), FUNCTIONS)
    )


def _over_adapter(find: Callable[[Any], Iterable[Match]]) -> Callable[[Cxgb4], Iterable[Match]]:
    return lambda nic: find(nic.rule_case)
