"""Right sides as closures: what they compute is a plan of new nodes, which nobody has put into the graph yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Value
from graphopt.lang import tree as t
from graphopt.lang.evaluate import Bindings, compile_expression
from graphopt.lang.operators import split_operator
from graphopt.lang.values import UNKNOWN, Decline, Symbol, as_truth, is_list


@dataclass(eq=False)
class NewNode:
    """A node to be made. Inputs are Values, outputs of other new nodes, constants, or None where absent."""

    op_type: str
    domain: str
    inputs: list[Any]
    hints: list[str]
    attributes: dict[str, Any]
    outputs: list[NewOutput] = field(default_factory=lambda: [])


@dataclass(eq=False)
class NewOutput:
    """One output of a node to be made."""

    node: NewNode
    index: int


@dataclass
class Plan:
    """What a rewrite wants: new nodes in execution order, and for each rebound name what it stands for now."""

    nodes: list[NewNode] = field(default_factory=lambda: [])
    results: dict[str, Any] = field(default_factory=lambda: {})


Emit = Callable[[Bindings, Plan], Any]


def compile_rewrites(rule: t.Rule) -> Callable[[Bindings], Plan]:
    """A closure that makes the plan of a rule from the bindings of a match.

    It raises `Decline` where something is not known or not representable.
    """
    defined = {name for m in rule.matches for name in m.targets if name}
    lists = frozenset(name for m in rule.matches for name in _variadics(m.pattern))
    steps = [(r.targets, _compile(r.value, lists, len(r.targets))) for r in rule.rewrites]

    def run(bindings: Bindings) -> Plan:
        plan = Plan()
        local = dict(bindings)
        for targets, emit in steps:
            value = emit(local, plan)
            values = list(value.node.outputs) if len(targets) > 1 else [value]
            for name, result in zip(targets, values, strict=True):
                if name is None:
                    continue
                if name in defined:
                    plan.results[name] = result
                local[name] = result
        return plan

    return run


def _variadics(pattern: t.InputPattern) -> list[str]:
    """Names that stand for all inputs that are left: `*xs`."""
    if isinstance(pattern, t.Variadic):
        return [pattern.name]
    if isinstance(pattern, t.Alternatives):
        return [name for option in pattern.options for name in _variadics(option)]
    return [n for i in pattern.inputs for n in _variadics(i)] if isinstance(pattern, t.NodePattern) else []


def _compile(expression: t.Expression, lists: frozenset[str], outputs: int = 1) -> Emit:
    if isinstance(expression, t.NodeCall):
        return _node_call(expression, lists, outputs)
    if isinstance(expression, t.Operation) and expression.sign == "if":
        return _choice(expression, lists, outputs)
    if isinstance(expression, t.Each):
        return _each(expression)
    compute = compile_expression(expression)

    def run(bindings: Bindings, _plan: Plan) -> Any:
        value = compute(bindings)
        if _is_open(value):
            raise Unsettled("a value that the rewrite needs is not known")
        return value

    return run


def _is_open(value: Any) -> bool:
    return value is UNKNOWN or isinstance(value, Symbol) or (is_list(value) and any(_is_open(v) for v in value))


class Unsettled(Decline):
    """The rewrite needs something that is not established (rather than something that is false)."""


def _choice(expression: t.Operation, lists: frozenset[str], outputs: int) -> Emit:
    value, condition, alternative = expression.operands
    first, second = _compile(value, lists, outputs), _compile(alternative, lists, outputs)
    decide = compile_expression(condition)

    def run(bindings: Bindings, plan: Plan) -> Any:
        truth = as_truth(decide(bindings))
        if truth is UNKNOWN:
            raise Unsettled("a condition of the rewrite is not known")
        return first(bindings, plan) if truth else second(bindings, plan)

    return run


def _node_call(expression: t.NodeCall, lists: frozenset[str], outputs: int) -> Emit:
    domain, op_type = split_operator(expression.operator)
    arguments = [_compile(a, lists) for a in expression.arguments]
    hints = [_hint(a) for a in expression.arguments]
    attributes = [(name, _compile(value, lists)) for name, value, _ in expression.attributes]
    rest = expression.rest

    def run(bindings: Bindings, plan: Plan) -> Any:
        inputs: list[Any] = []
        names: list[str] = []
        for emit, hint in zip(arguments, hints, strict=True):
            value = emit(bindings, plan)
            hint = hint(bindings) if callable(hint) else hint
            spread = hint in lists or (hint != CONSTANT and _is_variadic(value))
            inputs.extend(value if spread else (value,))
            names.extend([hint] * (len(value) if spread else 1))
        captured: dict[str, Attribute] = bindings[rest] if rest is not None else {}
        wanted: dict[str, Any] = dict(captured)
        wanted.update((name, emit(bindings, plan)) for name, emit in attributes)
        node = NewNode(op_type, domain, inputs, names, wanted)
        node.outputs = [NewOutput(node, i) for i in range(outputs)]
        plan.nodes.append(node)
        return node.outputs[0]

    return run


CONSTANT = "constant"

WHOLE = "@"
"""A hint that begins with this is a name by itself; others are what constants are called after, and numbered."""


def _hint(argument: t.Expression) -> str | Callable[[Bindings], str]:
    """What an input is called after, where it is a constant that the rewrite has made: its name in the rule, or what
    was computed of which tensor."""
    if not isinstance(argument, t.Call):
        return argument.name if isinstance(argument, t.Name | t.Each) else CONSTANT
    first = argument.arguments[0] if argument.arguments else None
    if not isinstance(first, t.Name):
        return argument.function

    def run(bindings: Bindings) -> str:
        value = bindings.get(first.name)
        return f"{WHOLE}{value.name}.{argument.function}" if isinstance(value, Value) else argument.function

    return run


def _each(expression: t.Each) -> Emit:
    name, emit = expression.name, _compile(expression.value, frozenset())

    def run(bindings: Bindings, plan: Plan) -> Any:
        return tuple(emit({**bindings, name: item}, plan) for item in bindings[name])

    return run


def _is_variadic(value: Any) -> bool:
    return is_list(value) and bool(value) and all(v is None or isinstance(v, (Value, NewOutput)) for v in value)
