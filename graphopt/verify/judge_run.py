"""Models run in their own element types."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.shape_inference import infer_shapes

from graphopt.graph.session import new_session
from graphopt.verify.judge_values import Array, flat

_NO_KERNEL = (
    "NOT_IMPLEMENTED",
    "bfloat16",
    "Could not find an implementation",
    "is not a registered function/op",
    "Size of X.shape[axis:] must be at least 1",  # LayerNormalization of nothing is nothing, but not from 1.32 on
)


class Refused(Exception):
    """ONNX Runtime takes the model, or what it is given, for wrong."""


class NoKernel(Refused):
    """ONNX Runtime lacks something that the model needs, which says nothing about the model."""


def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs, by name, from ONNX Runtime with its optimizations off, on one thread.

    Raises:
        Refused: it does not load the model, or fails; says why.
    """
    if any(array.dtype.name == "bfloat16" for array in feeds.values()):
        raise NoKernel("ONNX Runtime takes no bfloat16 from Python")
    data = model.SerializeToString(deterministic=True)
    if _divides_integers(data):
        _refuse_division_by_zero(model, feeds)
    if any(n.op_type == "InstanceNormalization" for n in model.graph.node) and _has_nothing(model, feeds):
        raise NoKernel("ONNX Runtime dies of an InstanceNormalization of nothing, now and then")
    if any(_has_no_groups(n) for n in model.graph.node):
        raise Refused("a convolution has no groups, which ends the process in ONNX Runtime")
    try:
        session = _session(data)
        found: list[Any] = session.run(None, dict(feeds))
    except Exception as error:  # its exceptions share no base
        kind = NoKernel if any(mark in str(error) for mark in _NO_KERNEL) else Refused
        raise kind(" ".join(str(error).split())) from None
    return flat(dict(zip((o.name for o in model.graph.output), found, strict=True)))


def _has_nothing(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> bool:
    """Whether some tensor that the model is given has no elements."""
    return any(not array.size for array in feeds.values()) or any(0 in t.dims for t in model.graph.initializer)


def _has_no_groups(node: onnx.NodeProto) -> bool:
    return node.op_type in ("Conv", "ConvTranspose") and any(a.name == "group" and a.i == 0 for a in node.attribute)


@lru_cache(maxsize=256)
def _divides_integers(data: bytes) -> bool:
    model = onnx.ModelProto.FromString(data)
    divisions = [n for n in model.graph.node if n.op_type in ("Div", "Mod") and not n.domain]
    if not divisions:
        return False
    types = {v.name: v.type.tensor_type.elem_type for v in infer_shapes(model).graph.value_info}
    types |= {v.name: v.type.tensor_type.elem_type for v in model.graph.input}
    types |= {t.name: t.data_type for t in model.graph.initializer}
    return any(types.get(n.input[1], 0) not in _FLOATS for n in divisions)


_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)


def _refuse_division_by_zero(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> None:
    """Integers divided by 0, or the smallest by -1, end the process in ONNX Runtime, and not with an exception."""
    with warnings.catch_warnings(), np.errstate(all="ignore", divide="raise", over="raise"):
        warnings.simplefilter("ignore")
        try:
            evaluator: Any = ReferenceEvaluator(model)
            evaluator.run(None, dict(feeds))
        except FloatingPointError:
            raise Refused("integers are divided by 0") from None
        except Exception:
            return  # ONNX Runtime tells better what is wrong


@lru_cache(maxsize=32)
def _session(data: bytes) -> Any:
    return new_session(data, threads=1)


class Sum(OpRun):
    """The reference evaluator adds to 0, and so loses the sign of a 0."""

    def _run(self, *xs: Array) -> tuple[Array, ...]:
        return (functools.reduce(np.add, xs),)


def run_reference(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The same from onnx's reference evaluator, for operators that move data and nothing else.

    Raises:
        Refused: it lacks something, or fails, or an integer is made of what is no number, which may then be any.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore", invalid="warn"):
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="invalid value encountered in cast")
        try:
            evaluator: Any = ReferenceEvaluator(model, new_ops=[Sum])
            found: list[Any] = evaluator.run(None, dict(feeds))
        except Exception as error:
            raise Refused(" ".join(str(error).split())) from None
    return flat(dict(zip((o.name for o in model.graph.output), found, strict=True)))
