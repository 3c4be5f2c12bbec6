"""Shapes that follow from what small tensors hold, and such tensors as constants."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.graph.graph import Value
from graphopt.graph.interface import Shape
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.tensor import Tensor
from graphopt.rewrite.settle import known_elements, settle_shapes
from graphopt.testing.cases import model_of


def forgetful(nodes: str, opset: int = 17, inputs: str = "float[N,M,6] x", forget: tuple[str, ...] = ("v",)) -> Model:
    """A model in which nobody knows the shapes of some values, as after a rule has made what they hang on anew."""
    weights = "int64[1] zero = {0}, int64[1] one = {1}, int64[1] minus = {-1}"
    graph = f"({inputs}) => (float[A,B] z)\n<{weights}>\n{{ s = Shape (x) {nodes} z = Flatten (v) }}"
    model = from_proto(model_of(graph, opset))
    for name in forget:
        value_of(model, name).shape = None
    return model


def value_of(model: Model, name: str) -> Value:
    return next(o for n in model.all_nodes() for o in n.outputs if o is not None and o.name == name)


def settled(nodes: str, opset: int = 17, inputs: str = "float[N,M,6] x") -> Shape | None:
    model = forgetful(nodes, opset, inputs)
    settle_shapes(model)
    return value_of(model, "v").shape


@pytest.mark.parametrize(
    ("nodes", "shape"),
    [
        ("v = Reshape (x, s)", ("N", "M", 6)),
        ("n = Gather (s, zero) t = Concat <axis = 0> (n, minus) v = Reshape (x, t)", ("N", None)),
        ("n = Gather (s, one) t = Concat <axis = 0> (n, minus) v = Reshape (x, t)", ("M", None)),
        ("n = Slice (s, zero, two) two = Add (one, one) t = Concat <axis = 0> (n, minus) v = Reshape (x, t)",
         ("N", "M", 6)),
        ("h = Constant <value_ints = [2]> () n = Slice (s, zero, h) t = Concat <axis = 0> (n, h, minus) "
         "v = Reshape (x, t)", ("N", "M", 2, 3)),
        ("h = Constant <value_ints = [4]> () n = Slice (s, zero, two) two = Add (one, one) "
         "t = Concat <axis = 0> (n, h, minus) v = Reshape (x, t)", ("N", "M", 4, None)),
        ("t = Constant <value_ints = [0, -1]> () v = Reshape (x, t)", ("N", None)),
        ("t = Constant <value_ints = [0, 0, 2, -1]> () v = Reshape (x, t)", ("N", "M", 2, 3)),
        ("n = Gather (s, zero) t = Concat <axis = 0> (n, zero, minus) v = Reshape (x, t)", ("N", "M", 6)),
        ("n = Gather (s, zero) d = Add (n, n) t = Concat <axis = 0> (d, minus) v = Reshape (x, t)", (None, None)),
        ("n = Gather (s, zero) t = Concat <axis = 0> (n, n, minus) v = Reshape (x, t)", ("N", "N", None)),
    ],
)  # fmt: skip
def test_reshape(nodes: str, shape: Shape):
    assert settled(nodes) == shape


def test_reshape_with_allowzero_copies_nothing():
    nodes = "n = Gather (s, zero) t = Concat <axis = 0> (zero, n) v = Reshape <allowzero = 1> (x, t)"
    assert settled(nodes, inputs="float[N,0] x") == (0, "N")
    assert settled(nodes.replace("<allowzero = 1> ", ""), inputs="float[N,0] x") == ("N", "N")


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        ("t = Identity (s)", ("N", "M", 6)),
        ("t = Concat <axis = 0> (one, s)", (1, "N", "M", 6)),
        ("n = Gather (s, zero) t = Concat <axis = 0> (n, one, one)", ("N", "M", 6)),
        ("n = Gather (s, zero) t = Concat <axis = 0> (one, n, one)", ("N", None, 6)),
        ("n = Gather (s, zero) t = Concat <axis = 0> (one, one, n)", ("N", "M", 6)),
        ("h = Constant <value_ints = [7]> () t = Concat <axis = 0> (h, one, one)", (7, "M", 6)),
        ("t = Concat <axis = 0> (one, minus, one)", None),
    ],
)
def test_expand(target: str, shape: Shape | None):
    """A dim that could be 1 may be anything that the other side says; one that is not 1 stays."""
    assert settled(f"{target} v = Expand (x, t)") == shape


def test_constant_of_shape():
    assert settled("n = Slice (s, zero, minus) v = ConstantOfShape (n)") == ("N", "M")


def test_what_hangs_on_a_shape_is_known_as_well():
    model = forgetful("u = Reshape (x, s) v = Relu (u)", forget=("u", "v"))
    settle_shapes(model)
    assert value_of(model, "v").shape == ("N", "M", 6)


def test_what_is_known_stays_known():
    model = forgetful("n = Gather (s, zero) t = Concat <axis = 0> (n, minus) v = Reshape (x, t)", forget=())
    value_of(model, "v").shape = (5, 12)
    settle_shapes(model)
    assert value_of(model, "v").shape == (5, 12)
    value_of(model, "v").shape = (None, 12)
    settle_shapes(model)
    assert value_of(model, "v").shape == ("N", 12)


def test_a_rank_that_contradicts_is_left_to_whoever_runs_it():
    model = forgetful("v = Reshape (x, s)", forget=())
    value_of(model, "v").shape = (None, None)
    settle_shapes(model)
    assert value_of(model, "v").shape == (None, None)


def elements(nodes: str) -> np.ndarray | None:
    model = forgetful(f"{nodes} t = Concat <axis = 0> (one, minus) w = Reshape (x, t) v = Relu (w)", forget=())
    tensor = known_elements(value_of(model, "k"))
    return None if tensor is None else np.asarray(tensor.numpy())


@pytest.mark.parametrize(
    ("nodes", "array"),
    [
        ("k = Shape <start = 2> (x)", np.array([6])),
        ("k = Shape <start = 3> (x)", np.array([], np.int64)),
        ("k = Shape (x)", None),
        ("h = Constant <value_int = 2> () k = Gather (s, h)", np.array(6)),
        ("h = Shape <start = 2> (x) k = Cast <to = 6> (h)", np.array([6], np.int32)),
        ("h = Shape <start = 2> (x) k = Cast <to = 1> (h)", None),
        ("h = Shape <start = 2> (x) k = Equal (h, minus)", np.array([False])),
        ("k = Equal (s, minus)", np.array([False, False, False])),
        ("k = Equal (s, one)", None),
        ("k = Sub (s, s)", np.array([0, 0, 0])),
        ("h = Shape <start = 2> (x) k = Unsqueeze (h, zero)", None),
        ("k = Identity (one)", np.array([1])),
    ],
)
def test_known_elements(nodes: str, array: np.ndarray | None):
    found = elements(nodes)
    if array is None:
        assert found is None
    else:
        assert found is not None
        assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


def test_what_is_constant_already_is_not_told_again():
    model = forgetful("v = Reshape (x, s)", forget=())
    assert known_elements(next(v for v in model.graph.initializers if v.name == "zero")) is None
    assert isinstance(known_elements(value_of(forgetful("k = Shape <start = 2> (x) v = Relu (x)"), "k")), Tensor)


def test_narrow_types_do_not_overflow():
    """Sizes are cast to narrow types; what does not fit is not known, and nothing breaks."""
    nodes = "h = Shape <start = 1> (x) c = Cast <to = 2> (h) k = Mul (c, c) v = Relu (x)"
    model = forgetful(nodes, inputs="float[N,200] x")
    assert known_elements(value_of(model, "c")) is not None
    assert known_elements(value_of(model, "k")) is None


def test_in_a_body():
    graph = """(float[N,6] x, bool c) => (float[A,B] z)
    { z = If (c) <
        then_branch = yes () => (float[A,B] p) { s = Shape (x) p = Reshape (x, s) },
        else_branch = no () => (float[A,B] q) { q = Neg (x) } > }"""
    model = from_proto(model_of(graph))
    output = value_of(model, "p")
    output.shape = None
    settle_shapes(model)
    assert output.shape == ("N", 6)
