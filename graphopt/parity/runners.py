"""Running a model in ONNX Runtime, through Polygraphy's runner, with the runtime's own optimizations off."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from graphopt.data.quiet_polygraphy import quiet_polygraphy
from graphopt.data.sample import Array, Sample
from graphopt.graph.dtypes import DType
from graphopt.graph.session import new_session
from graphopt.parity.refusals import NotRunnable, load_refusal, run_refusal
from graphopt.parity.unique_names import with_unique_names

Outputs = dict[str, Any]
"""By name: an array; a list of outputs (sequence); a dict (map); or None (an optional that is absent)."""

_NUMPY_LACKS = {"tensor(bfloat16)": DType.bfloat16} | {
    f"tensor({t.name})": t for t in DType if t.name.startswith("float8")
}
"""Element types that onnxruntime's binding to numpy cannot take or give, by their name there."""


class Runner:
    """A model ready to run on the CPU; a context manager.

    Args:
        model: a file (its external data is found beside it), or the bytes of one.
        label: how messages call the model.
        optimized: let ONNX Runtime rewrite the graph, as it does outside of us.

    Raises:
        NotRunnable: an operator, kernel or version is lacking.
        ModelError: ONNX Runtime takes the model for invalid.
    """

    def __init__(self, model: Path | bytes, label: str, *, optimized: bool = False) -> None:
        self.label = label
        self._stack = ExitStack()
        self._session = _Session(_open(model, label, optimized), label)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            module = stack.enter_context(quiet_polygraphy())
            self._runner = self._stack.enter_context(module("polygraphy.backend.onnxrt").OnnxrtRunner(self._session))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        del self._session, self._runner

    def run(self, sample: Sample) -> Outputs:
        """All outputs for one sample.

        Raises:
            RunError: the model fails on it.
            NotRunnable: a kernel turns out to lack what the model needs.
        """
        try:
            tensors = {name: value for name, value in sample.arrays.items() if isinstance(value, np.ndarray)}
            self._session.others = {name: value for name, value in sample.arrays.items() if name not in tensors}
            with quiet_polygraphy():
                # the samples are checked when they are read; Polygraphy's check knows neither strings nor defaults
                return dict(self._runner.infer(tensors, check_inputs=False))
        except (NotRunnable, MemoryError):
            raise
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise run_refusal(error, self.label, sample.name) from None


def _open(model: Path | bytes, label: str, optimized: bool) -> Any:
    try:
        return new_session(model, optimized=optimized, deterministic=True)
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        if "two nodes with same node name" not in str(error):
            raise load_refusal(error, label) from None
    try:
        renamed, folder = with_unique_names(model)
        return new_session(renamed, optimized=optimized, deterministic=True, folder=folder)
    except Exception as error:
        raise load_refusal(error, label) from None


class _Session:
    """An onnxruntime session that takes what Polygraphy's runner does not pass on, `others` (sequences, and optionals
    that are absent), and takes and gives bfloat16 and float8 arrays, by way of their raw bytes."""

    def __init__(self, session: Any, label: str) -> None:
        self._session = session
        self.others: dict[str, Any] = {}
        self._inputs = {i.name: _NUMPY_LACKS[i.type] for i in session.get_inputs() if i.type in _NUMPY_LACKS}
        self._raw = bool(self._inputs) or any(o.type in _NUMPY_LACKS for o in session.get_outputs())
        for value in (*session.get_inputs(), *session.get_outputs()):
            if "int4" in value.type or "int2" in value.type or "float4" in value.type:
                raise NotRunnable(
                    f"{label} takes or gives {value.name!r} as {value.type}, which ONNX Runtime cannot exchange"
                )

    def get_outputs(self) -> Sequence[Any]:
        return self._session.get_outputs()

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        if not self._raw:
            return self._session.run(names, {**feeds, **self.others})
        values = {name: self._to_ort(name, array) for name, array in feeds.items()}
        return [_from_ort(value) for value in self._session.run_with_ort_values(names, values)]

    def _to_ort(self, name: str, array: Array) -> Any:
        onnxruntime: Any = import_module("onnxruntime")
        dtype = self._inputs.get(name)
        if dtype is None:
            return onnxruntime.OrtValue.ortvalue_from_numpy(array)
        bits = array.view(np.dtype(f"u{dtype.bits // 8}"))
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, int(dtype))


def _from_ort(value: Any) -> Any:
    dtype = _NUMPY_LACKS.get(value.data_type())
    if dtype is None:
        return value.numpy()
    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(raw, dtype.numpy).reshape(value.shape())
