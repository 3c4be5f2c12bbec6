"""Sessions of ONNX Runtime on the CPU; they are made here and nowhere else."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

PROVIDER = "CPUExecutionProvider"

_SILENT = 4
"""The log level at which ONNX Runtime prints nothing: what matters comes as an exception."""


def new_session(
    model: Path | bytes,
    *,
    optimized: bool = False,
    deterministic: bool = False,
    threads: int = 0,
    spinning: bool = True,
    pool: bool = True,
    folder: Path | None = None,
) -> Any:
    """An `onnxruntime.InferenceSession` (a package without type stubs, hence Any). Nothing is printed.

    Args:
        model: a file, or the bytes of one.
        optimized: let ONNX Runtime rewrite the graph, as it does by default.
        deterministic: use only kernels that give the same bits at each run, and whether an operand is a constant or
            was computed: else ONNX Runtime packs constants beforehand, for kernels that round otherwise.
        threads: how many compute; 0 leaves it to ONNX Runtime.
        spinning: whether idle threads wait by computing, as they do by default; it makes runs that follow one another
            quicker, and takes processors from whatever else there is to do.
        pool: whether the session keeps the memory of a run for the next one, as it does by default.
        folder: where the external data of bytes lies.

    Raises:
        Exception: ONNX Runtime will not load the model; its exceptions share no base class of their own.
    """
    onnxruntime: Any = import_module("onnxruntime")
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    options.use_deterministic_compute = deterministic
    if deterministic:
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.enable_cpu_mem_arena = pool
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _SILENT
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    subject = str(model) if isinstance(model, Path) else model
    # the fallback tries other providers after a failure, and prints that it does
    return onnxruntime.InferenceSession(subject, options, providers=[PROVIDER], enable_fallback=0)
