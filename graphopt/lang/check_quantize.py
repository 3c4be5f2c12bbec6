"""Rules that quantize: they say so, and ask for the ranges that they take."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.lang import tree as t
from graphopt.lang.diagnostics import Diagnostics
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.names import walk
from graphopt.lang.quantizer import QUANTIZER

STEPS = ("scale", "zero_point")


def check_quantize(rule: t.Rule, found: Diagnostics) -> None:
    """What is quantized differs by up to half a step, which is a contract of its own; and the steps of a tensor are
    known where it was calibrated, or where the match has found it quantized."""
    calls = [c for item in (*rule.lets, *rule.rewrites) for c in walk(item) if isinstance(c, t.Call)]
    steps = [c for c in calls if c.function in FUNCTIONS and FUNCTIONS[c.function].reads == QUANTIZER]
    if not steps:
        return
    if rule.equal != "quant":
        found.add("GR054", f"{rule.name} quantizes, and says equal {rule.equal}", steps[0].span, "say equal quant")
    known = {*_asked(rule), *_found(rule)}
    for call in steps:
        tensor = call.arguments[0] if call.arguments and call.function in STEPS else None
        if isinstance(tensor, t.Name) and tensor.name not in known:
            known.add(tensor.name)
            message = f"{tensor.name} is quantized, whether its range is known or not"
            found.add("GR055", message, call.span, f"ask for it under when: calibrated({tensor.name})")


def _asked(rule: t.Rule) -> Iterator[str]:
    pending = [*rule.where, *rule.when]
    while pending:
        condition = pending.pop()
        if isinstance(condition, t.Operation) and condition.sign == "and":
            pending.extend(condition.operands)
        elif isinstance(condition, t.Call) and condition.function in ("calibrated", "quantized"):
            yield from (a.name for a in condition.arguments if isinstance(a, t.Name))


def _found(rule: t.Rule) -> Iterator[str]:
    """What the match has found in codes."""
    for match in rule.matches:
        for part in walk(match.pattern):
            if isinstance(part, t.NodePattern) and part.operator == "QuantizeLinear":
                yield from (i.name for i in part.inputs[:1] if isinstance(i, t.Variable))
        if isinstance(match.pattern, t.NodePattern) and match.pattern.operator == "DequantizeLinear":
            yield from (name for name in match.targets if name is not None)
