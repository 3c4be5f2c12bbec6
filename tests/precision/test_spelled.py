"""Every rounding that short types ask for, in ONNX Runtime."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx.parser
import pytest

from graphopt.parity.runners import Runner
from graphopt.parity.spelled import spelled_out
from tests.precision.short import samples

TYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def _model(dtype: str) -> bytes:
    number = {"float16": 10, "bfloat16": 16}[dtype]
    return onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 22]> g (float[64] x) => (float[64] y) {{
            a = Cast <to = {number}> (x)
            b = Mul (a, a)
            c = Add (b, a)
            d = Mul (c, b)
            y = Cast <to = 1> (d)
        }}"""
    ).SerializeToString()


@pytest.mark.parametrize("dtype", TYPES)
def test_each_operator_rounds(dtype: str) -> None:
    def rounded(array: np.ndarray) -> np.ndarray:
        return array.astype(TYPES[dtype]).astype(np.float32)

    (sample,) = samples((64,), 1)
    x = sample.arrays["x"]
    assert isinstance(x, np.ndarray)
    a = rounded(x)
    b = rounded(a * a)
    wanted = rounded(rounded(b + a) * b)
    with spelled_out(_model(dtype), "it") as subject, Runner(subject, "it") as runner:
        np.testing.assert_array_equal(runner.run(sample)["y"], wanted)


def test_a_model_without_short_floats_is_left_as_it_is() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 22]> g (float[4] x) => (float[4] y) { y = Relu (x) }'
    ).SerializeToString()
    with spelled_out(model, "it") as subject:
        assert subject is model
