"""Random small graphs, of the operators that rules speak of and of others, for hypothesis to draw and shrink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper

from graphopt.testing.cases import IR_VERSION
from graphopt.testing.weights import weight

FLOAT, HALF, DOUBLE, INT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT32
OPSETS = (7, 9, 11, 13, 17, 22)
STEPS = 6
"""How many times something is added to a model, at most."""

ELEMENTS = 600
"""How large a value may get."""

Shape = tuple[int | str, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Made:
    """A value of the graph. What is exact has never been rounded, so that rounding it now is no leap."""

    name: str
    elem_type: int
    shape: Shape
    exact: bool

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_image(self) -> bool:
        return self.elem_type == FLOAT and self.rank in (3, 4) and all(isinstance(d, int) for d in self.shape[1:])

    @property
    def is_matrix(self) -> bool:
        return self.elem_type == FLOAT and self.rank == 2 and isinstance(self.shape[1], int)


@dataclass
class Builder:
    """Adds nodes one by one; every method that adds some says whether it could."""

    draw: Draw
    opset: int
    prefix: str = ""
    outer: Sequence[Made] = ()
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    weights: list[onnx.TensorProto] = field(default_factory=list[onnx.TensorProto])
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list[onnx.ValueInfoProto])
    values: list[Made] = field(default_factory=list[Made])
    follows: bool = False

    # --- choosing ---

    def one_of(self, items: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(items)))

    def chance(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == one_in

    def pick(self, fits: Callable[[Made], bool]) -> Made | None:
        """One of the values that fit: the last one while a chain is being made, else any."""
        found = [v for v in (*self.outer, *self.values) if fits(v)]
        if self.follows and self.values and self.values[-1] in found:
            return self.values[-1]
        return self.one_of(list(reversed(found))) if found else None

    # --- adding ---

    def name(self, base: str) -> str:
        return f"{self.prefix}{base}{len(self.nodes)}_{len(self.weights)}_{len(self.inputs)}"

    def input(self, elem_type: int, shape: Shape) -> Made:
        name = self.name("x")
        self.inputs.append(helper.make_tensor_value_info(name, elem_type, shape))
        self.values.append(Made(name, elem_type, shape, exact=True))
        return self.values[-1]

    def weight(self, base: str, *shape: int) -> str:
        """A new weight, an old one of this shape, the output of a Constant, or one that the caller may override."""
        same = [t.name for t in self.weights if list(t.dims) == list(shape) and t.name.startswith(self.prefix + base)]
        if same and self.chance(3):
            return self.one_of(same)
        name = self.name(base)
        info = helper.make_tensor_value_info(name.removeprefix(self.prefix), FLOAT, shape)
        tensor = weight(info)
        tensor.name = name
        if self.chance(5):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
            return name
        self.weights.append(tensor)
        if self.chance(8) and not self.prefix:
            self.inputs.append(helper.make_tensor_value_info(name, FLOAT, shape))
        return name

    def numbers(self, *numbers: int) -> str:
        name = self.name("i")
        self.weights.append(helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers))
        return name

    def node(
        self, operator: str, inputs: Sequence[str], like: Made, shape: Shape | None = None, **attributes: Any
    ) -> Made:
        """A node of one output; `like` gives its element type, its shape where none is said, and exactness."""
        name = self.name("v")
        given = {key: value for key, value in attributes.items() if value is not None}
        label = f"{self.prefix}node {len(self.nodes)}" if self.chance(2) else ""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=label, **given))
        self.values.append(Made(name, like.elem_type, like.shape if shape is None else shape, like.exact))
        return self.values[-1]

    def rounded(self, made: Made) -> bool:
        self.values[-1] = Made(made.name, made.elem_type, made.shape, exact=False)
        return True

    # --- operators ---

    def conv(self) -> bool:
        x = self.pick(lambda v: v.is_image)
        if x is None:
            return False
        channels, *size = (int(d) for d in x.shape[1:])
        kernel = self.one_of([1, min(2, *size)])
        group = self.one_of([1, channels])
        out = group * self.one_of([1, 2]) if group > 1 else self.one_of([channels, 2])
        w = self.weight("w", out, channels // group, *[kernel] * len(size))
        bias = self.one_of([[], [""], [self.weight("b", out)]])
        shape = (x.shape[0], out, *(d - kernel + 1 for d in size))
        return self.rounded(self.node("Conv", [x.name, w, *bias], x, shape, group=group))

    def batch_normalization(self) -> bool:
        x = self.pick(lambda v: v.elem_type == FLOAT and v.rank >= 2 and isinstance(v.shape[1], int))
        if x is None:
            return False
        channels = int(x.shape[1])
        parts = [self.weight(base, channels) for base in ("gamma", "beta", "mean", "var")]
        epsilon = self.one_of([None, 1e-3])
        return self.rounded(self.node("BatchNormalization", [x.name, *parts], x, epsilon=epsilon))

    def add_weight(self) -> bool:
        x = self.pick(lambda v: v.elem_type == FLOAT and v.rank >= 2 and all(isinstance(d, int) for d in v.shape[1:]))
        if x is None:
            return False
        sizes = [int(d) for d in x.shape[1:]]
        channels = [sizes[0], *[1] * (len(sizes) - 1)]
        shape = self.one_of([[], [1], channels, [1, *channels], [sizes[-1]]])
        operands = [x.name, self.weight("c", *shape)]
        return self.rounded(self.node(self.one_of(["Add", "Add", "Mul"]), self.draw(st.permutations(operands)), x))

    def add(self) -> bool:
        x = self.pick(lambda v: v.elem_type == FLOAT)
        y = self.pick(lambda v: x is not None and (v.elem_type, v.shape) == (x.elem_type, x.shape))
        if x is None or y is None:
            return False
        return self.rounded(self.node("Add", [x.name, y.name], x))

    def matmul(self) -> bool:
        x = self.pick(lambda v: v.elem_type == FLOAT and v.rank in (2, 3) and isinstance(v.shape[-1], int))
        if x is None:
            return False
        out = self.one_of([2, int(x.shape[-1])])
        w = self.weight("w", int(x.shape[-1]), out)
        return self.rounded(self.node("MatMul", [x.name, w], x, (*x.shape[:-1], out)))

    def gemm(self) -> bool:
        x = self.pick(lambda v: v.is_matrix)
        if x is None:
            return False
        depth, out, transposed = int(x.shape[1]), self.one_of([2, int(x.shape[1])]), self.one_of([None, 1])
        w = self.weight("w", *([out, depth] if transposed else [depth, out]))
        c = self.weight("c", *self.one_of([[out], [1, out], [1], []]))
        factors = {"alpha": self.one_of([None, 0.5]), "beta": self.one_of([None, 2.0])}
        node = self.node("Gemm", [x.name, w, c], x, (x.shape[0], out), transB=transposed, **factors)
        return self.rounded(node)

    def pad(self) -> bool:
        x = self.pick(lambda v: v.is_image and prod(int(d) + 2 for d in v.shape[1:]) < ELEMENTS)
        if x is None:
            return False
        kind = self.one_of(["spatial", "spatial", "spatial", "channel"])
        before = [0, int(kind == "channel"), *[self.one_of([0, 1]) for _ in x.shape[2:]]]
        after = [0, 0, *[self.one_of([0, 1]) for _ in x.shape[2:]]]
        sums = zip(x.shape[1:], before[1:], after[1:], strict=True)
        shape = (x.shape[0], *(int(d) + b + a for d, b, a in sums))
        if self.opset < 11:
            value = self.one_of([None, None, 1.0])
            self.node("Pad", [x.name], x, shape, pads=[*before, *after], value=value)
        else:
            value = self.one_of([[], [], [self.weight("c")]])
            self.node("Pad", [x.name, self.numbers(*before, *after), *value], x, shape)
        return True

    def transpose(self) -> bool:
        x = self.pick(lambda v: True)
        assert x is not None
        perm = self.draw(st.permutations(range(x.rank))) if self.chance(2) else None
        order = list(reversed(range(x.rank))) if perm is None else perm
        self.node("Transpose", [x.name], x, tuple(x.shape[i] for i in order), perm=perm if x.rank else None)
        return True

    def reshape(self) -> bool:
        """Sizes that are dynamic stay where they are, at the front."""
        x = self.pick(lambda v: v.rank >= 1 and all(isinstance(d, int) for d in v.shape[1:]))
        if x is None:
            return False
        fixed = [int(d) for d in x.shape[1:]]
        front = 0 if isinstance(x.shape[0], str) else self.one_of([0, int(x.shape[0])])
        inner = self.one_of([fixed, [prod(fixed)], [1, *fixed], list(reversed(fixed))])
        written = [*inner[:-1], -1] if inner and prod(inner) and self.chance(3) else inner
        target = [-1, *inner] if front and self.chance(3) and prod(inner) else [front, *written]
        self.node("Reshape", [x.name, self.numbers(*target)], x, (x.shape[0], *inner))
        return True

    def cast(self) -> bool:
        x = self.pick(lambda v: v.exact)
        if x is None:
            return False
        to = self.one_of([FLOAT, FLOAT, HALF, DOUBLE, INT])
        made = self.node("Cast", [x.name], x, to=to)
        self.values[-1] = Made(made.name, to, x.shape, exact=True)
        return True

    def unary(self) -> bool:
        operator = self.one_of(["Identity", "Identity", "Neg", "Relu", "Dropout"])
        taken = (FLOAT, DOUBLE) if operator in ("Relu", "Dropout") else (FLOAT, HALF, DOUBLE, INT)
        x = self.pick(lambda v: v.elem_type in taken)
        if x is None:
            return False
        self.node(operator, [x.name], x)
        return True

    def branch(self) -> bool:
        """An If, of two bodies that read from outside."""
        if self.prefix:
            return False
        x = self.pick(lambda v: v.elem_type == FLOAT and v.rank > 0)
        if x is None:
            return False
        condition = self.name("decide")
        name = f"{len(self.nodes)}"
        bodies = {f"{side}_branch": self._body(f"{side}{name}_", x) for side in ("then", "else")}
        self.inputs.append(helper.make_tensor_value_info(condition, TensorProto.BOOL, []))
        return self.rounded(self.node("If", [condition], x, **bodies))

    def _body(self, prefix: str, like: Made) -> onnx.GraphProto:
        inner = Builder(self.draw, self.opset, prefix, outer=[*self.outer, *self.values])
        for _ in range(self.draw(st.integers(0, 3))):
            inner.step()
        result = inner.pick(lambda v: (v.elem_type, v.shape) == (like.elem_type, like.shape))
        assert result is not None
        inner.node(self.one_of(["Identity", "Neg"]), [result.name], result)
        return inner.graph(f"{prefix}body", [inner.values[-1]])

    def step(self) -> None:
        """A node, or two in a row of the kinds that rules look for."""
        singles = [self.add, self.unary, self.conv, self.matmul, self.transpose, self.cast, self.branch]
        pairs = [
            (self.conv, self.batch_normalization),
            (self.conv, self.add_weight),
            (self.matmul, self.batch_normalization),
            (self.matmul, self.add_weight),
            (self.gemm, self.batch_normalization),
            (self.pad, self.conv),
            (self.transpose, self.transpose),
            (self.reshape, self.reshape),
            (self.cast, self.cast),
        ]
        chain = self.one_of([*((s,) for s in singles), *pairs])
        self.follows = False
        for add in chain:
            self.follows = add() or self.follows

    def graph(self, name: str, outputs: Sequence[Made]) -> onnx.GraphProto:
        infos = [helper.make_tensor_value_info(v.name, v.elem_type, v.shape) for v in outputs]
        return helper.make_graph(self.nodes, name, self.inputs, infos, self.weights)


@st.composite
def models(draw: Draw) -> onnx.ModelProto:
    """A model of at most a few nodes, with one to three outputs, dead ends included."""
    opset = draw(st.sampled_from(OPSETS))
    builder = Builder(draw, opset)
    batch = builder.one_of([1, 2, "N"])
    builder.input(FLOAT, builder.one_of([(batch, 3, 4, 4), (batch, 2, 5), (batch, 4)]))
    builder.input(FLOAT, (3, 3))
    if builder.chance(4):
        builder.input(FLOAT, builder.one_of([(batch, 3, 4, 4), (4, 4), (3,), ()]))
    for _ in range(draw(st.integers(2, STEPS))):
        builder.step()
    known = [v for v in builder.values if v.name not in {i.name for i in builder.inputs} or builder.chance(6)]
    last = known[-1] if known else builder.values[-1]
    others = [v for v in known if v is not last and builder.chance(5)]
    graph = builder.graph("random", [last, *others[:2]])
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)


def reordered(model: onnx.ModelProto, priorities: Sequence[int]) -> onnx.ModelProto:
    """The same nodes in another order of execution: of those that can come next, the one of the least priority."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    pending = dict(enumerate(model.graph.node))
    made_by_nodes = {name for node in model.graph.node for name in node.output}
    done: set[str] = set()
    del copy.graph.node[:]
    while pending:
        ready = [i for i, node in pending.items() if (_read_by(node) & made_by_nodes) <= done]
        first = min(ready, key=lambda i: (priorities[i % len(priorities)], i))
        node = pending.pop(first)
        copy.graph.node.append(node)
        done.update(node.output)
    return copy


def _read_by(node: onnx.NodeProto) -> set[str]:
    bodies = [a.g for a in node.attribute if a.HasField("g")]
    return {*node.input, *(name for body in bodies for inner in body.node for name in _read_by(inner))}
