"""What a model takes and gives: names, dtypes and shapes of its inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from graphopt.graph.dtypes import DType

Dim = int | str | None
"""A size, the name of a dynamic size, or a dynamic size without a name."""

Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output. `dtype` and `shape` are None where the model does not say, and for non-tensors."""

    name: str
    dtype: DType | None
    shape: Shape | None
    kind: str = "tensor"

    @property
    def is_dynamic(self) -> bool:
        return self.shape is None or any(not isinstance(d, int) for d in self.shape)

    def __str__(self) -> str:
        if self.kind != "tensor":
            return f"{self.name}: {self.kind}"
        dims = "?" if self.shape is None else ",".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name}: {self.dtype.name if self.dtype else '?'}[{dims}]"


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs in their order. Inputs with a default (an initializer of the same name) are `optional`."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    optional: tuple[TensorSpec, ...] = ()


def dims_of(shape: onnx.TensorShapeProto) -> Shape:
    """Dims of a shape proto: int, name, or None."""
    return tuple(_dim_of(d) for d in shape.dim)


def _dim_of(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    size = dim.dim_value
    if size > 0:
        return size
    if dim.HasField("dim_value"):
        return None if size else 0
    return None if _is_false_name(dim) else dim.dim_param


def _is_false_name(dim: onnx.TensorShapeProto.Dimension) -> bool:
    """Some exporters write "?" for every dim that they do not know: no name, since it would make them all equal."""
    return not dim.dim_param.strip("?")


def without_false_names(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """The declaration with dims named "?" left nameless: TensorRT would take them for one size."""
    dims = info.type.tensor_type.shape.dim
    if not any(d.dim_param and _is_false_name(d) for d in dims):
        return info
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(info)
    for dim in copy.type.tensor_type.shape.dim:
        if dim.dim_param and _is_false_name(dim):
            dim.ClearField("dim_param")
    return copy


def spec_of(info: onnx.ValueInfoProto) -> TensorSpec:
    """The spec of a graph input or output as its ValueInfoProto declares it."""
    kind = info.type.WhichOneof("value")
    if kind not in ("tensor_type", None):
        return TensorSpec(info.name, None, None, kind.removesuffix("_type"))
    tensor = info.type.tensor_type
    dtype = DType(tensor.elem_type) if tensor.elem_type else None
    return TensorSpec(info.name, dtype, dims_of(tensor.shape) if tensor.HasField("shape") else None)


def interface_of(model: onnx.ModelProto) -> Interface:
    """The interface of a model; initializers that are also graph inputs are listed as optional inputs."""
    defaults = {t.name for t in model.graph.initializer}
    defaults |= {t.values.name for t in model.graph.sparse_initializer}
    inputs = [spec_of(i) for i in model.graph.input]
    return Interface(
        tuple(i for i in inputs if i.name not in defaults),
        tuple(spec_of(o) for o in model.graph.output),
        tuple(i for i in inputs if i.name in defaults),
    )
