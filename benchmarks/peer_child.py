"""Rewrite models with one peer's defaults: `PEER`, then on stdin models, each behind its length in 8 bytes.

On stdout the same of what became of each, or a length of 0 and a line that says why there is nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import onnx


def onnxscript(model: onnx.ModelProto) -> onnx.ModelProto:
    rewriter: Any = import_module("onnxscript.rewriter")
    return rewriter.rewrite(model)


def onnxoptimizer(model: onnx.ModelProto) -> onnx.ModelProto:
    package: Any = import_module("onnxoptimizer")
    return package.optimize(model)


def onnxslim(model: onnx.ModelProto) -> onnx.ModelProto:
    package: Any = import_module("onnxslim")
    return package.slim(model)


def onnxsim(model: onnx.ModelProto) -> onnx.ModelProto:
    package: Any = import_module("onnxsim")
    return package.simplify(model)[0]


PEERS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    f.__name__: f for f in (onnxscript, onnxoptimizer, onnxslim, onnxsim)
}


def main() -> None:
    rewrite = PEERS[sys.argv[1]]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what peers print is no answer
    while header := sys.stdin.buffer.read(8):
        data = sys.stdin.buffer.read(int.from_bytes(header, "big"))
        try:
            with contextlib.redirect_stdout(sys.stderr):
                model = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(data))
                answer = rewrite(model).SerializeToString()
            reason = b""
        except Exception as error:
            answer, reason = b"", f"{type(error).__name__}: {error}".replace("\n", " ")[:500].encode()
        answers.write(len(answer).to_bytes(8, "big") + answer)
        if not answer:
            answers.write(len(reason).to_bytes(8, "big") + reason)
        answers.flush()


if __name__ == "__main__":
    main()
