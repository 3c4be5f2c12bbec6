"""Candidates judged by the original's outputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from graphopt.data.sample import Sample
from graphopt.errors import DataError
from graphopt.parity.comparison import Comparison
from graphopt.parity.contract import EXACT, QUANT, REAL, Contract
from graphopt.parity.reference import Reference
from graphopt.parity.refusals import NotRunnable, RunError
from graphopt.parity.tolerance import Limits
from tests.parity.models import RELU, conv_bn, conv_bn_folded, model, proto, random


def feeds(*shapes: tuple[int, ...], name: str = "x") -> list[Sample]:
    return [Sample(f"s{i}", {name: random(*shape, seed=i)}) for i, shape in enumerate(shapes)]


IMAGES = feeds((1, 8, 16, 16), (2, 8, 12, 20))


def compare(
    reference: bytes | Path,
    candidate: bytes | Path,
    samples: list[Sample],
    contract: Contract = REAL,
    limits: Limits | None = None,
) -> Comparison:
    with Reference(reference, samples) as original:
        return original.compare(candidate, contract, limits=limits)


def test_a_model_is_exactly_itself() -> None:
    found = compare(conv_bn(), conv_bn(), IMAGES, EXACT)
    assert found.ok
    assert found.problems == found.notes == ()
    assert found.samples == 2
    assert found.shapes == ({"x": (1, 8, 16, 16)}, {"x": (2, 8, 12, 20)})
    [output] = found.outputs
    assert (output.name, output.figures.bitwise, output.tolerance.source) == ("y", True, "every bit")


@pytest.mark.parametrize("variance", [1e-3, 1.0, 1e6])
def test_a_folded_batch_normalization_is_real_but_not_exact(variance: float) -> None:
    plain, folded = conv_bn(variance), conv_bn_folded(variance)
    assert compare(plain, folded, IMAGES).ok
    found = compare(plain, folded, IMAGES, EXACT)
    assert not found.ok
    assert found.problems[0].startswith("output 'y': it is not equal bit by bit: the largest difference is ")


@pytest.mark.parametrize("variance", [1e-3, 1e-2, 1e-1, 1.0])
def test_a_forgotten_epsilon_is_found(variance: float) -> None:
    """It makes a scale wrong by epsilon / (2 variance): at variance 1 by 5e-6, some eighty roundoffs."""
    found = compare(conv_bn(variance), conv_bn_folded(variance, epsilon=0.0), IMAGES)
    assert not found.ok
    assert "of its scale" in found.problems[0]
    assert found.outputs[0].tolerance.source == "the original, disturbed 8 times"


def test_the_verdict_does_not_depend_on_what_was_compared_before() -> None:
    right, wrong = conv_bn_folded(), conv_bn_folded(epsilon=0.0)
    with Reference(conv_bn(), IMAGES) as first, Reference(conv_bn(), IMAGES) as second:
        there = [first.compare(right).to_json(), first.compare(wrong).to_json()]
        back = [second.compare(wrong).to_json(), second.compare(right).to_json()]
    assert there == back[::-1]
    assert [document["ok"] for document in there] == [True, False]


def test_outputs_that_differ_by_themselves_are_not_judged() -> None:
    raw = model("g (float[N] x) => (float[N] y, float[N] z) { r = RandomNormalLike (x) y = Add (x, r) z = Neg (x) }")
    found = compare(raw, raw, feeds((8,), (9,)))
    assert found.ok
    assert [(o.name, o.judged) for o in found.outputs] == [("y", False), ("z", True)]
    assert found.notes == (
        "output 'y': not judged, since two runs of the original differ (does it draw random numbers?)",
    )


def test_outputs_that_say_nothing_are_noted() -> None:
    raw = model(
        "g (float[N] x) => (float[N] y) { z = Mul (x, n) y = Add (z, o) }", n=np.float32([0]), o=np.float32([3])
    )
    found = compare(raw, raw, feeds((4,), (4,)))
    assert found.notes == ("output 'y': the same for all samples of a shape, so that its equality says little",)


def test_nan_and_infinity_must_stand_where_they_stood() -> None:
    root = "g (float[N] x) => (float[N] y) { y = Sqrt (x) }"
    assert compare(model(root), model(root), feeds((50,)), EXACT).ok
    lost = "g (float[N] x) => (float[N] y) { a = Abs (x) y = Sqrt (a) }"
    found = compare(model(root), model(lost), feeds((50,)))
    negative = int((random(50) < 0).sum())
    assert found.problems == (
        f"output 'y': {negative} of 50 elements differ, 0 may (tolerance: the original, disturbed 8 times; on s0)",
    )


@pytest.mark.parametrize(
    ("body", "sample"),
    [
        ("g (float[N] x) => (float[M] y) <int64[1] e = {0}> { y = Slice (x, e, e) }", {"x": random(5)}),
        ("g (float[N] x) => (float y) { y = ReduceSum <keepdims=0> (x) }", {"x": random(5)}),
        ("g (string[N] x) => (string[N] y) { y = Identity (x) }", {"x": np.array(["a", "b"], object)}),
        ("g (float[N] x) => (seq(float[N]) y) { y = SequenceConstruct (x, x) }", {"x": random(5)}),
        ("g (float[N] x) => (optional(float[N]) y) { y = Optional <type = float[N]> () }", {"x": random(5)}),
        ("g (float[N] x) => (float16[N] y) { y = Cast <to=10> (x) }", {"x": random(5)}),
        ("g (float[N] x) => (bfloat16[N] y) { y = Cast <to=16> (x) }", {"x": random(5)}),
        ("g (float[N] x) => (bool[N] y) { y = Less (x, x) }", {"x": random(5)}),
    ],
)
def test_every_kind_of_output(body: str, sample: dict[str, Any]) -> None:
    raw = model(body)
    for contract in (EXACT, REAL, Contract("approx", 0.1), QUANT):
        found = compare(raw, raw, [Sample("s", sample)], contract)
        assert found.ok, found.problems
        assert found.outputs[0].figures.bitwise


def test_text_that_differs() -> None:
    body = "g (string[N] x) => (string[N] y) <int64[3] i = {%s}> { y = Gather (x, i) }"
    found = compare(model(body % "0, 1, 2"), model(body % "0, 1, 1"), [Sample("s", {"x": np.array([*"abc"], object)})])
    assert found.problems == (
        "output 'y': 1 of 3 elements differ, 0 may (tolerance: the original, disturbed 8 times; on s)",
    )


TIES = "g (float[N,64] x) => (int64[N] y) { a = MatMul (x, w) y = ArgMax <axis=1, keepdims=0> (a) }"


def twins() -> np.ndarray[Any, Any]:
    """Weights of 20 classes, of which the last is the first again, but for the last bits."""
    w = random(64, 20)
    w[:, 19] = w[:, 0] * np.float32(1 + 2**-22)
    return w


def test_labels_that_rounding_flips_are_excused_and_noted() -> None:
    """The twin wins or loses by less than what rounding does to the sums."""
    w = twins()
    samples = feeds((2000, 64))
    reordered = "g (float[N,64] x) => (int64[N] y) { b = Gather <axis=1> (x, p) a = MatMul (b, w) " + (
        "y = ArgMax <axis=1, keepdims=0> (a) }"
    )
    order = np.arange(64)[::-1].copy()
    found = compare(model(TIES, w=w), model(reordered, w=w[order], p=order), samples)
    mismatches = found.outputs[0].figures.mismatches
    assert mismatches > 0
    assert found.ok, found.problems
    assert found.notes == (
        f"output 'y': {mismatches} elements differ; as many of the original's flip "
        "when it is disturbed in its last bits",
    )
    assert not compare(model(TIES, w=w), model(reordered, w=w[order], p=order), samples, EXACT).ok


def test_labels_that_are_wrong_are_found() -> None:
    w = random(64, 20)
    wrong = w.copy()
    wrong[:, 3] *= 1.01
    found = compare(model(TIES, w=w), model(TIES, w=wrong), feeds((2000, 64)))
    assert not found.ok
    assert "of 2000 elements differ, 0 may" in found.problems[0]


CHAOS = "g (float[N] x) => (float[N] y) <float k = {3e8}> { a = Mul (x, k) y = Sin (a) }"


def test_what_rounding_drowns_is_not_judged() -> None:
    found = compare(model(CHAOS), model(CHAOS.replace("Sin", "Cos")), feeds((64,)))
    assert found.ok
    assert not found.outputs[0].judged
    assert found.notes == (
        "output 'y': not judged, since rounding alone moves the original's own output by more than a tenth",
    )


def test_what_rounding_drowns_on_one_sample_is_judged_on_the_others() -> None:
    calm = Sample("calm", {"x": random(64) * np.float32(1e-9)})
    found = compare(model(CHAOS), model(CHAOS.replace("Sin", "Cos")), [*feeds((64,)), calm])
    assert not found.ok
    assert found.outputs[0].sample == "calm"
    assert found.notes == (
        "output 'y': not judged on s0, since rounding alone moves the original's own output by more than a tenth",
    )


def test_a_sigmoid_near_zero_may_be_off_by_its_own_steps() -> None:
    """ONNX Runtime computes it as 1/2 plus something, so that near 0 its results are multiples of 2^-25."""
    body = "g (float[N] x) => (float[N] y) { a = Add (x, b) y = Sigmoid (a) }"
    samples = [Sample("s", {"x": random(40) * np.float32(0.1)})]
    original, other = model(body, b=np.float32([-14])), model(body, b=np.float32([-14.02]))
    found = compare(original, other, samples)
    assert found.ok
    assert found.outputs[0].figures.max_abs == 4 * 2**-25
    assert not compare(original, model(body, b=np.float32([-14.5])), samples).ok


def test_disturbed_inputs_that_the_model_refuses_do_no_harm() -> None:
    body = """g (float[16] x, float[6] d) => (float[A,B] y) <int64[1] zero = {0}, int64[1] three = {3}> {
        i = Cast <to=7> (x)  k = Gather (i, zero)  s = Concat <axis=0> (k, three)  r = Reshape (d, s)  y = Exp (r)
    }"""
    sample = Sample("s", {"x": np.full(16, 2, np.float32), "d": random(6)})
    assert compare(model(body), model(body), [sample]).ok
    wrong = body.replace("Exp (r)", "Neg (r)")
    assert not compare(model(body), model(wrong), [sample]).ok


def test_a_shape_that_the_data_decide_may_change_with_rounding_only() -> None:
    body = "g (float[N] x) => (int64[A,B] y) <float t = {%s}> { c = Greater (x, t) y = NonZero (c) }"
    fixed = [Sample("s", {"x": np.linspace(0, 1, 101, dtype=np.float32)})]
    found = compare(model(body % "0.5"), model(body % "0.49999997"), fixed)
    assert found.ok
    assert found.notes == (
        "output 'y': its shape differs, but that of the original changes as well when it is disturbed in its last bits",
    )
    found = compare(model(body % "0.505"), model(body % "0.405"), fixed)
    assert found.problems == ("output 'y': shape [1, 50] became [1, 60], on s",)


def test_looser_contracts_and_limits() -> None:
    body = "g (float[N] x) => (float[N] y) <float k = {%s}> { y = Mul (x, k) }"
    near, samples = (model(body % "1"), model(body % "1.001")), feeds((100,))
    assert not compare(*near, samples, REAL).ok
    assert not compare(*near, samples, Contract("approx", 5e-4)).ok
    assert compare(*near, samples, Contract("approx", 2e-3)).ok
    assert compare(*near, samples, QUANT).ok
    assert compare(*near, samples, limits=Limits(max_rel=2e-3, min_sqnr_db=59, min_cosine=0.999)).ok
    found = compare(*near, samples, limits=Limits(max_rel=2e-3, min_sqnr_db=61))
    assert found.problems == ("output 'y': the SQNR is 60.0 dB, 61.0 dB is asked for (tolerance: as given; on s0)",)
    assert found.to_json()["contract"] == "max-rel 0.002, min-sqnr 61"
    turned = compare(near[0], model(body % "-1"), samples, limits=Limits(min_cosine=0.5))
    assert turned.problems == ("output 'y': the cosine is -1.000000, 0.5 is asked for (tolerance: as given; on s0)",)


def test_a_candidate_with_another_interface() -> None:
    found = compare(model(RELU), model("g (float[N,4] z) => (float[N,4] y) { y = Relu (z) }"), feeds((2, 4)))
    assert found.problems == ("input 'x' is gone", "input 'z' is new")
    assert found.outputs == ()
    renamed = compare(model(RELU), model("g (float[N,4] x) => (float[N,4] z) { z = Relu (x) }"), feeds((2, 4)))
    assert renamed.problems == ("output 'y' is gone", "output 'z' is new")


def test_a_candidate_that_does_not_load_or_run_is_a_failure() -> None:
    found = compare(model(RELU), b"junk", feeds((2, 4)))
    assert found.problems == ("the rewritten model is not an ONNX model, or is cut short",)
    found = compare(model(RELU), model("g (float[N,4] x) => (float[N,4] y) { y = Conv (x, x) }"), feeds((2, 4)))
    assert not found.ok
    body = "g (float[N,4] x) => (float[N,4] y) <int64[2] s = {1, 3}> { a = Relu (x) [fold] y = Reshape (a, s) }"
    found = compare(model(RELU), model(body), feeds((2, 4)))
    assert found.problems == (
        "the rewritten model fails on this input: The input tensor cannot be reshaped to the requested shape. "
        "Input shape:{2,4}, requested shape:{1,3} (at: node 'fold' (Reshape), on s0)",
    )
    assert found.to_json()["failures"] == list(found.problems)


def test_a_candidate_that_cannot_be_run_cannot_be_judged() -> None:
    custom = model("g (float[N,4] x) => (float[N,4] y) { y = com.acme.Relu (x) }", imports=', "com.acme" : 1')
    with pytest.raises(NotRunnable):
        compare(model(RELU), custom, feeds((2, 4)))
    with pytest.raises(NotRunnable):
        Reference(custom, feeds((2, 4)))


def test_an_original_that_fails_and_samples_that_are_none() -> None:
    with pytest.raises(RunError) as failed:
        Reference(model(RELU), feeds((2, 4), (2, 5)))
    assert failed.value.where == "s1"
    with pytest.raises(DataError) as empty:
        Reference(model(RELU), [])
    assert str(empty.value) == ("there are no samples to compare on\n  help: give data that holds at least one")


def test_large_outputs_are_on_disk_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Reference(conv_bn(), IMAGES, memory_limit=0) as original:
        [folder] = tmp_path.iterdir()
        assert len(list(folder.iterdir())) == 4
        assert original.compare(conv_bn(), EXACT).ok
        assert original.compare(conv_bn_folded()).ok
        assert not original.compare(conv_bn_folded(epsilon=0.0)).ok
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError):
        Reference(model(RELU), feeds((2, 4), (2, 5)), memory_limit=0)
    assert list(tmp_path.iterdir()) == []


def test_models_in_files(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    built = proto("g (float[N,64] x) => (float[N,20] y) { y = MatMul (x, w) }", w=random(64, 20))
    onnx.save(built, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    split = model(
        """g (float[N,64] x) => (float[N,20] y) {
            a, b = Split <axis=1> (x)  c = MatMul (a, v)  d = MatMul (b, w)  y = Add (c, d)
        }""",
        v=random(64, 20)[:32],
        w=random(64, 20)[32:],
    )
    found = compare(path, split, feeds((30, 64)))
    assert found.ok, found.problems
    assert not found.outputs[0].figures.bitwise


def test_the_document() -> None:
    document = compare(conv_bn(), conv_bn_folded(), IMAGES).to_json()
    assert list(document) == ["contract", "ok", "samples", "shapes", "outputs", "failures", "notes"]
    assert document["shapes"] == [{"x": [1, 8, 16, 16]}, {"x": [2, 8, 12, 20]}]
    [output] = document["outputs"]
    assert output["elements"] == 16 * (16 * 16 + 2 * 12 * 20)
    assert 0 < output["max_rel"] <= output["tolerance"]["max_rel"]
    assert output["sqnr_db"] > 100
    same = compare(conv_bn(), conv_bn(), IMAGES).to_json()["outputs"][0]
    assert same["sqnr_db"] is None
    assert math.isfinite(same["tolerance"]["sqnr_db"])


def test_an_output_that_is_random_on_a_later_sample_alone() -> None:
    """Whether numbers are drawn is an input."""
    data = model(
        "g (float[64] x, bool t) => (float[64] y) { r = Constant <value_float = 0.5> ()  y = Dropout (x, r, t) }"
    )
    samples = [Sample(str(t), {"x": np.ones(64, np.float32), "t": np.asarray(t)}) for t in (False, True)]
    with Reference(data, samples) as reference:
        (output,) = reference.compare(data).outputs
    assert (output.ok, output.judged) == (True, False)


def test_bits_of_short_floats_depend_on_their_neighbours() -> None:
    """Two factors multiplied beforehand: ONNX Runtime does not round the product to float16 where a MatMul reads it."""
    body = "g (float16[4,8] x) => (float16[4,8] y) { w = Mul (a, b)  y = MatMul (x, w) }"
    a, b = (random(8, 8, seed=s).astype(np.float16) for s in (1, 2))
    folded = model("g (float16[4,8] x) => (float16[4,8] y) { y = MatMul (x, w) }", w=a * b)
    sample = Sample("one", {"x": random(4, 8, seed=3).astype(np.float16)})
    with Reference(model(body, a=a, b=b), [sample]) as reference:
        (found,) = reference.compare(folded, EXACT).outputs
        assert found.ok
        assert found.tolerance.source != "every bit"
        (wrong,) = reference.compare(model(body, a=a, b=(b * 1.05).astype(np.float16)), EXACT).outputs
        assert not wrong.ok
