"""Each claim of the validator, broken by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from graphopt.errors import RewriteError
from graphopt.graph.attributes import Attribute
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.interface import interface_of
from graphopt.graph.load import from_proto, load
from graphopt.graph.model import Model
from graphopt.graph.tensor import Tensor
from graphopt.graph.validate import CLAIMS, interface_of_model, validate, violations

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n,3] x, float[3] d, bool c) => (float[n,3] y, z)
<float[3] w = {1, 2, 3}, float[3] d = {4, 5, 6}> {
    [mul] m = Mul(x, w)
    [add] a = Add(m, m)
    [k] k = Constant<value = float {1.0}>()
    [if] y = If(c) <
        then_branch = then () => (float[n,3] p) { [inner] p = Sub(a, d) },
        else_branch = else () => (float[n,3] q) { [other] q = Relu(a) }
    >
    [sum] z = Add(a, k)
}"""


def model() -> Model:
    return from_proto(onnx.parser.parse_model(TEXT))


def node(model: Model, name: str) -> Node:
    return next(n for n in model.all_nodes() if n.name == name)


def value(model: Model, name: str) -> Value:
    everything = [v for g in model.all_graphs() for v in (*g.inputs, *g.initializers)]
    everything += [v for n in model.all_nodes() for v in n.outputs if v is not None]
    return next(v for v in everything if v.name == name)


def body(model: Model, name: str) -> Graph:
    return next(g for g in model.all_graphs() if g.name == name)


def nameless(m: Model) -> None:
    value(m, "a").name = ""


def twins(m: Model) -> None:
    value(m, "a").name = "m"


def undefined(m: Model) -> None:
    mul = node(m, "mul")
    mul.set_input(0, Value("gone", m.graph))


def undefined_output(m: Model) -> None:
    m.graph.set_output(1, Value("gone", m.graph))


def read_from_a_body(m: Model) -> None:
    node(m, "sum").set_input(1, value(m, "p"))


def hiding(m: Model) -> None:
    value(m, "q").name = "a"


def unreserved(m: Model) -> None:
    value(m, "a").name = "new"


def stranger(m: Model) -> None:
    value(m, "a").graph = body(m, "then")


def lost_node(m: Model) -> None:
    node(m, "add").graph = None


def lost_body(m: Model) -> None:
    body(m, "then").parent = node(m, "add")


def producerless(m: Model) -> None:
    value(m, "a").producer = None


def produced_weight(m: Model) -> None:
    value(m, "w").producer = node(m, "mul")


def use_too_few(m: Model) -> None:
    value(m, "m").uses[node(m, "add")] = 1


def use_too_many(m: Model) -> None:
    value(m, "m").uses[node(m, "mul")] = 1


def missed_capture(m: Model) -> None:
    del value(m, "a").uses[node(m, "inner")]


def uncounted_output(m: Model) -> None:
    value(m, "z").output_slots = 0


def cycle(m: Model) -> None:
    node(m, "mul").set_input(0, value(m, "a"))
    m.graph.sorted = False


def unsorted(m: Model) -> None:
    first = node(m, "mul")
    del m.graph.nodes[first]
    m.graph.nodes[first] = None


def unmarked_input(m: Model) -> None:
    value(m, "c").is_input = False


def unlisted_input(m: Model) -> None:
    m.graph.inputs.remove(value(m, "d"))


def untyped_input(m: Model) -> None:
    value(m, "x").declared = None


def untyped_output(m: Model) -> None:
    m.graph.output_infos.pop()


def dataless(m: Model) -> None:
    value(m, "w").initializer = None
    value(m, "w").constant = None


def frozen_default(m: Model) -> None:
    value(m, "d").constant = value(m, "d").initializer


def unbacked_constant(m: Model) -> None:
    a = value(m, "a")
    a.constant = Tensor.of(np.zeros(3, np.float32))
    a.dtype, a.shape = DType.float32, (3,)


def wrong_shape(m: Model) -> None:
    value(m, "w").shape = (4,)


def wrong_dtype(m: Model) -> None:
    value(m, "k").dtype = DType.float16


def unknown_operator(m: Model) -> None:
    node(m, "add").op_type = "Addd"


def too_new_operator(m: Model) -> None:
    node(m, "other").op_type = "Gelu"


def unknown_attribute(m: Model) -> None:
    node(m, "add").attributes["axis"] = Attribute.of("axis", 1)


def wrong_attribute(m: Model) -> None:
    node(m, "other").op_type = "LeakyRelu"
    node(m, "other").attributes["alpha"] = Attribute.of("alpha", 1)


def missing_attribute(m: Model) -> None:
    node(m, "other").op_type = "Cast"


def too_many_inputs(m: Model) -> None:
    node(m, "add").op_type = "Relu"


def too_few_outputs(m: Model) -> None:
    node(m, "other").outputs.clear()
    body(m, "else").set_output(0, value(m, "a"))


