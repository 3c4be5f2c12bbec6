"""Samples against the model's inputs."""

from __future__ import annotations

import io
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from graphopt.data.fit import fit_sample
from graphopt.errors import DataError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec


def interface(*inputs: TensorSpec, optional: tuple[TensorSpec, ...] = ()) -> Interface:
    return Interface(inputs, (), optional)


IMAGE = TensorSpec("image", DType.float32, ("N", 3, 8, 8))
MASK = TensorSpec("mask", DType.bool, (None, 4))
TEXT = TensorSpec("text", DType.string, ("N",))


def refusal(values: dict[str, Any], *inputs: TensorSpec) -> str:
    with pytest.raises(DataError) as caught:
        fit_sample("batch.npz[3]", values, interface(*inputs))
    return str(caught.value)


def test_a_sample_that_fits_keeps_its_values() -> None:
    image = np.arange(192, dtype=np.float32).reshape(1, 3, 8, 8)
    sample = fit_sample("s", {"image": image}, interface(IMAGE))
    assert sample.name == "s"
    assert np.array_equal(np.asarray(sample.arrays["image"]), image)
    assert sample.shapes == {"image": (1, 3, 8, 8)}


def test_order_is_that_of_the_model() -> None:
    values = {"mask": np.ones((2, 4), bool), "image": np.ones((1, 3, 8, 8), np.float32)}
    assert list(fit_sample("s", values, interface(IMAGE, MASK)).arrays) == ["image", "mask"]


def test_an_input_with_a_default_may_be_given_or_not() -> None:
    both = interface(MASK, optional=(IMAGE,))
    mask, image = np.ones((2, 4), bool), np.ones((1, 3, 8, 8), np.float32)
    assert list(fit_sample("s", {"mask": mask}, both).arrays) == ["mask"]
    assert list(fit_sample("s", {"mask": mask, "image": image}, both).arrays) == ["mask", "image"]


def test_byte_order_and_layout_are_no_difference() -> None:
    image = np.arange(192, dtype=">f4").reshape(8, 8, 3, 1).T
    found = np.asarray(fit_sample("s", {"image": image}, interface(IMAGE)).arrays["image"])
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert np.array_equal(found, image)


def test_a_scalar_stays_a_scalar() -> None:
    found = fit_sample("s", {"r": np.array(3, np.int64)}, interface(TensorSpec("r", DType.int64, ())))
    assert found.shapes == {"r": ()}


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4])
def test_raw_bytes_are_taken_for_types_that_numpy_stores_so(dtype: Any) -> None:
    values = np.array([1, 2, 3], dtype)
    file = io.BytesIO()
    np.save(file, values)
    file.seek(0)
    stored = np.load(file, allow_pickle=False)
    assert stored.dtype.name.startswith("void")
    spec = TensorSpec("x", next(d for d in DType if d.numpy == np.dtype(dtype)), (3,))
    found = np.asarray(fit_sample("s", {"x": stored}, interface(spec)).arrays["x"])
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, values)


@pytest.mark.parametrize("text", [np.array(["a", "äö"]), np.array([b"a", "äö".encode()]), ["a", "äö"]])
def test_text_of_any_width_is_text(text: Any) -> None:
    found = np.asarray(fit_sample("s", {"text": text}, interface(TEXT)).arrays["text"])
    assert found.dtype == object
    assert found.tolist() == ["a", "äö"]


def test_sequences_and_absent_optionals() -> None:
    specs = (TensorSpec("seq", None, None, "sequence"), TensorSpec("opt", None, None, "optional"))
    sample = fit_sample("s", {"seq": [np.ones(2), np.zeros(3)], "opt": None}, interface(*specs))
    assert isinstance(sample.arrays["seq"], list)
    assert sample.arrays["opt"] is None
    assert refusal({"seq": np.ones(2), "opt": None}, *specs) == (
        "input 'seq' is a sequence, and must be given as a list of arrays\n  at: batch.npz[3]"
    )


def test_an_unknown_input_is_named_with_the_likely_one() -> None:
    assert refusal({"imge": np.ones(1)}, IMAGE, MASK) == (
        "the model has no input 'imge'\n"
        "  at: batch.npz[3]\n"
        "  help: did you mean 'image'? its inputs are 'image', 'mask'"
    )


def test_a_missing_input_is_named() -> None:
    assert refusal({"image": np.ones((1, 3, 8, 8), np.float32)}, IMAGE, MASK) == (
        "input 'mask' is missing\n"
        "  at: batch.npz[3]\n"
        "  help: the model's inputs are 'image', 'mask'; the sample holds 'image'"
    )


def test_another_element_type_is_refused_though_a_cast_would_be_exact() -> None:
    assert refusal({"image": np.ones((1, 3, 8, 8))}, IMAGE) == (
        "input 'image' is float64, and the model takes float32\n"
        "  at: batch.npz[3]\n"
        "  help: convert it where it is made, for instance with .astype('float32'), if that is what is meant"
    )


def test_a_missing_leading_dimension_is_suggested() -> None:
    assert refusal({"image": np.ones((3, 8, 8), np.float32)}, IMAGE) == (
        "input 'image' has shape [3, 8, 8], and the model takes float32[N,3,8,8]\n"
        "  at: batch.npz[3]\n"
        "  help: a leading dimension may be missing: array[None] adds it"
    )


def test_a_wrong_rank_is_refused() -> None:
    assert refusal({"image": np.ones((8, 8), np.float32)}, IMAGE) == (
        "input 'image' has shape [8, 8], and the model takes float32[N,3,8,8]\n  at: batch.npz[3]"
    )


def test_a_wrong_static_dimension_is_refused() -> None:
    assert refusal({"image": np.ones((1, 1, 8, 8), np.float32)}, IMAGE) == (
        "input 'image' has shape [1, 1, 8, 8], and the model takes float32[N,3,8,8]: dimension 1 must be 3\n"
        "  at: batch.npz[3]"
    )


def test_many_samples_where_one_is_taken() -> None:
    assert refusal({"x": np.ones((9, 4), np.float32)}, TensorSpec("x", DType.float32, (1, 4))) == (
        "input 'x' has shape [9, 4], and the model takes float32[1,4]: dimension 0 must be 1\n"
        "  at: batch.npz[3]\n"
        "  help: to give many samples in one file, stack them on one more leading dimension"
    )


def test_python_objects_are_no_numbers() -> None:
    assert refusal({"image": np.array([None, {}])}, IMAGE) == (
        "input 'image' is not a regular array of numbers\n  at: batch.npz[3]\n  help: give a numpy array"
    )
    assert refusal({"text": np.array(["a", 3], dtype=object)}, TEXT) == (
        "input 'text' takes text, and holds 3\n  at: batch.npz[3]"
    )


def test_a_ragged_list_is_no_array() -> None:
    assert refusal({"image": [[1.0], [1.0, 2.0]]}, IMAGE).startswith("input 'image' cannot be made an array: ")


def test_negative_sizes_in_old_exports_mean_dynamic() -> None:
    spec = TensorSpec("x", DType.float32, (-1, 2))
    assert fit_sample("s", {"x": np.ones((5, 2), np.float32)}, interface(spec)).shapes == {"x": (5, 2)}
