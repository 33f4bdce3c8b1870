"""Rules: what can be wrong, and the bytes that prove it. Decoders and the kernel's side bring them."""

from vmcoredd_lab.rules.condition import Condition, Operand
from vmcoredd_lab.rules.declared import DeclaredRule, declared_rules
from vmcoredd_lab.rules.model import (
    CONFIDENCES,
    SEVERITIES,
    Evidence,
    Finding,
    Match,
    NotEvaluableError,
    Rule,
    Skipped,
    apply,
    worse,
)

__all__ = [
    "CONFIDENCES",
    "SEVERITIES",
    "Condition",
    "DeclaredRule",
    "Evidence",
    "Finding",
    "Match",
    "NotEvaluableError",
    "Operand",
    "Rule",
    "Skipped",
    "apply",
    "declared_rules",
    "worse",
]
