"""What small integer tensors hold: every operator that is followed, what is unknown, and ONNX Runtime as the judge."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from graphopt.graph.contents import DEPTH, Contents, contents, truths
from graphopt.graph.graph import Value
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.tensor import SMALL


def model_of(nodes: str, weights: str = "", opset: int = 17, inputs: str = "float[N,M,3] x") -> Model:
    constants = f"int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64 scalar = {{1}}{weights}"
    text = f'<ir_version: 8, opset_import: ["" : {opset}]>\ng ({inputs}) => (int64[?] s)\n<{constants}>\n{{ {nodes} }}'
    return from_proto(onnx.parser.parse_model(text))


def value_of(model: Model, name: str) -> Value:
    return next(o for n in model.all_nodes() for o in n.outputs if o is not None and o.name == name)


def held(nodes: str, weights: str = "", opset: int = 17) -> Contents | None:
    """What `v` holds."""
    return contents(value_of(model_of(f"s = Shape (x) {nodes}", weights, opset), "v"))


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("v = Identity (s)", ("N", "M", 3)),
        ("v = Shape <start = 1> (x)", ("M", 3)),
        ("v = Shape <start = -2, end = -1> (x)", ("M",)),
        ("v = Shape <start = -9, end = 9> (x)", ("N", "M", 3)),
        ("v = Shape <start = 2, end = 1> (x)", ()),
        ("v = Size (s)", (3,)),
        ("v = Size (x)", None),
        ("v = Cast <to = 6> (s)", ("N", "M", 3)),
        ("v = Cast <to = 1> (s)", None),
        ("f = Cast <to = 1> (s) v = Cast <to = 7> (f)", None),
        ("v = Gather (s, zero)", ("N",)),
        ("v = Gather (s, scalar)", ("M",)),
        ("m = Neg (one) v = Gather (s, m)", None),
        ("i = Constant <value_ints = [-1, 0, -3]> () v = Gather <axis = -1> (s, i)", (3, "N", "N")),
        ("i = Constant <value_ints = [3]> () v = Gather (s, i)", None),
        ("v = Concat <axis = 0> (s, two, s)", ("N", "M", 3, 2, "N", "M", 3)),
        ("m = Neg (one) v = Concat <axis = -1> (s, m)", ("N", "M", 3, None)),
        ("a = Gather (s, scalar) v = Unsqueeze (a, zero)", ("M",)),
        ("a = Gather (s, zero) v = Squeeze (a)", ("N",)),
        ("m = Constant <value_ints = [-1]> () v = Reshape (s, m)", ("N", "M", 3)),
        ("t = Constant <value_ints = [1, 3]> () v = Reshape (s, t)", None),
        ("v = Flatten (s)", None),
        ("v = Slice (s, zero, two)", ("N", "M")),
        ("v = Slice (s, one, two, zero, two)", ("M",)),
        ("m = Constant <value_ints = [-1]> () v = Slice (s, zero, m)", ("N", "M")),
        ("m = Constant <value_ints = [-9]> () n = Constant <value_ints = [-1]> () v = Slice (s, n, m, zero, n)",
         (3, "M", "N")),
        ("m = Constant <value_ints = [-1]> () v = Slice (s, two, m, zero, m)", ()),
        ("b = Constant <value_ints = [9223372036854775807]> () v = Slice (s, one, b)", ("M", 3)),
        (
            "b = Constant <value_ints = [-9]> () e = Constant <value_ints = [-99]> () "
            "m = Constant <value_ints = [-1]> ()"
            "v = Slice (s, b, e, zero, m)",
            ("N",),
        ),
        ("v = Slice (s, zero, s)", None),
        ("z = Sub (one, one) v = Add (s, z)", ("N", "M", 3)),
        ("v = Add (s, one)", (None, None, 4)),
        ("v = Sub (s, zero)", ("N", "M", 3)),
        ("v = Sub (s, s)", (0, 0, 0)),
        ("v = Sub (zero, s)", (None, None, -3)),
        ("v = Mul (one, s)", ("N", "M", 3)),
        ("v = Mul (s, zero)", (0, 0, 0)),
        ("v = Mul (s, two)", (None, None, 6)),
        ("v = Div (s, one)", ("N", "M", 3)),
        ("v = Div (s, two)", (None, None, 1)),
        ("v = Div (s, s)", (None, None, 1)),
        ("v = Div (s, zero)", (None, None, None)),
        ("m = Constant <value_ints = [-7]> () v = Div (m, two)", (-3,)),
        ("m = Constant <value_ints = [-7]> () n = Constant <value_ints = [-2]> () v = Div (m, n)", (3,)),
        ("v = Min (s, s)", ("N", "M", 3)),
        ("v = Min (s, two)", (None, None, 2)),
        ("v = Max (s, two, zero)", (None, None, 3)),
        ("t = Constant <value_ints = [1, 2, 9]> () v = Max (two, two, t)", (2, 2, 9)),
        ("v = Max (s)", ("N", "M", 3)),
        ("v = ConstantOfShape <value = int64[1] {7}> (two)", (7, 7)),
        ("e = Constant <value_ints: ints = []> () v = ConstantOfShape <value = int64[1] {7}> (e)", (7,)),
        ("v = ConstantOfShape (two)", None),
        ("v = ConstantOfShape <value = int64[1] {7}> (s)", None),
        ("a = Constant <value_int = 1> () b = Constant <value_int = 6> () c = Constant <value_int = 2> () "
         "v = Range (a, b, c)", (1, 3, 5)),
        ("a = Constant <value_int = 5> () b = Constant <value_int = 0> () c = Constant <value_int = -2> () "
         "v = Range (a, b, c)", (5, 3, 1)),
        ("a = Constant <value_int = 0> () b = Gather (s, scalar) c = Constant <value_int = 1> () "
         "v = Range (a, b, c)", None),
        ("v = ReduceProd <keepdims = 0> (s)", (None,)),
        ("a = Gather (s, zero) v = ReduceProd (a)", ("N",)),
        ("a = Slice (s, two, s) b = Concat <axis = 0> (two, two) v = ReduceProd <keepdims = 0> (b)", (4,)),
        ("a = Gather (s, zero) b = Concat <axis = 0> (one, a, one) v = ReduceProd <keepdims = 0> (b)", ("N",)),
        ("c = Constant <value = bool[3] {1, 0, 0}> () v = Where (c, s, one)", ("N", 1, 1)),
        ("c = Constant <value = bool[1] {1}> () v = Where (c, s, two)", ("N", "M", 3)),
        ("c = Equal (s, s) v = Where (c, two, s)", (2, 2, 2)),
        ("m = Constant <value_ints = [-1, 3, 3]> () c = Equal (s, m) v = Where (c, two, s)", ("N", None, 2)),
        ("c = Less (s, two) v = Where (c, one, zero)", (None, None, 0)),
        ("c = Greater (s, two) v = Where (c, one, zero)", (None, None, 1)),
    ],
)  # fmt: skip
def test_operators(nodes: str, expected: Contents | None):
    assert held(nodes) == expected


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("v = Equal (s, s)", (True, True, True)),
        ("m = Constant <value_ints = [-1, 4, 3]> () v = Equal (s, m)", (False, None, True)),
        ("t = Add (s, one) v = Equal (t, t)", (None, None, True)),
        ("v = Less (s, two)", (None, None, False)),
        ("v = Greater (s, two)", (None, None, True)),
        ("f = Cast <to = 1> (s) v = Less (f, f)", None),
        ("a = Equal (s, s) v = Not (a)", None),
    ],
)
def test_comparisons(nodes: str, expected: tuple[bool | None, ...] | None):
    assert truths(value_of(model_of(f"s = Shape (x) {nodes}"), "v")) == expected


def test_slices_with_attributes():
    assert held("v = Slice <axes = [0], starts = [-2], ends = [9]> (s)", opset=9) == ("M", 3)


def test_two_axes_hold_nothing():
    model = model_of("s = Shape (x) v = Unsqueeze (s, zero)")
    assert contents(value_of(model, "v")) is None


def test_a_default_that_a_caller_overrides_is_not_known():
    model = model_of("s = Shape (x) v = Add (k, zero)", inputs="float[N,M,3] x, int64[1] k = {5}")
    assert contents(value_of(model, "v")) is None
    assert contents(next(v for v in model.graph.inputs if v.name == "k")) is None


def test_operators_of_other_domains_hold_nothing():
    text = """<ir_version: 8, opset_import: ["" : 17, "test" : 1]>
    g (float[N] x) => (int64[?] v) { s = Shape (x) t = test.Identity (s) v = Identity (t) }"""
    assert contents(value_of(from_proto(onnx.parser.parse_model(text)), "v")) is None


def test_what_does_not_fit_its_type_is_unknown():
    weights = ", uint8[2] a = {200, 3}, uint8[1] b = {100}, int32[1] c = {2000000000}"
    assert held("v = Add (a, b)", weights) == (None, 103)
    assert held("v = Sub (a, b)", weights) == (100, None)
    assert held("v = Add (c, c)", weights) == (None,)
    assert held("d = Cast <to = 7> (c) v = Mul (d, d)", weights) == (None,)
    assert held("v = Cast <to = 3> (a)", weights) is None
    nodes = "d = Cast <to = 7> (c) e = Concat <axis = 0> (d, d) v = ReduceProd <keepdims = 0> (e)"
    assert held(nodes, weights) == (None,)


def filled(length: int, then: str = "") -> Contents | None:
    name = "u" if then else "v"
    return held(
        f"n = Constant <value_ints = [{length}]> () {name} = ConstantOfShape <value = int64[1] {{7}}> (n) {then}"
    )


def test_long_tensors_hold_nothing():
    assert filled(SMALL) == (7,) * SMALL
    assert filled(SMALL + 1) is None
    assert filled(1 << 40) is None
    assert filled(SMALL, "v = Concat <axis = 0> (u, one)") is None


def chain(length: int) -> Contents | None:
    nodes = " ".join(f"a{i + 1} = Add (a{i}, a{i})" for i in range(length))
    return held(f"a0 = Sub (one, one) {nodes} v = Identity (a{length})")


def test_far_above_nothing_is_known_and_near_it_is_found_at_once():
    """Every node of the chain is read twice: looking at each as often as it is read would take 2 ** DEPTH looks."""
    assert chain(DEPTH - 2) == (0,)
    assert chain(DEPTH) is None


# --- against ONNX Runtime ---

DIMS = ({"N": 4, "M": 7}, {"N": 1, "M": 2}, {"N": 3, "M": 0})


class Chain:
    """A model that is built at random: every value is of int64 and of a rank and length that are known."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.nodes: list[onnx.NodeProto] = []
        self.lengths: dict[str, int | None] = {}
        self.conditions: list[str] = []
        self.emit("Shape", ["x"], 3)
        self.emit("Shape", ["y"], 2)
        for _ in range(draw(st.integers(2, 14))):
            getattr(self, draw(st.sampled_from(self.STEPS)))()

    STEPS = (
        "gather",
        "slice",
        "concat",
        "unsqueeze",
        "squeeze",
        "arithmetic",
        "divide",
        "choose",
        "extreme",
        "product",
    )

    def emit(self, operator: str, inputs: list[str], length: int | None, **attributes: object) -> str:
        """Length None: a scalar."""
        name = f"v{len(self.lengths)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        self.lengths[name] = length
        return name

    def constant(self, numbers: list[int] | int) -> str:
        return self.emit("Constant", [], len(numbers) if isinstance(numbers, list) else None, value=_int64(numbers))

    def some(self, wanted: str = "any") -> str:
        """A value; `list` one of rank 1, `scalar` one of rank 0."""
        fits = {"any": lambda _: True, "list": lambda n: n is not None, "scalar": lambda n: n is None}[wanted]
        names = [name for name, length in self.lengths.items() if fits(length)]
        return self.draw(st.sampled_from(names)) if names else self.constant(self.draw(st.integers(-3, 5)))

    def two(self) -> tuple[str, str, int | None]:
        """Two values that broadcast, and the length of what they make."""
        a = self.some()
        n = self.lengths[a]
        fitting = [k for k, m in self.lengths.items() if m in (None, 1, n) or n in (None, 1)]
        b = self.draw(st.sampled_from(fitting))
        m = self.lengths[b]
        return a, b, m if n is None else n if m is None else (m if n == 1 else n)

    def gather(self) -> None:
        source = self.some("list")
        length = self.lengths[source]
        if length:
            places = st.integers(-length, length - 1)
            chosen = self.draw(st.one_of(places, st.lists(places, max_size=3)))
            self.emit("Gather", [source, self.constant(chosen)], len(chosen) if isinstance(chosen, list) else None)

    def slice(self) -> None:
        source = self.some("list")
        start, stop = self.draw(st.integers(-9, 9)), self.draw(st.integers(-9, 9))
        step = self.draw(st.sampled_from([1, 1, 2, -1, -2]))
        if step < 0 and stop < 0 and self.draw(st.booleans()):
            stop = -(1 << 31)
        length = _cut(self.lengths[source] or 0, start, stop, step)
        bounds = [self.constant([n]) for n in (start, stop, 0, step)]
        self.emit("Slice", [source, *bounds], length)

    def concat(self) -> None:
        parts = [self.some("list") for _ in range(self.draw(st.integers(1, 3)))]
        self.emit("Concat", parts, sum(self.lengths[p] or 0 for p in parts), axis=0)

    def unsqueeze(self) -> None:
        self.emit("Unsqueeze", [self.some("scalar"), self.constant([0])], 1)

    def squeeze(self) -> None:
        ones = [name for name, length in self.lengths.items() if length == 1]
        if ones:
            self.emit("Squeeze", [self.draw(st.sampled_from(ones)), self.constant([0])], None)

    def arithmetic(self) -> None:
        a, b, length = self.two()
        self.emit(self.draw(st.sampled_from(["Add", "Sub", "Mul"])), [a, b], length)

    def divide(self) -> None:
        a = self.some()
        self.emit("Div", [a, self.constant(self.draw(st.sampled_from([-3, -1, 1, 2, 5])))], self.lengths[a])

    def extreme(self) -> None:
        a, b, length = self.two()
        self.emit(self.draw(st.sampled_from(["Min", "Max"])), [a, b, self.constant(3)], length)

    def choose(self) -> None:
        a, b, length = self.two()
        condition = f"c{len(self.conditions)}"
        operator = self.draw(st.sampled_from(["Equal", "Less", "Greater"]))
        self.nodes.append(helper.make_node(operator, [a, b], [condition]))
        self.conditions.append(condition)
        self.emit("Where", [condition, a, b], length)

    def product(self) -> None:
        self.emit("ReduceProd", [self.some("list")], None, keepdims=0)

    def model(self) -> onnx.ModelProto:
        inputs = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "M", 3]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["M", 1]),
        ]
        outputs = [helper.make_tensor_value_info(n, TensorProto.INT64, None) for n in self.lengths]
        outputs += [helper.make_tensor_value_info(n, TensorProto.BOOL, None) for n in self.conditions]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def _cut(length: int, start: int, stop: int, step: int) -> int:
    """How many elements Slice takes, by the words of its specification."""
    start, stop = (n + length if n < 0 else n for n in (start, stop))
    low, high = (0, length) if step > 0 else (-1, length - 1)
    start = min(max(start, 0), high) if length else 0
    stop = min(max(stop, low), high)
    return len(range(start, stop, step)) if length else 0


def _int64(numbers: list[int] | int) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(numbers, np.int64))


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    return Chain(draw)


def computed(proto: onnx.ModelProto, dims: dict[str, int]) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"x": np.zeros((dims["N"], dims["M"], 3), np.float32), "y": np.zeros((dims["M"], 1), np.float32)}
    names = [o.name for o in proto.graph.output]
    return dict(zip(names, session.run(names, feed), strict=True))


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(chains())
def test_what_is_held_is_what_is_computed(made: Chain):
    proto = made.model()
    model = from_proto(proto)
    for dims in DIMS:
        found = computed(proto, dims)
        for name in (*made.lengths, *made.conditions):
            value = next(v for v in model.graph.outputs if v.name == name)
            known = truths(value) if name in made.conditions else contents(value)
            if known is None:
                continue
            actual = found[name].ravel().tolist()
            assert len(known) == len(actual), name
            for said, is_ in zip(known, actual, strict=True):
                assert said is None or is_ == (dims[said] if isinstance(said, str) else said), (name, said, is_)
