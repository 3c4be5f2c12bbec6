"""A segment ready to run in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import numpy as np

from graphopt.calibration.segment_proto import counted_name, data_folder, segment_proto
from graphopt.calibration.segments import Segment
from graphopt.data.sample import Array
from graphopt.errors import GraphoptError
from graphopt.graph.dtypes import dtype_of
from graphopt.graph.graph import Value
from graphopt.graph.model import Model
from graphopt.graph.session import new_session
from graphopt.parity.refusals import NotRunnable, load_refusal, run_refusal

LABEL = "the model to calibrate"


class SegmentSession:
    """A segment and its session.

    Attributes:
        read_later: names of what later segments read, inputs of the model among them.
    """

    def __init__(self, segment: Segment, session: Any, read_later: frozenset[str]) -> None:
        self.segment = segment
        self.read_later = read_later
        self._session = session
        self._names = [o.name for o in session.get_outputs()]

    def run(self, held: Mapping[str, Any], sample: str) -> dict[str, Any]:
        """All outputs by name. `held` has arrays, and what earlier segments gave.

        Raises:
            DataError: it fails on this sample.
            BackendError: a kernel turns out to lack what the model needs.
        """
        feeds = {v.name: held[v.name] for v in self.segment.feeds if v.name in held}
        try:
            if any(value is None or isinstance(value, list) for value in feeds.values()):
                made = self._session.run(self._names, {name: _to_numpy(value) for name, value in feeds.items()})
            else:
                values = {name: _to_ort(value) for name, value in feeds.items()}
                made = self._session.run_with_ort_values(self._names, values)
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise _about_calibration(run_refusal(error, LABEL, sample)) from None
        return dict(zip(self._names, made, strict=True))

    def counted(self, made: Mapping[str, Any], value: Value) -> Array:
        """The float32 array of a value that this segment counts, from what a run made."""
        return _to_numpy(made[counted_name(value)])


def open_session(model: Model, segment: Segment, read_later: frozenset[str]) -> SegmentSession:
    """
    Raises:
        BackendError: ONNX Runtime lacks an operator, a kernel or a version.
        ModelError: ONNX Runtime takes the model for invalid.
    """
    data = segment_proto(model, segment).SerializeToString()
    try:
        session = new_session(data, deterministic=True, spinning=False, pool=False, folder=data_folder(model))
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise _about_calibration(load_refusal(error, LABEL)) from None
    return SegmentSession(segment, session, read_later)


def _about_calibration(error: GraphoptError) -> GraphoptError:
    if isinstance(error, NotRunnable):
        error.help = "calibration needs a model that ONNX Runtime can run"
    return error


def _to_ort(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    ort_value: Any = import_module("onnxruntime").OrtValue
    array = cast("Array", value)
    if array.dtype.kind == "V":  # bfloat16 and float8, which onnxruntime's binding takes by their bits alone
        bits = array.view(np.dtype(f"u{array.dtype.itemsize}"))
        return ort_value.ortvalue_from_numpy_with_onnx_type(bits, int(dtype_of(array)))
    return ort_value.ortvalue_from_numpy(array)


def _to_numpy(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value
