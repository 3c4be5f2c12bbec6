"""Carrying out a plan: all of it, with types established and the interface intact, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from onnx.shape_inference import InferenceError

from graphopt.errors import NothingChanged
from graphopt.graph.attributes import Attribute
from graphopt.graph.dead import sweep
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.graph.order import depends_on
from graphopt.graph.schemas import attribute_default, attribute_kind
from graphopt.graph.tensor import Tensor
from graphopt.graph.types import infer_node, merge_shapes
from graphopt.lang.literals import same_attribute
from graphopt.lang.values import Decline
from graphopt.rewrite.emit import WHOLE, NewNode, NewOutput, Plan
from graphopt.rewrite.mark import mark
from graphopt.rewrite.operands import schema_types, to_attribute, to_tensor
from graphopt.rewrite.pairs import CODES, DEQUANTIZE, QUANTIZE, VALUES, find_twin, output_name, same_constant, supersede
from graphopt.rewrite.rule import CompiledRule
from graphopt.rewrite.state import State


@dataclass
class Change:
    """What a firing did: nodes taken out, nodes put in, and values whose readers may match anew."""

    removed: list[Node]
    added: list[Node]
    touched: list[Value]


def apply_plan(rule: CompiledRule, state: State) -> Change:
    """Carry out the plan of a match.

    Raises:
        Decline: the result would not have the types that the values had, a constant does not fit its type,
            or the only change would be none.
        RewriteError: the rule changes nothing, or emits what its operator does not take.
    """
    return _draft(rule, state).commit(state.plan)


def check_plan(rule: CompiledRule, state: State) -> None:
    """Everything that `apply_plan` does before it changes the graph; raises what it would raise."""
    _draft(rule, state)


def _draft(rule: CompiledRule, state: State) -> _Draft:
    plan: Plan = state.plan
    plan.results = {n: r for n, r in plan.results.items() if state.bindings[n] is not None}
    draft = _Draft(rule, state)
    for node in plan.nodes:
        draft.add(node)
    plan.results = {n: draft.there(r) for n, r in plan.results.items()}
    draft.check_results(plan)
    return draft


class _Draft:
    """New nodes with types, not yet in the graph."""

    def __init__(self, rule: CompiledRule, state: State) -> None:
        self.rule = rule
        self.state = state
        self.model: Model = state.model
        self.graph: Graph = state.graph
        self.nodes: dict[NewNode, Node] = {}
        self.reused: dict[NewNode, Node] = {}
        self.instead: dict[Node, Node] = {}
        self.constants: list[tuple[Node, int, Tensor, str]] = []
        self.moved: dict[Value, Value] = {}
        self.root = next(iter(state.nodes or state.shared))

    def add(self, new: NewNode) -> None:
        self.nodes[new] = node = Node(new.op_type, [], [], self._attributes(new), domain=new.domain)
        outputs = [Value(f"{i}", self.graph) for i in range(len(new.outputs))]
        node.outputs = list(outputs)
        node.inputs = self._inputs(new, node)
        node.trim_inputs()
        try:
            infer_node(node, self.model)
        except InferenceError as error:
            raise Decline(f"{new.op_type} does not take these inputs: {str(error).splitlines()[0]}") from None
        twin = find_twin(node, self.graph, self.state.nodes)
        if twin is not None:
            self.reused[new] = twin
            del self.nodes[new]
            self.constants = [c for c in self.constants if c[0] is not node]

    def there(self, result: Any) -> Any:
        """A result that a node of the graph makes already, as its value; any other as it is."""
        is_reused = isinstance(result, NewOutput) and result.node in self.reused
        return self.reused[result.node].outputs[result.index] if is_reused else result

    def _inputs(self, new: NewNode, node: Node) -> list[Value | None]:
        values: list[Value | None] = []
        pending: list[tuple[int, Any]] = []
        for index, operand in enumerate(map(self.there, new.inputs)):
            if isinstance(operand, NewOutput):
                values.append(self.nodes[operand.node].outputs[operand.index])
            elif operand is None or isinstance(operand, Value):
                values.append(operand)
            else:
                values.append(None)
                pending.append((index, operand))
        types = schema_types(new, self.model)
        known = {types[i]: v.dtype for i, v in enumerate(values) if v is not None and v.dtype and types[i]}
        for index, operand in pending:
            tensor = to_tensor(operand, known.get(types[index]), self.state.bindings)
            known.setdefault(types[index], tensor.dtype)
            placeholder = Value(f"c{index}", self.graph, tensor.dtype, tensor.shape)
            placeholder.constant = tensor
            values[index] = placeholder
            self.constants.append((node, index, tensor, new.hints[index]))
        return values

    def _attributes(self, new: NewNode) -> dict[str, Attribute]:
        opset = self.model.opsets.get(new.domain, 0)
        made: dict[str, Attribute] = {}
        for name, value in new.attributes.items():
            if isinstance(value, Attribute):
                made[name] = value
                continue
            default = attribute_default(new.op_type, opset, name, new.domain)
            if value is None or (default is not None and same_attribute(value, default)):
                continue
            kind = attribute_kind(new.op_type, opset, name, new.domain)
            made[name] = to_attribute(name, kind, value)
        return made

    def check_results(self, plan: Plan) -> None:
        """The values that are defined again must keep dtype and shape, as far as either is known."""
        for name, result in plan.results.items():
            old = self.state.bindings[name]
            new = self._value(result)
            if new is None:
                raise Decline(f"{name} would be a bare constant")
            if old.dtype is not None and new.dtype is not None and old.dtype is not new.dtype:
                raise Decline(f"{name} would change from {old.dtype.name} to {new.dtype.name}")
            if not _shapes_agree(old, new):
                raise Decline(f"{name} would change its shape from {old!r} to {new!r}")
        self._check_reads(plan)
        removed = list(self.state.nodes)
        if len(self.nodes) == len(removed) == 1 and _is_same(next(iter(self.nodes.values())), removed[0]):
            raise NothingChanged(
                f"the rule {self.rule.place} fired at {removed[0].label} and changed nothing",
                help="add a condition that is false where there is nothing to do",
            )

    def _check_reads(self, plan: Plan) -> None:
        """What new nodes read must still be there, and must not depend on what they define."""
        operands = [v for n in plan.nodes for v in n.inputs if isinstance(v, Value)]
        operands += [v for v in plan.results.values() if isinstance(v, Value)]
        for value in operands:
            if value.producer in self.state.nodes:
                raise Decline(f"the rewrite reads {value.name}, which the match takes out")
        if len(plan.results) > 1 and depends_on(operands, self.state.nodes, self.graph):
            raise Decline("the rewrite would make a cycle")

    def _value(self, result: Any) -> Value | None:
        if isinstance(result, NewOutput):
            return self.nodes[result.node].outputs[result.index]
        return result if isinstance(result, Value) else None

    # --- from here on nothing can fail ---

    def commit(self, plan: Plan) -> Change:
        removed = list(self.state.nodes)
        twins = self._twins(plan)
        passed = {n: v for n, r in plan.results.items() if isinstance(v := r, Value)} | twins
        identities = self._identities(passed, removed)
        read = _values_read([*removed, *self.state.shared])
        for node in removed:
            self.graph.remove_node(node)
        self._name_nodes(removed)
        self._bind_outputs({r: n for n, r in plan.results.items() if isinstance(r, NewOutput) and n not in twins})
        touched = self._pass_through({n: v for n, v in passed.items() if n not in identities})
        self._copy({n: (passed[n], identity) for n, identity in identities.items()})
        added = [*self.nodes.values(), *identities.values()]
        order = max(n.order for n in removed) if removed else self.root.order
        for node, index, tensor, hint in self.constants:
            base = hint[1:] if hint.startswith(WHOLE) else hint
            node.inputs[index] = self.graph.add_initializer(tensor, base)
        for node in self.nodes.values():
            mark(node, [*removed, *self.state.shared], self.rule.place)
            self.graph.add_node(node, order)
        read.extend(self._supersede())
        read.extend(_values_read(sweep(read)))
        touched.extend(o for n in added for o in n.outputs if o is not None)
        touched.extend(v for v in read if v.producer is not None or v.is_input)
        return Change(removed, added, touched)

    def _twins(self, plan: Plan) -> dict[str, Value]:
        """Names that stand for the same new output as another name does, and the value of that one: one of the
        outputs of the graph, if any is."""
        made = {n: r for n, r in plan.results.items() if isinstance(r, NewOutput)}
        kept: dict[NewOutput, str] = {}
        for name in sorted(made, key=lambda n: not self.state.bindings[n].output_slots):
            kept.setdefault(made[name], name)
        return {n: self.state.bindings[kept[r]] for n, r in made.items() if kept[r] != n}

    def _identities(self, passed: dict[str, Value], removed: list[Node]) -> dict[str, Node]:
        """Identity nodes for values that are shown at an output and cannot take its name; decided beforehand."""
        needed: dict[str, Node] = {}
        adopting: set[Value] = set()
        for name, value in passed.items():
            old: Value = self.state.bindings[name]
            if not old.output_slots:
                continue
            producer = value.producer
            can_adopt = (
                producer is not None
                and producer.graph is old.graph
                and producer not in removed
                and not value.output_slots
                and value not in adopting
                and old.graph is self.graph
                and not any(_hides(old.name, user.graph, self.graph) for user in value.uses)
            )
            if can_adopt:
                adopting.add(value)
                continue
            if all(n.op_type == "Identity" and not n.domain for n in removed):
                raise Decline("the value is an output of the graph and stays under its name")
            needed[name] = Node("Identity", [], [])
        return needed

    def _pass_through(self, passed: dict[str, Value]) -> list[Value]:
        """Let a value stand where another one was: under its own name, or under that of an output of the graph."""
        standing: list[Value] = []
        for name, value in passed.items():
            old: Value = self.state.bindings[name]
            if old.output_slots:
                self._adopt(old, value)
                standing.append(old)
            else:
                value.shape = merge_shapes(old.shape, value.shape)
                self.graph.redirect(old, value)
                standing.append(value)
        return standing

    def _adopt(self, old: Value, value: Value) -> None:
        producer = value.producer
        assert producer is not None
        self.graph.redirect(value, old)
        for node in self.nodes.values():  # these are not in the graph yet
            node.inputs = [old if v is value else v for v in node.inputs]
        producer.outputs[producer.outputs.index(value)] = old
        old.producer = producer
        old.constant = value.constant
        value.producer = None
        self.moved[value] = old

    def _copy(self, copies: dict[str, tuple[Value, Node]]) -> None:
        """Fill in the Identity nodes."""
        order = max((n.order for n in self.state.nodes), default=self.root.order)
        for name, (value, identity) in copies.items():
            old: Value = self.state.bindings[name]
            identity.name = self.model.names.fresh(f"{old.name}.identity")
            identity.inputs, identity.outputs = [self.moved.get(value, value)], [old]
            mark(identity, self.state.nodes, self.rule.place)
            self.graph.add_node(identity, order)

    def _bind_outputs(self, rebound: dict[NewOutput, str]) -> None:
        for new, node in self.nodes.items():
            for output in new.outputs:
                draft = node.outputs[output.index]
                assert draft is not None
                name = rebound.get(output)
                if name is None:
                    draft.name = self._kept_name(node, output.index) or self.model.names.fresh(
                        self._base_name(new, node)
                    )
                    continue
                old: Value = self.state.bindings[name]
                if old.dtype is None:
                    old.dtype = draft.dtype
                old.shape = merge_shapes(draft.shape, old.shape)
                for other in self.nodes.values():
                    other.inputs = [old if v is draft else v for v in other.inputs]
                node.outputs[output.index] = old
                if not old.is_output:
                    self._keep_name(new, old)

    def _kept_name(self, node: Node, index: int) -> str | None:
        """Where a rule quantizes, what it puts in place of a node goes on under the names that calibration knows."""
        old = self.instead.get(node)
        value = old.output(index) if old is not None else None
        quantizes = any(n.op_type == QUANTIZE for n in self.nodes)
        return value.name if quantizes and value is not None and value in self.state.interior else None

    def _base_name(self, new: NewNode, node: Node) -> str:
        """What an output is called after that is none of the match."""
        source = node.inputs[0] if node.inputs else None
        hint = new.hints[0] if new.hints else ""
        of = hint[1:].rpartition(".")[0] if hint.startswith(WHOLE) else source.name if source is not None else ""
        return output_name(node, of) or f"{self.root.label}.{new.op_type}"

    def _keep_name(self, new: NewNode, old: Value) -> None:
        """What a rewrite quantizes stays under its name, and what readers get instead has another one."""
        codes = new.inputs[0] if new.inputs else None
        inner = codes.node.inputs[0] if isinstance(codes, NewOutput) and codes.node.op_type == QUANTIZE else None
        if not isinstance(inner, NewOutput) or inner.node not in self.nodes or codes is None:
            return
        node, half = self.nodes[inner.node], self.nodes.get(codes.node)
        value, between = node.outputs[inner.index], half.outputs[0] if half is not None else None
        if value is None or between is None:
            return
        value.name, value.declared, old.declared = old.name, old.declared, None
        between.name = self.model.names.fresh(value.name + CODES)
        old.name = self.model.names.fresh(value.name + VALUES)

    def _supersede(self) -> list[Value]:
        """Tensors that are quantized in other steps from now on are read in these everywhere."""
        left: list[Value] = []
        for new, node in self.nodes.items():
            codes = new.inputs[0] if new.op_type == DEQUANTIZE and new.inputs else None
            first = self.nodes.get(codes.node) if isinstance(codes, NewOutput) else None
            if first is not None and first.op_type == QUANTIZE:
                left += supersede(first, node)
        return left

    def _name_nodes(self, removed: list[Node]) -> None:
        free = [n for n in removed if n.name]
        for node in self.nodes.values():
            same = next((n for n in free if n.op_type == node.op_type), None)
            if same is not None:
                free.remove(same)
                self.instead[node] = same
                node.name, node.doc_string = same.name, same.doc_string
                node.metadata = dict(same.metadata)
            else:
                node.name = self.model.names.fresh(f"{self.root.label}.{node.op_type}")


def _hides(name: str, inner: Graph | None, outer: Graph) -> bool:
    """Whether a name of `outer` means something else to readers in `inner`, since a body on the way there uses it.

    That is legal where the body stands before the value of that name.
    """
    while inner is not None and inner is not outer:
        made = (o for n in inner.nodes for o in n.outputs if o is not None)
        if any(v.name == name for v in (*inner.inputs, *inner.initializers, *made)):
            return True
        inner = inner.parent.graph if inner.parent is not None else None
    return False


def _values_read(nodes: Iterable[Node]) -> list[Value]:
    return list(dict.fromkeys(v for n in nodes for v in (*n.inputs, *n.outputs) if v is not None))


def _shapes_agree(old: Value, new: Value) -> bool:
    if old.shape is None or new.shape is None:
        return True
    if len(old.shape) != len(new.shape):
        return False
    pairs = zip(old.shape, new.shape, strict=True)
    return all(a == b or not (isinstance(a, int) and isinstance(b, int)) for a, b in pairs)


def _is_same(new: Node, old: Node) -> bool:
    if (new.op_type, new.domain) != (old.op_type, old.domain) or len(new.inputs) != len(old.inputs):
        return False
    attributes = sorted(a.key() for a in new.attributes.values()) == sorted(a.key() for a in old.attributes.values())
    return attributes and all(a is b or same_constant(a, b) for a, b in zip(new.inputs, old.inputs, strict=True))
