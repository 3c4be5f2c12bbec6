"""Random graphs that are legal and odd: near-misses of rules, values in several roles, constants in every form, bodies
that capture, names that collide with nobody's but ours.

`odd_graph(seed)` is deterministic. Numbers stay near 1, so that float32 outputs can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = (8, 9, 10, 11, 12, 13, 15, 17, 18, 21)
TYPES = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL, "d": TensorProto.DOUBLE}
DYNAMIC = "n"

Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Val:
    """A value: name, kind of element (f, i, b, d), dims."""

    name: str
    kind: str
    shape: Shape

    @property
    def is_static(self) -> bool:
        return all(isinstance(d, int) for d in self.shape)


def odd_graph(seed: int) -> onnx.ModelProto:
    """The model of a seed. ONNX Runtime may yet lack a kernel for it."""
    random = np.random.default_rng(seed)
    maker = _Maker(random, int(random.choice(OPSETS)))
    return maker.model()


class _Scope:
    """One graph under construction: its nodes and weights, and what can be read in it."""

    def __init__(self, visible: list[Val]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.visible = list(visible)
        self.own: list[Val] = []


class _Maker:
    def __init__(self, random: np.random.Generator, opset: int) -> None:
        self.random = random
        self.opset = opset
        self.count = 0
        self.scope = _Scope([])
        self.inputs: list[onnx.ValueInfoProto] = []
        self.depth = 0
        self.focus: Val | None = None
        self.steps: list[Callable[[], Val | None]] = [
            *(self.unary,) * 4,
            *(self.binary,) * 4,
            *(self.identity,) * 2,
            *(self.transpose,) * 2,
            *(self.reshape,) * 2,
            *(self.conv,) * 3,
            *(self.conv_transpose,) * 1,
            *(self.normalize,) * 4,
            *(self.pad,) * 2,
            *(self.matmul,) * 2,
            self.cast,
            self.dropout,
            self.clip,
            self.shape,
            self.reduce,
            self.constant_chain,
            self.filled,
            self.branch,
            self.branch,
            self.loop,
            *(lambda pair=pair: self.pair(*pair) for pair in self.near_misses() for _ in range(2)),
        ]

    def near_misses(self) -> list[tuple[Callable[[], Val | None], Callable[[], Val | None]]]:
        """What rules look for in a row."""
        return [
            (self.conv, self.normalize),
            (self.conv, self.bias),
            (self.conv_transpose, self.normalize),
            (self.pad, self.conv),
            (self.matmul, self.normalize),
            (self.cast, self.cast),
            (self.transpose, self.transpose),
            (self.reshape, self.reshape),
        ]

    def pair(self, first: Callable[[], Val | None], second: Callable[[], Val | None]) -> Val | None:
        self.focus = first()
        made = self.focus and second()
        self.focus = None
        return made

    # --- the model ---

    def model(self) -> onnx.ModelProto:
        for _ in range(int(self.random.integers(1, 4))):
            self.input()
        for _ in range(int(self.random.integers(3, 16))):
            self.step()
        outputs = self.outputs()
        graph = helper.make_graph(
            self.scope.nodes,
            self.pick(["main", "0", "x1"]),
            self.inputs,
            [helper.make_tensor_value_info(v.name, TYPES[v.kind], v.shape) for v in outputs],
            self.scope.weights,
        )
        if not self.inputs:
            graph.input.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, [1]))
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", self.opset)])

    def input(self) -> None:
        shape: Shape = self.pick([(2, 3), (DYNAMIC, 3), (1, 2, 4, 4), (DYNAMIC, 4, 3, 3), (3,), (), (2, 2, 5)])
        value = Val(self.name("x"), self.pick("fffffid"), shape)
        self.inputs.append(helper.make_tensor_value_info(value.name, TYPES[value.kind], shape))
        self.scope.visible.append(value)

    def outputs(self) -> list[Val]:
        """Mostly the last values, now and then an input, a weight, or a value that others read as well."""
        own = [v for v in self.scope.own if v.kind in TYPES] or [self.unary() or self.weight("f", (2,))]
        chosen = {own[-1].name: own[-1]}
        for _ in range(int(self.random.integers(0, 4))):
            value = self.pick(own if self.chance(0.85) else self.scope.visible)
            chosen[value.name] = value
        return list(chosen.values())

    def step(self) -> None:
        for _ in range(6):
            made = self.pick(self.steps)()
            if made is not None:
                return

    # --- small things ---

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def pick(self, items: Any) -> Any:
        return items[int(self.random.integers(len(items)))]

    def name(self, base: str) -> str:
        self.count += 1
        forms = [f"{base}{self.count}", str(self.count), f"{base}{self.count - 1}.w2_{self.count}", f"v_{self.count}"]
        return self.pick(forms)

    def seen(self, *kinds: str, rank: int | None = None) -> Val | None:
        candidates = self.scope.visible if self.focus is None else [self.focus]
        found = [v for v in candidates if v.kind in (kinds or "fd") and rank in (None, len(v.shape))]
        return found[-1 - min(int(self.random.geometric(0.35)) - 1, len(found) - 1)] if found else None

    def node(self, operator: str, inputs: list[str], kind: str, shape: Shape, **attributes: Any) -> Val:
        value = Val(self.name("t"), kind, shape)
        outputs = [value.name] if operator != "Dropout" or self.chance(0.7) else [value.name, ""]
        name = self.name("node") if self.chance(0.5) else ""
        self.scope.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return self.keep(value)

    def keep(self, value: Val) -> Val:
        self.scope.visible.append(value)
        self.scope.own.append(value)
        return value

    def numbers(self, kind: str, shape: tuple[int, ...]) -> Any:
        if kind == "i":
            return self.random.integers(-3, 4, shape).astype(np.int64)
        values = np.round(self.random.uniform(-1, 1, shape), 2)
        if self.chance(0.15):
            values = np.full(shape, self.pick([0.0, 1.0, -1.0]))
        return np.asarray(values, np.float32 if kind == "f" else np.float64)

    def weight(self, kind: str, shape: tuple[int, ...], *, fixed: bool = False) -> Val:
        return self.constant(self.numbers(kind, shape), kind, fixed=fixed)

    def constant(self, array: Any, kind: str, *, fixed: bool = False) -> Val:
        """A constant in one of its forms: weight, Constant node, weight behind an Identity, or one to be overridden."""
        value = Val(self.name("w"), kind, array.shape)
        form = self.random.random()
        if form < 0.3 and (kind in "fd" or self.opset >= 9):
            self.scope.nodes.append(self.constant_node(array, kind, value.name))
        else:
            self.scope.weights.append(numpy_helper.from_array(array, value.name))
        if form > 0.9 and not fixed and not self.depth:
            self.inputs.append(helper.make_tensor_value_info(value.name, TYPES[kind], array.shape))
        if 0.3 < form < 0.4:
            self.scope.nodes.append(helper.make_node("Identity", [value.name], [value.name + "_same"]))
            return Val(value.name + "_same", kind, array.shape)
        if self.chance(0.2):
            self.scope.visible.append(value)
        return value

    def constant_node(self, array: Any, kind: str, name: str) -> onnx.NodeProto:
        forms: dict[str, Any] = {"value": numpy_helper.from_array(array)}
        if self.opset >= 12 and array.ndim < 2 and kind in "fi" and array.size:
            word = {"f": "float", "i": "int"}[kind]
            forms[f"value_{word}{'s' if array.ndim else ''}"] = array.tolist()
        form = self.pick(list(forms))
        return helper.make_node("Constant", [], [name], **{form: forms[form]})

    # --- operators ---

    def unary(self) -> Val | None:
        value = self.seen()
        if value is None:
            return None
        operators = ["Neg", "Abs", "Relu", "Tanh", "Sigmoid"] if value.kind == "f" else ["Neg", "Abs"]
        return self.node(self.pick(operators), [value.name], value.kind, value.shape)

    def identity(self) -> Val | None:
        value = self.seen("f", "i", "b", "d")
        return value and self.node("Identity", [value.name], value.kind, value.shape)

    def binary(self) -> Val | None:
        value = self.seen("f", "d", "i")
        if value is None:
            return None
        others = [v for v in self.scope.visible if v.kind == value.kind and v.shape == value.shape]
        if self.chance(0.4):
            other, shape = self.pick(others), value.shape
        else:
            sizes = [d if isinstance(d, int) and self.chance(0.6) else 1 for d in value.shape]
            dims = tuple(sizes[int(self.random.integers(0, len(sizes) + 1)) :])
            if self.chance(0.1):
                dims = (1,) * (len(value.shape) + 1)
            other = self.weight(value.kind, dims)
            shape = value.shape if len(dims) <= len(value.shape) else (1, *value.shape)
        pair = [value.name, other.name]
        return self.node(self.pick(["Add", "Add", "Mul", "Sub"]), pair[:: self.pick([1, -1])], value.kind, shape)

    def transpose(self) -> Val | None:
        value = self.seen("f", "d", "i")
        if value is None:
            return None
        order = [int(i) for i in self.random.permutation(len(value.shape))]
        if self.chance(0.3) or not order:
            return self.node("Transpose", [value.name], value.kind, value.shape[::-1])
        return self.node("Transpose", [value.name], value.kind, tuple(value.shape[i] for i in order), perm=order)

    def reshape(self) -> Val | None:
        value = self.seen("f", "d", "i")
        if value is None:
            return None
        static = [d for d in value.shape if isinstance(d, int)]
        size = prod(static)
        if value.is_static and size and self.chance(0.5):
            first = self.pick([d for d in range(1, size + 1) if size % d == 0])
            shape: Shape = self.pick([(first, size // first), (size,), (1, first, size // first), value.shape])
            wanted = [int(d) for d in shape]
        else:  # 0 copies the dim that is there, -1 finds what is left
            shape = value.shape
            wanted = [0 if not isinstance(d, int) or self.chance(0.5) else d for d in shape]
        if wanted and self.chance(0.3) and wanted.count(0) < len(wanted):
            wanted[self.pick([i for i, d in enumerate(wanted) if d])] = -1
        target = self.constant(np.array(wanted, np.int64), "i", fixed=True)
        return self.node("Reshape", [value.name, target.name], value.kind, shape)

    def conv(self) -> Val | None:
        value = self.seen("f", rank=4)
        if value is None or not all(isinstance(d, int) for d in value.shape[1:]):
            return None
        batch, channels, *_ = value.shape
        group = self.pick([1, 1, channels])
        made, kernel = group * int(self.random.integers(1, 4)), self.pick([1, 1, 3])
        inputs = [value.name, self.weight("f", (made, channels // group, kernel, kernel)).name]
        if self.chance(0.6):
            inputs.append(self.weight("f", (made,)).name if self.chance(0.7) else "")
        attributes: dict[str, Any] = {"group": group} if group != 1 or self.chance(0.3) else {}
        if kernel == 3:
            attributes |= {"pads": [1, 1, 1, 1]} if self.chance(0.6) else {"auto_pad": "SAME_UPPER"}
        return self.node("Conv", inputs, "f", (batch, made, *value.shape[2:]), **attributes)

    def bias(self) -> Val | None:
        value = self.seen("f", rank=4)
        if value is None or not isinstance(value.shape[1], int):
            return None
        channels = value.shape[1]
        row = self.weight("f", self.pick([(channels, 1, 1), (1, channels, 1, 1), (1,), (), (1, 1, 1, 1)]))
        pair = [value.name, row.name]
        return self.node("Add", pair[:: self.pick([1, -1])], "f", value.shape)

    def conv_transpose(self) -> Val | None:
        value = self.seen("f", rank=4)
        if value is None or not all(isinstance(d, int) for d in value.shape[1:]):
            return None
        batch, channels, height, width = value.shape
        group = self.pick([1, channels])
        each = int(self.random.integers(1, 3))
        weight = self.weight("f", (channels, each, 2, 2))
        return self.node(
            "ConvTranspose", [value.name, weight.name], "f", (batch, each * group, height + 1, width + 1), group=group
        )

    def normalize(self) -> Val | None:
        value = self.seen("f")
        if value is None or len(value.shape) < 2 or not isinstance(value.shape[1], int):
            return None
        rows = [self.weight("f", (value.shape[1],)).name for _ in range(3)]
        variance = self.constant(np.abs(self.numbers("f", (value.shape[1],))) + np.float32(0.1), "f", fixed=True)
        attributes: dict[str, Any] = {"epsilon": 0.01} if self.chance(0.5) else {}
        return self.node("BatchNormalization", [value.name, *rows, variance.name], "f", value.shape, **attributes)

    def pad(self) -> Val | None:
        value = self.seen("f", rank=4)
        if value is None or not all(isinstance(d, int) for d in value.shape[1:]):
            return None
        amounts = [0, 0, 1, self.pick([0, 1]), 0, 0, 1, self.pick([0, 2])]
        if self.chance(0.15):
            amounts[1] = 1
        shape = (value.shape[0], *(d + amounts[i] + amounts[i + 4] for i, d in enumerate(value.shape[1:], 1)))
        fill = self.pick([0.0, 0.0, 0.0, 1.0])
        if self.opset < 11:
            return self.node("Pad", [value.name], "f", shape, pads=amounts, value=fill)
        inputs = [value.name, self.constant(np.array(amounts, np.int64), "i", fixed=True).name]
        if fill or self.chance(0.5):
            inputs.append(self.constant(np.array(fill, np.float32), "f").name)
        return self.node("Pad", inputs, "f", shape, **({"mode": "constant"} if self.chance(0.3) else {}))

    def matmul(self) -> Val | None:
        value = self.seen("f", "d", rank=2)
        if value is None or not isinstance(value.shape[1], int):
            return None
        made = int(self.random.integers(1, 4))
        weight = self.weight(value.kind, (value.shape[1], made))
        shape = (value.shape[0], made)
        if self.chance(0.6):
            product = self.node("MatMul", [value.name, weight.name], value.kind, shape)
            if self.chance(0.5):
                row = self.weight(value.kind, self.pick([(made,), (1, made), ()]))
                return self.node("Add", [product.name, row.name], value.kind, shape)
            return product
        row = self.weight(value.kind, (made,))
        factors = {"alpha": 0.5, "beta": 2.0} if self.chance(0.5) else {}
        return self.node("Gemm", [value.name, weight.name, row.name], value.kind, shape, **factors)

    def cast(self) -> Val | None:
        value = self.seen("f", "i", "d")
        kind = self.pick("fid")
        return value and self.node("Cast", [value.name], kind, value.shape, to=TYPES[kind])

    def dropout(self) -> Val | None:
        value = self.seen("f")
        if value is None:
            return None
        if self.opset < 12:
            return self.node("Dropout", [value.name], "f", value.shape, ratio=0.3)
        more = [["", ""], [], [""]][int(self.random.integers(3))]
        if self.chance(0.3):
            more = ["", self.constant(np.array(False), "b", fixed=True).name]
        return self.node("Dropout", [value.name, *more], "f", value.shape)

    def clip(self) -> Val | None:
        value = self.seen("f")
        if value is None:
            return None
        low, high = sorted(np.round(self.random.uniform(-1, 1, 2), 2))
        if self.opset < 11:
            return self.node("Clip", [value.name], "f", value.shape, min=float(low), max=float(high))
        bounds = [self.constant(np.array(b, np.float32), "f").name if self.chance(0.7) else "" for b in (low, high)]
        return self.node("Clip", [value.name, *bounds], "f", value.shape)

    def shape(self) -> Val | None:
        """The shape of a value, on its way into a Reshape of that value."""
        value = self.seen("f", "d", "i")
        if value is None or not value.shape:
            return None
        dims = self.node("Shape", [value.name], "i", (len(value.shape),))
        if self.chance(0.5):
            return self.node("Reshape", [value.name, dims.name], value.kind, value.shape)
        axis = int(self.random.integers(len(value.shape)))
        index = self.constant(np.array([axis], np.int64), "i", fixed=True)
        return self.node("Gather", [dims.name, index.name], "i", (1,))

    def reduce(self) -> Val | None:
        value = self.seen("f", "d")
        if value is None or not value.shape:
            return None
        axis = int(self.random.integers(-len(value.shape), len(value.shape)))
        keep = self.pick([0, 1])
        shape = [1 if i == axis % len(value.shape) else d for i, d in enumerate(value.shape)]
        if not keep:
            del shape[axis % len(value.shape)]
        inputs, attributes = [value.name], {"keepdims": keep}
        if self.opset < 18:
            attributes["axes"] = [axis]
        else:
            inputs.append(self.constant(np.array([axis], np.int64), "i", fixed=True).name)
        return self.node("ReduceMean", inputs, value.kind, tuple(shape), **attributes)

    def constant_chain(self) -> Val:
        """Constants that are computed from constants."""
        kind = self.pick("fid")
        value = self.weight(kind, self.pick([(2, 3), (3,), (), (1, 4)]))
        for _ in range(int(self.random.integers(1, 4))):
            operator = self.pick(["Neg", "Abs", "Transpose", "Identity"])
            shape = value.shape[::-1] if operator == "Transpose" else value.shape
            value = self.node(operator, [value.name], kind, shape)
        return value

    def filled(self) -> Val | None:
        if self.opset < 9:
            return None
        dims = self.pick([(2, 3), (3,), (), (2, 2)])
        target = self.constant(np.array(dims, np.int64), "i", fixed=True)
        fill = {"value": numpy_helper.from_array(np.array([0.5], np.float32))} if self.chance(0.5) else {}
        return self.node("ConstantOfShape", [target.name], "f", dims, **fill)

    def branch(self) -> Val | None:
        """An If whose bodies capture, and return what they capture, constants, or what they compute."""
        like = self.seen("f", "i", "d")
        if like is None or self.depth > 1:
            return None
        if self.chance(0.7):
            condition = Val(self.name("c"), "b", ())
            if self.depth:
                return None
            self.inputs.append(helper.make_tensor_value_info(condition.name, TensorProto.BOOL, []))
        else:
            condition = self.constant(np.array(self.chance(0.5)), "b")
        bodies = {name: self.body(like, name) for name in ("then_branch", "else_branch")}
        return self.node("If", [condition.name], like.kind, like.shape, **bodies)

    def loop(self) -> Val | None:
        """A Loop of 0 to 2 trips over a state of fixed shape."""
        like = self.seen("f", "d")
        if like is None or self.depth or self.opset < 11:
            return None
        trips = self.constant(np.array(self.random.integers(0, 3)), "i")
        state = Val(self.name("s"), like.kind, like.shape)
        body = self.body(like, "body", state)
        number, going, still = (self.name("loop") for _ in range(3))
        for value, kind in ((number, "i"), (going, "b")):
            body.input.append(helper.make_tensor_value_info(value, TYPES[kind], []))
        body.input.append(helper.make_tensor_value_info(state.name, TYPES[state.kind], state.shape))
        body.node.append(helper.make_node("Identity", [going], [still]))
        body.output.insert(0, helper.make_tensor_value_info(still, TensorProto.BOOL, []))
        return self.node("Loop", [trips.name, "", like.name], like.kind, like.shape, body=body)

    def body(self, like: Val, name: str, *inputs: Val) -> onnx.GraphProto:
        outer, self.scope = self.scope, _Scope([*self.scope.visible, *inputs])
        self.depth += 1
        for _ in range(int(self.random.integers(0, 5))):
            self.step()
        fitting = [v for v in self.scope.own if (v.kind, v.shape) == (like.kind, like.shape)]
        if fitting and self.chance(0.8):
            result = fitting[-1]
        elif like.is_static and self.chance(0.5):
            array = self.numbers(like.kind, tuple(int(d) for d in like.shape))
            result = self.keep(Val(self.name("w"), like.kind, like.shape))
            self.scope.weights.append(numpy_helper.from_array(array, result.name))
            if self.chance(0.5):
                result = self.node("Identity", [result.name], like.kind, like.shape)
        else:
            result = self.node("Identity", [like.name], like.kind, like.shape)
        made = helper.make_tensor_value_info(result.name, TYPES[result.kind], result.shape)
        graph = helper.make_graph(self.scope.nodes, name, [], [made], self.scope.weights)
        self.scope = outer
        self.depth -= 1
        return graph
