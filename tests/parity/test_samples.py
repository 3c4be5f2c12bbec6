"""What models are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from graphopt.errors import DataError
from graphopt.parity.refusals import NotRunnable, RunError
from graphopt.parity.samples import SampleSet, parity_samples
from tests.parity.models import RELU, conv_bn, model, random


@dataclass(frozen=True)
class Profile:
    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


def shapes(found: SampleSet, name: str = "x") -> list[tuple[int, ...]]:
    return [sample.shapes[name] for sample in found.samples]


def test_a_static_model_gets_normal_and_uniform_samples() -> None:
    found = parity_samples(model("g (float[2,4] x) => (float[2,4] y) { y = Relu (x) }"))
    assert shapes(found) == [(2, 4), (2, 4)]
    normal, uniform = (np.asarray(s.arrays["x"]) for s in found.samples)
    assert (normal < 0).any()
    assert (uniform >= 0).all()


def test_dynamic_dimensions_get_two_sizes() -> None:
    found = parity_samples(conv_bn(), count=1)
    assert shapes(found) == [(1, 8, 64, 64), (2, 8, 128, 128)]
    assert found.notes == ()


BAKED = """g (float[N,3,8,8] x) => (float[A,B] y) <int64[2] s = {1, 192}> { r = Reshape (x, s) y = Relu (r) }"""


def test_a_baked_in_batch_is_noted() -> None:
    found = parity_samples(model(BAKED))
    assert shapes(found) == [(1, 3, 8, 8)] * 2
    assert found.notes == ("dimension 0 of input 'x' (N) is dynamic, but the model was found to run at 1 only",)


def test_a_model_that_needs_multiples_of_32() -> None:
    body = """g (float[N,3,H,W] x) => (float[N,3,I,J] y) <int64[6] s = {0, 3, -1, 32, 1, 32}> {
        h = Shape <start = 2, end = 3> (x)  n = Shape <start = 0, end = 1> (x)  w = Shape <start = 3, end = 4> (x)
        t = Constant <value_ints = [32]> ()  a = Div (h, t)  b = Div (w, t)  c = Constant <value_ints = [3]> ()
        to = Concat <axis = 0> (n, c, a, t, b, t)  z = Reshape (x, to)
        back = Concat <axis = 0> (n, c, h, w)  y = Reshape (z, back)
    }"""
    found = parity_samples(model(body), count=1)
    assert shapes(found) == [(1, 3, 64, 64), (2, 3, 128, 128)]


def test_indices_stay_inside_their_table() -> None:
    body = "g (int64[N,T] x) => (float[N,T,4] y) { y = Gather (w, x) }"
    found = parity_samples(model(body, w=random(3, 4)))
    values = np.concatenate([np.asarray(s.arrays["x"]).ravel() for s in found.samples])
    assert (values.min(), values.max()) == (0, 2)


def test_outputs_that_say_something_are_preferred() -> None:
    """An attention mask of 2 and more overflows, and the Softmax behind it is NaN all over."""
    body = """g (int64[N,T] x) => (float[N,T] y) <float o = {1}, float k = {-3.4e38}> {
        m = Cast <to=1> (x)  a = Sub (o, m)  b = Mul (a, k)  y = Softmax (b)
    }"""
    found = parity_samples(model(body), count=1)
    assert np.asarray(found.samples[0].arrays["x"]).max() == 1


def test_a_model_whose_outputs_say_nothing_is_legal() -> None:
    found = parity_samples(model("g (float[2] x) => (float[M] y) <int64[1] z = {0}> { y = Slice (x, z, z) }"))
    assert len(found.samples) == 2


def test_a_model_without_inputs_is_run_once() -> None:
    found = parity_samples(model("g () => (float[2] y) <float[2] w = {1, 2}> { y = Relu (w) }"))
    assert [s.name for s in found.samples] == ["generated[0]"]


def test_profiles_and_values_of_the_user() -> None:
    profile = Profile((1, 4), (5, 4), (7, 4))
    assert shapes(parity_samples(model(RELU), profiles={"x": profile}, count=1)) == [(5, 4), (1, 4)]
    body = "g (float[N,4] x, int64[2] s) => (float[A,B] y) { y = Reshape (x, s) }"
    found = parity_samples(model(body), values={"s": Profile((2, -1), (2, -1), (2, -1))}, count=1)
    assert [np.asarray(s.arrays["s"]).tolist() for s in found.samples] == [[2, -1], [2, -1]]


OVERRIDE = "g (float[N] x, float[1] w, int64[1] k) => (float[M] y) { a = Mul (x, w) y = Tile (a, k) }"


def test_defaults_that_callers_may_override_are_overridden_once() -> None:
    built = model(OVERRIDE, w=np.float32([2]), k=np.array([1]))
    found = parity_samples(built, count=1)
    assert [sorted(s.arrays) for s in found.samples] == [["x"], ["x"], ["w", "x"]]
    assert np.asarray(found.samples[-1].arrays["w"]).tolist() == [2.625]
    assert found.samples[-1].name == "generated[0] x=16 with other values for w"
    old = parity_samples(model(OVERRIDE, ir=3, opset=8, w=np.float32([2]), k=np.array([1])), count=1)
    assert [sorted(s.arrays) for s in old.samples] == [["x"], ["x"]]


def save(folder: Path, *arrays: Any) -> Path:
    for index, array in enumerate(arrays):
        np.savez(folder / f"{index}.npz", x=array)
    return folder


def test_samples_of_the_user_get_one_of_another_shape(tmp_path: Path) -> None:
    found = parity_samples(conv_bn(), save(tmp_path, *(random(1, 8, 10, 10, seed=i) for i in range(3))))
    assert shapes(found) == [(1, 8, 10, 10)] * 3 + [(2, 8, 20, 20)]
    assert found.samples[-1].name == f"{tmp_path / '0.npz'} resized x=2x8x20x20"


def test_samples_of_different_shapes_are_enough(tmp_path: Path) -> None:
    found = parity_samples(conv_bn(), save(tmp_path, random(1, 8, 10, 10), random(2, 8, 12, 14)))
    assert shapes(found) == [(1, 8, 10, 10), (2, 8, 12, 14)]


def test_as_many_samples_as_asked_for(tmp_path: Path) -> None:
    folder = save(tmp_path, *(random(1, 4, seed=i) for i in range(12)))
    raw = model("g (float[1,4] x) => (float[1,4] y) { y = Relu (x) }")
    assert len(parity_samples(raw, folder).samples) == 8
    assert len(parity_samples(raw, str(folder), count=3).samples) == 3


def test_a_sample_that_the_model_refuses(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        parity_samples(model(BAKED), save(tmp_path, random(2, 3, 8, 8)))
    assert str(caught.value).startswith("the original model fails on this input: The input tensor cannot be reshaped")
    assert f"on {tmp_path / '0.npz'}\n" in str(caught.value)


def test_data_that_hold_nothing(tmp_path: Path) -> None:
    script = tmp_path / "none.py"
    script.write_text("def load_data():\n    return []")
    with pytest.raises(DataError) as caught:
        parity_samples(model(RELU), script)
    assert str(caught.value) == (
        f"there are no samples\n  at: {script}:load_data\n  help: give data that holds at least one"
    )


def test_a_model_that_takes_nothing() -> None:
    body = "g (float[N,M] x) => (float[A,B] y) <int64[2] s = {7919, 7919}> { y = Reshape (x, s) }"
    with pytest.raises(DataError) as caught:
        parity_samples(model(body))
    text = str(caught.value)
    assert text.startswith("no inputs were found that the model takes; ")
    assert "the original model fails on this input: The input tensor cannot be reshaped" in text
    assert text.endswith("\n  help: give real samples with --data, or shapes with --shape INPUT=SHAPE")


def test_a_model_that_cannot_be_run(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    body = "g (float[N] x) => (float[N] y) { y = com.acme.Twist (x) }"
    onnx.save(onnx.ModelProto.FromString(model(body, imports=', "com.acme" : 1')), path)
    with pytest.raises(NotRunnable):
        parity_samples(path)
