"""Small models in text, with weights drawn from one seed, and what a model in a short type has to be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from graphopt.calibration.collect import collect
from graphopt.calibration.statistics import Statistics
from graphopt.data.sample import Array, Sample
from graphopt.graph.dtypes import DType
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.parity.runners import Runner
from graphopt.parity.spelled import spelled_out


def network(body: str, inputs: str, outputs: str, weights: str = "", *, opset: int = 22, size: float = 0.25) -> Model:
    """A model from the textual syntax of ONNX; weights are normal, of this standard deviation."""
    declared = f"<{weights}>" if weights else ""
    head = f'<ir_version: 10, opset_import: ["" : {opset}]>'
    proto = onnx.parser.parse_model(f"{head} g ({inputs}) => ({outputs}) {declared} {{ {body} }}")
    random = np.random.default_rng(5)
    for info in proto.graph.value_info:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        array = (random.standard_normal(shape) * size).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, info.name))
    del proto.graph.value_info[:]
    return from_proto(proto)


def samples(shape: tuple[int, ...], count: int = 4, size: float = 1.0) -> list[Sample]:
    """Normal inputs called x."""
    random = np.random.default_rng(6)
    arrays = [(random.standard_normal(shape) * size).astype(np.float32) for _ in range(count)]
    return [Sample(f"sample {number}", {"x": array}) for number, array in enumerate(arrays)]


def seen(model: Model, given: list[Sample]) -> Statistics:
    return collect(model, given)


def checked(model: Model) -> onnx.ModelProto:
    """The model as a file, after onnx has found its types consistent."""
    proto = to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def types(model: Model) -> dict[str, str]:
    """The element type of what each node makes, by the name of the value."""
    return {v.name: v.dtype.name for n in model.all_nodes() for v in n.outputs if v is not None and v.dtype is not None}


def operators(model: Model, dtype: DType) -> Counter[str]:
    """How many nodes of each operator read or make this type, Casts left out."""
    return Counter(
        n.op_type
        for n in model.all_nodes()
        if n.op_type != "Cast" and any(v is not None and v.dtype is dtype for v in (*n.inputs, *n.outputs))
    )


def run(model: Model, sample: Sample) -> dict[str, Array]:
    """With every rounding that the types ask for."""
    with spelled_out(to_proto(model).SerializeToString(), "the model") as subject, Runner(subject, "it") as runner:
        return runner.run(sample)


def sqnr(wanted: Array, found: Array) -> float:
    noise = np.square(wanted.astype(np.float64) - found).sum()
    return float(10 * np.log10(np.square(wanted.astype(np.float64)).sum() / noise))
