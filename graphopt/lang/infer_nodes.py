"""What a rewrite makes: results, and inputs and attributes of its nodes."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.graph.attributes import Kind
from graphopt.lang import tree as t
from graphopt.lang.attribute_sorts import attribute_sort
from graphopt.lang.check_operators import operators_of
from graphopt.lang.infer_sorts import Inference
from graphopt.lang.sort_rules import Facts, facts_of
from graphopt.lang.sorts import CONST, DTYPE, FLOAT, INT, NONE, TENSOR, Sort, fits, list_of
from graphopt.lang.versions import Formal, newest_within


class NodeSorts:
    """Checks the nodes of one rule's rewrites."""

    def __init__(self, rule: t.Rule, inference: Inference) -> None:
        self.rule = rule
        self.inference = inference

    def check_rewrite(self, rewrite: t.Rewrite, facts: Facts) -> None:
        """The value of a rewrite must be a value of the graph: a node, something matched, or a choice of these.

        The names that it binds are known from then on."""
        for value, known in _branches(rewrite.value, facts, self.inference):
            if isinstance(value, t.NodeCall):
                self._node(value, known)
            elif len(rewrite.targets) > 1:
                message = f"{len(rewrite.targets)} names stand for the outputs of a node, and this is none"
                self.inference.refuse("GR015", message, value.span)
            else:
                self._result(value, known)
        self.inference.sorts.update((name, TENSOR) for name in rewrite.targets if name is not None)

    def _result(self, value: t.Expression, facts: Facts) -> None:
        sort = self.inference.infer(value, facts)
        if sort.is_any:
            return
        if sort.may_be_absent:
            self.inference.absent(value)
        elif not sort.names() <= {"tensor", "const"}:
            self.inference.refuse("GR029", f"a value of the graph is wanted here, and this is {sort}", value.span)
        elif not self._is_value(value):
            help_line = "hand it to a node: Identity(...)"
            self.inference.refuse("GR029", "a value of the graph cannot be a bare constant", value.span, help_line)

    def _is_value(self, value: t.Expression) -> bool:
        """Whether an expression stands for something that is in the graph."""
        if isinstance(value, t.Name):
            return value.name not in {let.name for let in self.rule.lets}
        if isinstance(value, t.Index):  # of the inputs that `*xs` has bound
            return self._is_value(value.of)
        return isinstance(value, t.Operation) and value.sign == "??" and all(self._is_value(o) for o in value.operands)

    def _node(self, node: t.NodeCall, facts: Facts) -> None:
        operators = operators_of(node.operator, self.rule)
        for position, argument in enumerate(node.arguments):
            formals = [_formal(o, position, self.rule) for o in operators]
            if isinstance(argument, t.Each):
                self._each(argument, facts, formals)
            else:
                self._argument(argument, facts, formals)
        for name, value, _ in node.attributes:
            self._attribute(name, value, facts, operators)

    def _argument(self, argument: t.Expression, facts: Facts, formals: list[Formal | None]) -> None:
        for value, known in _branches(argument, facts, self.inference):
            if isinstance(value, t.NodeCall):
                self._node(value, known)
            else:
                self._input(value, known, formals)

    def _each(self, argument: t.Each, facts: Facts, formals: list[Formal | None]) -> None:
        """The same for each tensor of a list: in it the name stands for one of them."""
        whole = self.inference.sorts[argument.name]
        self.inference.sorts[argument.name] = TENSOR
        self._argument(argument.value, facts, formals)
        self.inference.sorts[argument.name] = whole

    def _input(self, value: t.Expression, facts: Facts, formals: list[Formal | None]) -> None:
        sort = self.inference.infer(value, facts)
        if sort.may_be_absent and any(f is not None and f.option == "single" for f in formals):
            self.inference.absent(value)
        elif not fits(sort, TENSOR | NONE | list_of(TENSOR)):
            self.inference.refuse("GR029", f"inputs of nodes are tensors, and this is {sort}", value.span)

    def _attribute(self, name: str, value: t.Expression, facts: Facts, operators: tuple[str, ...]) -> None:
        sort = self.inference.infer(value, facts)
        for operator in operators:
            wanted = attribute_sort(operator, name, self.rule.opset)
            version = newest_within(operator, self.rule.opset)
            declared = version.attributes.get(name) if version is not None else None
            if sort.may_be_absent and declared is not None and declared.is_required:
                self.inference.absent(value)
                return
            if not fits(sort.present, _assignable(wanted, declared.kind if declared is not None else None)):
                message = f"the attribute {name} of {operator} is {wanted}, and this is {sort.present}"
                self.inference.refuse("GR029", message, value.span)
                return


def _assignable(wanted: Sort, kind: int | None) -> Sort:
    """Constants are no numbers here; a literal number may stand for an element type."""
    if wanted == DTYPE:
        return DTYPE | INT
    if kind in (Kind.FLOATS, Kind.FLOAT):
        return wanted | FLOAT if kind == Kind.FLOAT else list_of(FLOAT)
    return CONST if kind == Kind.TENSOR else wanted


def _formal(operator: str, position: int, rule: t.Rule) -> Formal | None:
    version = newest_within(operator, rule.opset)
    return version.input(position) if version is not None else None


def _branches(value: t.Expression, facts: Facts, inference: Inference) -> Iterator[tuple[t.Expression, Facts]]:
    """What a value can be, one for each branch of its `if`s, with what is known there."""
    if not isinstance(value, t.Operation) or value.sign != "if":
        yield value, facts
        return
    first, condition, second = value.operands
    inference.condition(condition, facts)
    yield from _branches(first, facts.and_also(facts_of(condition, True)), inference)
    yield from _branches(second, facts.and_also(facts_of(condition, False)), inference)
