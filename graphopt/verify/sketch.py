"""The left side of a rule as the nodes of a graph, one of the many that it stands for: an alternative for each `|`, an
order and a nest for each operator that commutes, each optional input there or not. Types and shapes come later."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphopt.lang import tree as t
from graphopt.lang.operators import COMMUTATIVE, split_operator
from graphopt.lang.versions import Formal, Version, versions_of
from graphopt.verify.choices import Choices, Impossible

Path = tuple[int, ...]
"""Where a node stands in the match section: the statement, then inputs and alternatives."""

VARIADIC_COUNTS = (1, 2, 2, 3, 4)


@dataclass
class Leaf:
    """A tensor that the pattern reads and no node of it makes.

    Attributes:
        name: that of the rule's variable, or one of our own with an underscore in front.
        is_const: whether the pattern wants a constant.
        type: what the pattern says of its type.
        number: the number that it is, where the pattern writes one.
        variable: the variable of the rule, if any.
    """

    name: str
    is_const: bool = False
    type: t.TypePattern | None = None
    number: t.Number | None = None
    variable: str | None = None


@dataclass
class NodeSketch:
    """A node without attributes; None is an absent input or output."""

    path: Path
    op_type: str
    domain: str
    pattern: t.NodePattern
    inputs: list[str | None]
    outputs: list[str | None]
    version: Version | None
    statement: int

    def formal(self, index: int) -> Formal | None:
        return self.version.input(index) if self.version is not None else None


@dataclass
class Sketch:
    """Nodes in execution order, and the leaves by name.

    Attributes:
        variadic: the leaves behind each `*xs`.
        ends: the values that the rule defines again.
        shared: values of `shared` statements, which may have other readers.
    """

    opset: int
    nodes: list[NodeSketch] = field(default_factory=lambda: [])
    leaves: dict[str, Leaf] = field(default_factory=lambda: {})
    variadic: dict[str, tuple[str, ...]] = field(default_factory=lambda: {})
    ends: list[str] = field(default_factory=lambda: [])
    shared: list[str] = field(default_factory=lambda: [])

    @property
    def interior(self) -> list[str]:
        """Values that lie between the nodes and that nobody outside may read."""
        open_ended = {*self.ends, *self.shared}
        return [o for n in self.nodes for o in n.outputs if o is not None and o not in open_ended]


def version_at(domain: str, name: str, opset: int) -> Version | None:
    """The version of an operator that is in force at an opset of its domain; None where none is, or none is known.

    For other domains than the default one that is the newest.
    """
    known = versions_of(domain, name)
    if domain:
        return known[-1] if known else None
    found = [v for v in known if v.since <= opset]
    return found[-1] if found and not found[-1].is_deprecated else None


def sketch(rule: t.Rule, opset: int, choices: Choices) -> Sketch:
    """One graph that the pattern of a rule (whose operator generics are chosen) stands for.

    Raises:
        Impossible: the pattern cannot occur at this opset, or not by these choices.
    """
    sketcher = _Sketcher(rule, opset, choices)
    for number in range(len(rule.matches)):
        sketcher.statement(number)
    return sketcher.finish()


class _Sketcher:
    def __init__(self, rule: t.Rule, opset: int, choices: Choices) -> None:
        self.rule = rule
        self.choices = choices
        self.found = Sketch(opset)
        self.producers = {n: i for i, m in enumerate(rule.matches) for n in m.targets if n is not None}
        self._done: set[int] = set()
        self._absent: set[str] = set()
        self._numbers = 0

    def fresh(self, kind: str) -> str:
        self._numbers += 1
        return f"_{kind}{self._numbers}"

    def statement(self, number: int) -> None:
        if number in self._done:
            return
        self._done.add(number)
        match = self.rule.matches[number]
        pattern, path = self._option(match.pattern, (number,))
        self._node(pattern, list(match.targets), path, number)

    def finish(self) -> Sketch:
        redefined = {name for r in self.rule.rewrites for name in r.targets if name}
        made = {o for n in self.found.nodes for o in n.outputs if o is not None}
        for match in self.rule.matches:
            for name in match.targets:
                if name in redefined and name in made:
                    self.found.ends.append(name)
                elif match.is_shared and name in made:
                    self.found.shared.append(str(name))
        return self.found

    def _option(self, pattern: t.NodePattern | t.Alternatives, path: Path) -> tuple[t.NodePattern, Path]:
        if isinstance(pattern, t.NodePattern):
            return pattern, path
        chosen = self.choices.pick(("alternative", path), range(len(pattern.options)))
        return pattern.options[chosen], (*path, chosen)

    # --- nodes ---

    def _node(self, pattern: t.NodePattern, targets: list[str | None], path: Path, statement: int) -> None:
        domain, op_type = split_operator(pattern.operator)
        version = version_at(domain, op_type, self.found.opset)
        if version is None and not domain:
            raise Impossible(f"there is no {op_type} in opset {self.found.opset}")
        inputs = self._inputs(pattern, version, path, statement)
        outputs = self._outputs(targets, version, path)
        if pattern.is_product:
            self._nest(pattern, inputs, outputs, path, statement)
            return
        if (domain, op_type) in COMMUTATIVE and len(inputs) > 1:
            inputs = self._shuffled(inputs, path)
        while inputs and inputs[-1] is None:
            inputs.pop()
        if version is not None and not version.arity[0] <= len(inputs) <= version.arity[1]:
            raise Impossible(f"{op_type} does not take {len(inputs)} inputs")
        self.found.nodes.append(NodeSketch(path, op_type, domain, pattern, inputs, outputs, version, statement))

    def _shuffled(self, inputs: list[str | None], path: Path) -> list[str | None]:
        count = len(inputs)

        def sample() -> tuple[int, ...]:
            order = list(range(count))
            if self.choices.random.random() < 0.6:
                self.choices.random.shuffle(order)
            return tuple(order)

        order = self.choices.draw(("operand order", path, count), sample)
        if sorted(order) != list(range(count)):  # drawn for another form of the rule
            order = range(count)
        return [inputs[i] for i in order]

    def _nest(
        self, pattern: t.NodePattern, inputs: list[str | None], outputs: list[str | None], path: Path, statement: int
    ) -> None:
        """A product of several operands as a nest of nodes with two each."""
        domain, op_type = split_operator(pattern.operator)
        version = version_at(domain, op_type, self.found.opset)
        operands: list[str | None] = self._shuffled(inputs, path)
        number = 0
        while len(operands) > 1:
            pairs = [(i, j) for i in range(len(operands)) for j in range(len(operands)) if i != j]
            i, j = self.choices.pick(("nest", path, number), pairs)
            made = self.fresh("t") if len(operands) > 2 else outputs[0]
            place = path if len(operands) == 2 else (*path, 1000 + number)
            pair = [operands[i], operands[j]]
            self.found.nodes.append(NodeSketch(place, op_type, domain, pattern, pair, [made], version, statement))
            operands = [*(o for k, o in enumerate(operands) if k not in (i, j)), made]
            number += 1

    def _outputs(self, targets: list[str | None], version: Version | None, path: Path) -> list[str | None]:
        """Outputs that nobody reads may be there or not."""
        outputs = list(targets)
        for index, name in enumerate(targets):
            formal = version.output(index) if version is not None else None
            needed = index == 0 or (formal is not None and formal.option == "single")
            if name is None and (needed or self.choices.is_so(("output", path, index), 0.5)):
                outputs[index] = self.fresh("t")
        while len(outputs) > 1 and outputs[-1] is None:
            outputs.pop()
        return outputs

    # --- inputs ---

    def _inputs(self, pattern: t.NodePattern, version: Version | None, path: Path, statement: int) -> list[str | None]:
        inputs: list[str | None] = []
        for index, part in enumerate(pattern.inputs):
            place = (*path, index)
            if isinstance(part, t.Variadic):
                inputs.extend(self._variadic(part, version, len(inputs)))
                continue
            formal = version.input(0 if pattern.is_product else index) if version is not None else None
            if version is not None and formal is None:
                if isinstance(part, t.Variable) and part.is_optional:
                    self._absent.add(part.name)
                elif not isinstance(part, (t.Absent, t.Anything)):
                    raise Impossible(f"{pattern.operator} has no input {index}")
                inputs.append(None)
                continue
            inputs.append(self._input(part, formal, place, statement))
        return inputs

    def _input(self, part: t.InputPattern, formal: Formal | None, path: Path, statement: int) -> str | None:
        if isinstance(part, t.Variable):
            return self._variable(part)
        if isinstance(part, t.Number):
            return self._leaf(Leaf(self.fresh("c"), is_const=True, number=part))
        if isinstance(part, (t.NodePattern, t.Alternatives)):
            pattern, place = self._option(part, path)
            made = self.fresh("t")
            self._node(pattern, [made], place, statement)
            return made
        if isinstance(part, t.Absent):
            return None
        is_optional = formal is not None and formal.option == "optional"
        if is_optional and not self.choices.is_so(("present", path), 0.4):
            return None
        return self._leaf(Leaf(self.fresh("x")))

    def _variable(self, part: t.Variable) -> str | None:
        name = part.name
        if name in self.producers:
            self.statement(self.producers[name])
            return name
        if name in self._absent:
            return None
        if name in self.found.leaves:
            known = self.found.leaves[name]
            known.is_const = known.is_const or part.is_const
            known.type = known.type or part.type
            return name
        if part.is_optional and not self.choices.is_so(("present", name), 0.6):
            self._absent.add(name)
            return None
        return self._leaf(Leaf(name, part.is_const, part.type, variable=name))

    def _variadic(self, part: t.Variadic, version: Version | None, before: int) -> tuple[str, ...]:
        if part.name not in self.found.variadic:
            least, most = (version.arity[0] - before, version.arity[1] - before) if version is not None else (1, 4)
            counts = [c for c in VARIADIC_COUNTS if least <= c <= most]
            count = self.choices.pick(("count", part.name), counts)
            leaves = [self._leaf(Leaf(f"{part.name}_{i}", variable=part.name)) for i in range(count)]
            self.found.variadic[part.name] = tuple(leaves)
        return self.found.variadic[part.name]

    def _leaf(self, leaf: Leaf) -> str:
        self.found.leaves[leaf.name] = leaf
        return leaf.name