BROKEN: list[tuple[Callable[[Model], None], str]] = [
    (nameless, "a value has a name: the main graph"),
    (twins, "a name means one value in its graph: m in the main graph"),
    (undefined, "what is read is defined in its graph or around it: gone, read by node mul"),
    (undefined_output, "what is read is defined in its graph or around it: gone, read by outputs of the main graph"),
    (read_from_a_body, "what is read is defined in its graph or around it: p, read by node sum"),
    (hiding, "a name leads its reader to the value that is meant: a, read by node other"),
    (unreserved, "every name is reserved: new"),
    (stranger, "a value knows the graph that defines it: a"),
    (lost_node, "a node knows its graph: add"),
    (lost_body, "a body knows its node and its model: if"),
    (producerless, "the producer of a value is the node that has it as an output: a"),
    (produced_weight, "the producer of a value is the node that has it as an output: w"),
    (use_too_few, "the uses of a value are the input slots that read it: m"),
    (use_too_many, "the uses of a value are the input slots that read it: m"),
    (missed_capture, "the uses of a value are the input slots that read it: a"),
    (uncounted_output, "the output slots of a value are the places that it fills: z"),
    (cycle, "nodes form no cycle: mul -> add -> mul"),
    (unsorted, "nodes come after what they read, where marked as sorted: add"),
    (unmarked_input, "an input is marked as one: c"),
    (unlisted_input, "an input is marked as one: d"),
    (untyped_input, "an input has a declared type: x"),
    (untyped_output, "an output has a declared type: the main graph"),
    (dataless, "an initializer is listed by its graph, with its data: w"),
    (frozen_default, "an initializer that is an input is no constant: d"),
    (unbacked_constant, "a constant is an initializer, or made by a Constant: a"),
    (wrong_shape, "a value has the dtype and shape of its data: w"),
    (wrong_dtype, "a value has the dtype and shape of its data: k"),
    (unknown_operator, "an operator exists in the model's opset: add"),
    (too_new_operator, "an operator exists in the model's opset: other"),
    (unknown_attribute, "a node sets only attributes that its operator has: axis of add"),
    (wrong_attribute, "an attribute is of the kind that its operator asks for: alpha of other"),
    (missing_attribute, "a node sets the attributes that its operator demands: to of other"),
    (too_many_inputs, "a node has as many inputs and outputs as its operator takes: add"),
    (too_few_outputs, "a node has as many inputs and outputs as its operator takes: other"),
]


def test_a_sound_model_breaks_nothing() -> None:
    assert violations(model(), interface_of_model(model())) == []


@pytest.mark.parametrize(("breaks", "sentence"), BROKEN, ids=[b.__name__ for b, _ in BROKEN])
def test_a_broken_claim_is_named(breaks: Callable[[Model], None], sentence: str) -> None:
    m = model()
    breaks(m)
    assert sentence in violations(m)


def test_every_claim_is_broken_here() -> None:
    assert {claim for claim, _ in CLAIMS} == {sentence.partition(": ")[0] for _, sentence in BROKEN}


def test_the_error_lists_five_and_counts_the_rest() -> None:
    m = model()
    for name in ("x", "w", "m", "a", "y", "z", "k"):
        value(m, name).graph = body(m, "then")
    with pytest.raises(RewriteError) as caught:
        validate(m)
    lines = [f"  - a value knows the graph that defines it: {name}" for name in ("x", "w", "m", "a", "k")]
    assert str(caught.value) == "\n".join(
        [
            "the graph does not hold together:",
            *lines,
            "  - and 2 more",
            "  help: the rule or pass that ran last broke it; run without it, and tell its author",
        ]
    )


def renamed_input(m: Model) -> str:
    x = value(m, "x")
    x.declared = onnx.helper.make_tensor_value_info("x2", onnx.TensorProto.FLOAT, ["n", 3])
    return "inputs were (x: float32[n,3], c: bool[]), and are (x2: float32[n,3], c: bool[])"


def swapped_inputs(m: Model) -> str:
    m.graph.inputs.reverse()
    return "inputs were (x: float32[n,3], c: bool[]), and are (c: bool[], x: float32[n,3])"


def frozen_input(m: Model) -> str:
    d = value(m, "d")
    d.is_input, d.constant = False, d.initializer
    m.graph.inputs.remove(d)
    return "inputs with a default were (d: float32[3]), and are ()"


def renamed_output(m: Model) -> str:
    value(m, "z").name = "sum"
    return "outputs were (y: float32[n,3], z: float32[n,3]), and are (y: float32[n,3], sum: float32[n,3])"


def other_dtype(m: Model) -> str:
    m.graph.output_infos[0] = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, ["n", 3])
    return "outputs were (y: float32[n,3], z: float32[n,3]), and are (y: float16[n,3], z: float32[n,3])"


@pytest.mark.parametrize("change", [renamed_input, swapped_inputs, frozen_input, renamed_output, other_dtype])
def test_a_changed_interface_is_named(change: Callable[[Model], str]) -> None:
    m = from_proto(onnx.parser.parse_model(TEXT.replace("y, z)", "y, float[n,3] z)")))
    before = interface_of_model(m)
    assert f"the interface of the model stays as it was: {change(m)}" in violations(m, before)


def test_the_interface_is_that_of_the_file() -> None:
    proto = onnx.parser.parse_model(TEXT)
    assert interface_of_model(from_proto(proto)) == interface_of(proto)


def test_an_edit_through_the_methods_keeps_every_claim() -> None:
    m = model()
    graph, old = m.graph, node(m, "add")
    double = graph.add_initializer(Tensor.of(np.array(2, np.float32)), "w")
    made = graph.new_value("a", DType.float32, ("n", 3))
    graph.add_node(Node("Mul", [value(m, "m"), double], [made], name="twice"), old.order)
    graph.redirect(value(m, "a"), made)
    graph.remove_node(old)
    m.sort()
    assert violations(m, interface_of_model(model())) == []


def test_removing_an_if_gives_its_captures_back() -> None:
    m = model()
    m.graph.set_output(0, value(m, "a"))
    m.graph.remove_node(node(m, "if"))
    assert violations(m) == []
    assert [n.name for n in value(m, "a").uses] == ["sum"]


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda p: p.stem)
def test_real_models_hold_together(path: Path) -> None:
    m = load(path)
    assert violations(m, interface_of_model(m)) == []
