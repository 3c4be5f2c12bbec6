"""The pass over the samples: what is counted, however the model is cut and the samples are ordered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from graphopt.calibration.axes import channel_axis, channel_sides
from graphopt.calibration.collect import collect
from graphopt.calibration.segment_proto import segment_proto
from graphopt.calibration.segments import cut
from graphopt.calibration.statistics import Statistics
from graphopt.data.sample import Sample
from graphopt.errors import DataError, UsageError
from graphopt.graph.load import from_proto, load
from graphopt.graph.model import Model
from graphopt.graph.save import to_bytes
from graphopt.graph.session import new_session
from graphopt.graph.sizes import SizedShapes

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'

NETWORK = """
network (float[n, 2, 4, 4] x) => (float[n, 3] y, float[n, 3, 4, 4] r) {
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Relu (c)
    s = Sigmoid (c)
    t = Mul (r, s)
    k = Constant <value_float = 2.0> ()
    d = Mul (t, k)
    u = Add (d, c)
    p = GlobalAveragePool (u)
    f = Flatten (p)
    y = MatMul (f, m)
}
"""

WEIGHTS = {
    "w": np.random.default_rng(3).standard_normal((3, 2, 3, 3)).astype(np.float32),
    "m": np.random.default_rng(4).standard_normal((3, 3)).astype(np.float32),
}

MADE = ["c", "r", "s", "t", "d", "u", "p", "f", "y"]


def model(text: str = NETWORK, weights: dict[str, Any] | None = None) -> Model:
    proto = parser.parse_model(HEADER + text)
    proto.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in (WEIGHTS if weights is None else weights).items()
    )
    return from_proto(proto)


def pictures(count: int) -> list[Sample]:
    random = np.random.default_rng(0)
    return [Sample(f"s{i}", {"x": random.standard_normal((2, 2, 4, 4)).astype(np.float32)}) for i in range(count)]


def test_every_tensor_of_floating_point_is_counted() -> None:
    """Against the same graph with all of them as outputs."""
    subject, samples = model(), pictures(3)
    found = collect(subject, samples)
    assert list(found) == ["x", *MADE]
    assert found.samples == 3
    proto = parser.parse_model(HEADER + NETWORK)
    proto.ParseFromString(to_bytes(subject))
    del proto.graph.output[:]
    proto.graph.output.extend(type(proto.graph.input[0])(name=name) for name in MADE)
    session = new_session(proto.SerializeToString(), deterministic=True)
    runs: list[list[Any]] = [session.run(MADE, sample.arrays) for sample in samples]
    for place, name in enumerate(MADE):
        whole = np.concatenate([run[place] for run in runs])
        tensor = found[name]
        assert (tensor.count, tensor.minimum, tensor.maximum) == (whole.size, whole.min(), whole.max())
        assert tensor.zeros == int((whole == 0).sum())
        assert int(tensor.histogram.magnitudes.sum()) == whole.size
        assert tensor.channels is not None
        others = tuple(i for i in range(whole.ndim) if i != 1)
        # sums of at most 96 numbers, in float64
        np.testing.assert_allclose(tensor.channels.mean, whole.mean(axis=others, dtype=np.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("budget", [0, 500, 1500, 10_000])
def test_the_budget_does_not_show_in_the_result(budget: int) -> None:
    assert collect(model(), pictures(3), memory_budget=budget) == collect(model(), pictures(3))


def test_a_small_budget_cuts_the_model() -> None:
    subject = model()
    values = {v for n in subject.graph.nodes for v in n.outputs if v is not None and v.constant is None}
    shapes = SizedShapes(subject, {"n": 2})
    pieces = {budget: len(cut(subject, values, shapes, budget)) for budget in (0, 800, 1600, 10_000)}
    assert pieces[0] == len(MADE)
    assert pieces[0] > pieces[800] > pieces[1600] > pieces[10_000] == 1


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_shards_and_order_do_not_show_in_the_result(shards: int) -> None:
    samples = pictures(9)
    whole = collect(model(), samples)
    merged: Statistics | None = None
    for shard in range(shards):
        part = collect(model(), samples[::-1][shard::shards])
        if merged is None:
            merged = part
        else:
            merged.merge(part)
    assert merged == whole


def test_only_what_is_asked_for_is_computed() -> None:
    subject = model()
    found = collect(subject, pictures(1), tensors=["t", "x"])
    assert list(found) == ["x", "t"]
    value = next(v for n in subject.graph.nodes for v in n.outputs if v is not None and v.name == "t")
    (segment,) = cut(subject, {value}, SizedShapes(subject), 10_000)
    assert [n.op_type for n in segment.nodes] == ["Conv", "Relu", "Sigmoid", "Mul"]


def test_covariance_is_collected_where_it_is_asked_for() -> None:
    found = collect(model(), pictures(2), covariance=["c"])
    channels, others = found["c"].channels, found["r"].channels
    assert channels is not None
    assert others is not None
    assert others.covariance is None
    assert channels.covariance is not None
    # both are the same sums of products but for the order of 64 of them, in float64
    np.testing.assert_allclose(np.diag(channels.covariance), channels.variance, rtol=1e-12)


def test_samples_are_read_one_by_one_and_once() -> None:
    begun: list[str] = []

    def series() -> Iterator[Sample]:
        for sample in pictures(3):
            begun.append(sample.name)
            yield sample

    assert collect(model(), series()).samples == 3
    assert begun == ["s0", "s1", "s2"]


def test_no_sample_is_an_error() -> None:
    with pytest.raises(DataError) as caught:
        collect(model(), [])
    assert str(caught.value) == "there is no sample to calibrate on"


def test_tensors_that_do_not_exist_or_hold_no_floats_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        collect(model(), pictures(1), tensors=["cc"])
    assert str(caught.value) == "the model computes no tensor 'cc'\n  help: did you mean 'c'?"
    shape = model("g (float[2] x) => (int64[1] y) { y = Shape (x) }", {})
    with pytest.raises(UsageError) as caught:
        collect(shape, pictures(1), tensors=["y"])
    assert str(caught.value) == "tensor 'y' is not of floating point, and so has no range to calibrate"


def test_a_sample_on_which_the_model_fails_is_named() -> None:
    text = "g (float[n] x, float[k] z) => (float[?] y) { y = Add (x, z) }"
    sample = Sample("bad", {"x": np.ones(2, np.float32), "z": np.ones(3, np.float32)})
    with pytest.raises(DataError) as caught:
        collect(model(text, {}), [sample])
    assert caught.value.where is not None
    assert "bad" in caught.value.where


def test_nan_and_infinity_name_tensor_and_sample() -> None:
    text = "g (float[n] x) => (float[n] y) { l = Log (x) y = Abs (l) }"
    samples = [Sample(f"s{i}", {"x": np.array(v, np.float32)}) for i, v in enumerate(([1, 2], [0, 3], [-1, 0]))]
    found = collect(model(text, {}), samples)
    assert (found["x"].not_finite, found["l"].not_finite, found["l"].not_finite_in) == (0, 3, "s1")
    with pytest.raises(DataError, match="tensor 'l' holds 3 values that are NaN"):
        found["l"].refuse_not_finite()


def test_other_element_types_count_as_float32() -> None:
    text = """g (float16[n] x) => (float16[n] y) {
        d = Cast <to = 11> (x)
        e = Mul (d, d)
        b = Cast <to = 16> (e)
        y = Cast <to = 10> (b)
    }"""
    half = np.array([1.5, -2.0, 0.0], np.float16)
    for budget in (0, 1000):
        found = collect(model(text, {}), [Sample("s", {"x": half})], memory_budget=budget)
        assert {n: (t.minimum, t.maximum) for n, t in found.items()} == {
            "x": (-2.0, 1.5),
            "d": (-2.0, 1.5),
            "e": (0.0, 4.0),
            "b": (0.0, 4.0),
            "y": (0.0, 4.0),
        }


def test_a_body_reads_across_a_cut() -> None:
    text = """g (float[n] x, bool b) => (float[n] y) {
        a = Relu (x)
        c = Neg (x)
        i = If (b) <
            then_branch = yes () => (float[n] p) { q = Add (a, c) p = Mul (q, two) },
            else_branch = no () => (float[n] o) { o = Identity (c) }
        >
        y = Add (i, a)
    }"""
    samples = [Sample(f"s{i}", {"x": np.array([1, -2], np.float32), "b": np.array(i == 0)}) for i in range(2)]
    weights = {"two": np.array(2, np.float32)}
    found = collect(model(text, weights), samples, memory_budget=0)
    assert list(found) == ["x", "a", "c", "i", "y"]
    assert (found["i"].minimum, found["i"].maximum) == (-1.0, 4.0)
    assert found == collect(model(text, weights), samples)


def test_sequences_pass_within_a_segment() -> None:
    text = """g (float[n] x) => (float[m] y) {
        a = Relu (x)
        s = SequenceConstruct (a, x)
        y = ConcatFromSequence <axis = 0> (s)
    }"""
    sample = Sample("s", {"x": np.array([1, -2], np.float32)})
    found = collect(model(text, {}), [sample], memory_budget=0)
    assert (found["y"].count, found["y"].zeros) == (4, 1)


def test_a_larger_sample_may_be_cut_otherwise() -> None:
    random = np.random.default_rng(0)
    samples = [Sample(f"s{n}", {"x": random.standard_normal((n, 2, 4, 4)).astype(np.float32)}) for n in (1, 8, 2)]
    assert collect(model(), samples, memory_budget=1500) == collect(model(), samples[::-1], memory_budget=10**6)


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        (NETWORK, {"x": 1, "c": 1, "u": 1, "p": 1, "f": 1, "y": 1}),
        ("g (float[b, s, 8] x) => (float[b, s, 3] z) { y = Relu (x) z = MatMul (y, w) }", {"x": 2, "y": 2, "z": 2}),
        ("g (float[b, 8, s] x) => (float[b, 3, s] z) { y = Relu (x) z = Conv (y, v) }", {"x": 1, "y": 1, "z": 1}),
        ("g (float[b, 8, s] x) => (float[b, 8, s] y) { y = Relu (x) }", {"x": 2, "y": 2}),
        ("g (float[5] x, float z) => (float[5] y) { y = Add (x, z) }", {"x": 0, "z": None, "y": 0}),
    ],
)
def test_channels_lie_where_readers_take_them(text: str, axes: dict[str, int | None]) -> None:
    weights = {"w": np.ones((8, 3), np.float32), "v": np.ones((3, 8, 1), np.float32)} if "network" not in text else None
    subject = model(text, weights)
    found = {v.name: channel_axis(s, v.rank) for v, s in channel_sides(subject.graph).items() if v.rank is not None}
    assert {name: axis for name, axis in found.items() if name in axes} == axes


def test_channels_of_a_tensor_of_unknown_rank_are_found_as_it_comes() -> None:
    text = """g (float[n, 3, k] x, int64[r] s) => (float[?] y) {
        a = Reshape (x, s)
        b = Relu (a)
        y = Conv (b, v)
    }"""
    arrays = {"x": np.ones((1, 3, 8), np.float32), "s": np.array([1, 3, 4, 2])}
    found = collect(model(text, {"v": np.ones((5, 3, 1, 1), np.float32)}), [Sample("s", arrays)])
    sizes = {name: (t.channels.axis, t.channels.size) for name, t in found.items() if t.channels is not None}
    assert sizes == {"x": (2, 8), "a": (1, 3), "b": (1, 3), "y": (1, 5)}


@pytest.mark.parametrize("budget", [0, 10_000])
def test_weights_beside_the_file_stay_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    subject = model()
    onnx.save(
        onnx.load_from_string(to_bytes(subject)),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    monkeypatch.chdir(tmp_path)
    outside = load(Path("m.onnx"))
    assert outside.external
    values = {v for n in outside.graph.nodes for v in n.outputs if v is not None and v.constant is None}
    pieces = [segment_proto(outside, s) for s in cut(outside, values, SizedShapes(outside), budget)]
    stored = [t.data_location for piece in pieces for t in piece.graph.initializer]
    assert stored == [onnx.TensorProto.EXTERNAL] * 2
    assert collect(outside, pictures(2), memory_budget=budget) == collect(subject, pictures(2))


ONES = np.ones(3, np.float32)
PAIR = np.array([1.0, -3.0], np.float32)


@pytest.mark.parametrize(
    ("text", "arrays", "ranges"),
    [
        pytest.param(
            "g (bfloat16[n] x) => (float[n] y) { a = Cast <to = 1> (x) y = Relu (a) }",
            {"x": PAIR.astype(ml_dtypes.bfloat16)},
            {"x": (-3.0, 1.0), "a": (-3.0, 1.0), "y": (0.0, 1.0)},
            id="bfloat16 input",
        ),
        pytest.param(
            "g (seq(float[n]) x) => (float[n] y) { i = Constant <value_int = 0> () a = SequenceAt (x, i) y = Abs (a) }",
            {"x": [PAIR]},
            {"a": (-3.0, 1.0), "y": (1.0, 3.0)},
            id="sequence input",
        ),
        pytest.param(
            """g (optional(float[n]) x, float[n] z) => (float[n] y) {
                h = OptionalHasElement (x)
                y = If (h) <
                    then_branch = t () => (float[n] p) { p = OptionalGetElement (x) },
                    else_branch = e () => (float[n] q) { q = Relu (z) }
                >
            }""",
            {"x": None, "z": PAIR},
            {"z": (-3.0, 1.0), "y": (0.0, 1.0)},
            id="optional input",
        ),
        pytest.param(
            "g (float[n] x, float[2] w) => (float[n] y) <float[2] w = {2, 3}> { a = Mul (x, w) y = Relu (a) }",
            {"x": PAIR},
            {"x": (-3.0, 1.0), "a": (-9.0, 2.0), "y": (0.0, 2.0)},
            id="default of an input",
        ),
        pytest.param(
            "g (float[n] x, float[2] w) => (float[n] y) <float[2] w = {2, 3}> { a = Mul (x, w) y = Relu (a) }",
            {"x": PAIR, "w": -PAIR},
            {"x": (-3.0, 1.0), "a": (-9.0, -1.0), "y": (0.0, 0.0)},
            id="default overridden",
        ),
        pytest.param(
            "g (float[n] x) => (float[n] x, float[n] y) { y = Neg (x) }",
            {"x": ONES},
            {"x": (1.0, 1.0), "y": (-1.0, -1.0)},
            id="an input is an output",
        ),
        pytest.param(
            "g (float[n] x) => (float s) { s = ReduceSum <keepdims = 0> (x) }",
            {"x": np.zeros(0, np.float32)},
            {"x": (np.inf, -np.inf), "s": (0.0, 0.0)},
            id="no value",
        ),
    ],
)
def test_odd_but_legal(text: str, arrays: dict[str, Any], ranges: dict[str, tuple[float, float]]) -> None:
    subject = from_proto(parser.parse_model(HEADER + text), overridable="keep")
    found = collect(subject, [Sample("s", arrays)], memory_budget=0)
    assert {name: (t.minimum, t.maximum) for name, t in found.items()} == ranges
