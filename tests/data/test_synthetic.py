"""Inputs made from interfaces; the model, here a predicate on shapes, says which are legal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from graphopt.data.facts import InputFacts
from graphopt.data.sample import Feeds, Sample
from graphopt.data.shape_search import Assignment
from graphopt.data.synthetic import LegalAssignments, another_shape, legal_assignments, make_feeds, make_sample
from graphopt.data.values import make_values
from graphopt.errors import DataError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Profile:
    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


def floats(**shapes: Any) -> Interface:
    return Interface(tuple(TensorSpec(name, DType.float32, shape) for name, shape in shapes.items()), ())


def found(interface: Interface, legal: Callable[[Shapes], bool], facts: InputFacts | None = None) -> LegalAssignments:
    def refusal(feeds: Feeds) -> str | None:
        shapes = {name: value.shape for name, value in feeds.items() if isinstance(value, np.ndarray)}
        return None if legal(shapes) else f"not {shapes}"

    return legal_assignments(interface, refusal, facts or InputFacts())


def shapes(result: LegalAssignments) -> list[Shapes]:
    return [a.shapes for a in result.assignments]


def anything(_: Shapes) -> bool:
    return True


def test_a_static_model_has_one_assignment() -> None:
    result = found(floats(x=(1, 3, 8, 8)), anything)
    assert shapes(result) == [{"x": (1, 3, 8, 8)}]
    assert result.notes == ()


def test_every_dynamic_dimension_takes_two_sizes() -> None:
    result = found(floats(x=("N", 3, "H", "W")), anything)
    assert shapes(result) == [{"x": (1, 3, 64, 64)}, {"x": (2, 3, 128, 128)}]
    assert result.notes == ()


def test_one_name_is_one_size_in_all_inputs() -> None:
    result = found(floats(ids=("N", "T"), mask=("N", "T"), state=(2, "N", 64)), anything)
    assert shapes(result) == [
        {"ids": (1, 16), "mask": (1, 16), "state": (2, 1, 64)},
        {"ids": (2, 32), "mask": (2, 32), "state": (2, 2, 64)},
    ]


def test_nameless_dimensions_that_must_agree_move_together() -> None:
    result = found(floats(ids=(None, None), mask=(None, None)), lambda s: s["ids"] == s["mask"])
    assert shapes(result) == [{"ids": (1, 16), "mask": (1, 16)}, {"ids": (2, 32), "mask": (2, 32)}]
    assert result.notes == ()


def test_a_name_derived_from_others_follows_them() -> None:
    interface = floats(past=("N", 4, "past", 8), mask=("N", "past + new"), new=("N", "new"))
    result = found(interface, lambda s: s["mask"][1] == s["past"][2] + s["new"][1])
    first, second = shapes(result)
    assert first["mask"][1] == first["past"][2] + first["new"][1]
    assert second["mask"][1] == second["past"][2] + second["new"][1]
    assert first["past"][2] != second["past"][2]


def test_a_baked_in_batch_is_noted_and_the_rest_still_varies() -> None:
    result = found(floats(x=("N", 3, "H", "W")), lambda s: s["x"][0] == 1)
    assert shapes(result) == [{"x": (1, 3, 64, 64)}, {"x": (1, 3, 128, 128)}]
    assert result.notes == ("dimension 0 of input 'x' (N) is dynamic, but the model was found to run at 1 only",)


def test_a_batch_that_is_not_one() -> None:
    result = found(floats(x=("N", 5), y=("N", 2)), lambda s: s["x"][0] == 4)
    assert shapes(result) == [{"x": (4, 5), "y": (4, 2)}]
    assert result.notes == (
        "dimension 0 of input 'x', dimension 0 of input 'y' (N) is dynamic, but the model was found to run at 4 only",
    )


def test_multiples_of_32() -> None:
    result = found(floats(x=(1, 3, None, None)), lambda s: s["x"][2] % 32 == 0 and s["x"][3] % 32 == 0)
    assert shapes(result) == [{"x": (1, 3, 64, 64)}, {"x": (1, 3, 128, 128)}]


def test_sizes_that_are_tied_though_their_names_differ() -> None:
    result = found(floats(x=(1, 3, "H", "W")), lambda s: s["x"][2] == s["x"][3] and s["x"][2] >= 200)
    first, second = shapes(result)
    assert first["x"] == (1, 3, 224, 224)
    assert second["x"][2] == second["x"][3] != 224


def test_channels_last() -> None:
    assert shapes(found(floats(x=("N", "H", "W", 3)), anything))[0] == {"x": (1, 64, 64, 3)}


def test_lengths_of_sound() -> None:
    result = found(floats(x=("N", "T")), lambda s: s["x"][1] >= 4000)
    assert shapes(result)[0] == {"x": (1, 4096)}


def test_inputs_without_a_rank() -> None:
    result = found(floats(x=None), lambda s: len(s["x"]) == 4)
    assert shapes(result) == [{"x": (1, 3, 64, 64)}]
    assert result.notes == ("shape of x is dynamic, but the model was found to run at 1x3x64x64 only",)


def test_profiles_decide_the_sizes() -> None:
    profile = Profile((1, 3, 32, 32), (1, 3, 320, 320), (4, 3, 640, 640))
    result = found(floats(x=("N", 3, "H", "W")), anything, InputFacts(profiles={"x": profile}))
    assert shapes(result) == [{"x": (1, 3, 320, 320)}, {"x": (4, 3, 32, 32)}]


def test_a_profile_of_one_shape_leaves_nothing_to_vary() -> None:
    profile = Profile((2, 7), (2, 7), (2, 7))
    result = found(floats(x=("N", "T")), anything, InputFacts(profiles={"x": profile}))
    assert shapes(result) == [{"x": (2, 7)}]
    assert result.notes == (
        "dimension 0 of input 'x' (N) was checked at 2 only, as --shape says",
        "dimension 1 of input 'x' (T) was checked at 7 only, as --shape says",
    )


def test_a_profile_tells_the_rank() -> None:
    profile = Profile((1, 5), (1, 5), (2, 5))
    result = found(floats(x=None), anything, InputFacts(profiles={"x": profile}))
    assert shapes(result) == [{"x": (1, 5)}, {"x": (2, 5)}]


def test_nothing_that_the_model_takes() -> None:
    with pytest.raises(DataError) as caught:
        found(floats(x=("N",)), lambda s: False)
    assert str(caught.value) == (
        "no inputs were found that the model takes; 16 were tried, and the likeliest refused: not {'x': (16,)}\n"
        "  help: give real samples with --data, or shapes with --shape INPUT=SHAPE"
    )


def test_the_number_of_runs_is_bounded() -> None:
    runs = 0

    def refusal(_: Feeds) -> str | None:
        nonlocal runs
        runs += 1
        return "no"

    with pytest.raises(DataError):
        legal_assignments(floats(**{f"x{i}": (f"A{i}", f"B{i}", f"C{i}") for i in range(9)}), refusal, tries=30)
    assert runs == 30


def test_integers_of_unknown_range_fall_back_to_smaller_ones() -> None:
    interface = Interface((TensorSpec("ids", DType.int64, (64,)),), ())

    def refusal(feeds: Feeds) -> str | None:
        return None if np.asarray(feeds["ids"]).max() <= 1 else "out of range"

    result = legal_assignments(interface, refusal)
    assert result.assignments == (Assignment({"ids": (64,)}, (0, 1)),)
    known = legal_assignments(interface, refusal, InputFacts(ranges={"ids": (0, 1)}))
    assert known.assignments == (Assignment({"ids": (64,)}, (0, 9)),)


def test_no_data_can_be_made_for_a_sequence() -> None:
    with pytest.raises(DataError) as caught:
        found(Interface((TensorSpec("s", None, None, "sequence"),), ()), anything)
    assert str(caught.value) == "no data can be made for input 's', a sequence\n  help: give some with --data"


@pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.string])
def test_values_of_every_type_are_the_same_each_time_and_not_all_alike(dtype: DType) -> None:
    spec = TensorSpec("x", dtype, (200,))
    first = make_values(spec, (200,), "s", uniform=False, integers=(0, 1))
    again = make_values(spec, (200,), "s", uniform=False, integers=(0, 1))
    assert first.dtype == dtype.numpy
    assert first.tobytes() == again.tobytes()
    assert len(set(first.tolist())) > 1
    assert first.tobytes() != make_values(spec, (200,), "t", uniform=False, integers=(0, 1)).tobytes()


def test_floats_are_normal_and_uniform_in_turn() -> None:
    interface = Interface((TensorSpec("x", DType.float32, (4000,)),), ())
    normal, uniform = (
        np.asarray(make_feeds(interface, Assignment({"x": (4000,)}, (0, 9)), index=index)["x"]) for index in (0, 1)
    )
    # the mean of 4000 normal numbers is within 0.1 = 6 / sqrt(4000) of 0
    assert abs(normal.mean()) < 0.1
    assert abs(normal.std() - 1) < 0.1
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.05


def test_bytes_take_their_whole_range_and_hints_hold() -> None:
    interface = Interface(
        (
            TensorSpec("u", DType.uint8, (5000,)),
            TensorSpec("i", DType.int8, (5000,)),
            TensorSpec("k", DType.int32, (5000,)),
        ),
        (),
    )
    assignment = Assignment({"u": (5000,), "i": (5000,), "k": (5000,)}, (0, 9))
    feeds = make_feeds(interface, assignment, InputFacts(ranges={"k": (3, 5), "i": (0, 1)}))
    limits = {name: (int(np.asarray(v).min()), int(np.asarray(v).max())) for name, v in feeds.items()}
    assert limits == {"u": (0, 255), "i": (0, 1), "k": (3, 5)}


def test_ranges_beyond_a_type_are_cut() -> None:
    spec = TensorSpec("x", DType.int4, (500,))
    values = make_values(spec, (500,), "s", uniform=False, integers=(-100, 100))
    assert (values.min(), values.max()) == (ml_dtypes.int4(-8), ml_dtypes.int4(7))


def test_sizes_given_as_values_are_taken_as_they_are() -> None:
    interface = Interface((TensorSpec("target", DType.int64, (2,)),), ())
    facts = InputFacts(values={"target": Profile((1, -1), (4, -1), (8, -1))})
    feeds = make_feeds(interface, Assignment({"target": (2,)}, (0, 9)), facts)
    assert np.asarray(feeds["target"]).tolist() == [4, -1]
    assert np.asarray(feeds["target"]).dtype == np.int64


def test_text_and_scalars() -> None:
    interface = Interface((TensorSpec("t", DType.string, (2, 3)), TensorSpec("s", DType.float32, ())), ())
    sample = make_sample(interface, Assignment({"t": (2, 3), "s": ()}, (0, 9)), index=1)
    text = np.asarray(sample.arrays["t"])
    assert text.dtype == object
    assert all(isinstance(word, str) for word in text.flat)
    assert sample.shapes == {"t": (2, 3), "s": ()}
    assert sample.name == "generated[1] t=2x3 s=scalar"


def test_a_model_without_inputs() -> None:
    result = found(Interface((), ()), anything)
    assert make_sample(Interface((), ()), result.assignments[0]).name == "generated[0]"


def test_a_real_sample_is_repeated_to_another_shape() -> None:
    sample = Sample("a.npz", {"x": np.arange(6, dtype=np.float32).reshape(1, 6)})
    other, notes = another_shape(floats(x=("N", "T")), sample, lambda feeds: None)
    assert other is not None
    assert other.name == "a.npz resized x=2x12"
    assert np.asarray(other.arrays["x"]).tolist() == [[0, 1, 2, 3, 4, 5] * 2] * 2
    assert notes == ()


def test_a_real_sample_that_cannot_be_resized() -> None:
    sample = Sample("a.npz", {"x": np.zeros((1, 6), np.float32)})
    other, notes = another_shape(floats(x=("N", 6)), sample, lambda feeds: "no")
    assert other is None
    assert notes == ("dimension 0 of input 'x' (N) is dynamic, but the model was found to run at 1 only",)


def test_a_real_sample_of_a_static_model_stays_alone() -> None:
    sample = Sample("a.npz", {"x": np.zeros((1, 6), np.float32)})
    assert another_shape(floats(x=(1, 6)), sample, lambda feeds: None) == (None, ())


def test_large_shapes_are_tried_where_they_are_fixed_or_asked_for() -> None:
    assert shapes(found(floats(x=(1, 2100, 2100)), anything)) == [{"x": (1, 2100, 2100)}]
    profile = Profile((1, 2100, 2100), (1, 2100, 2100), (2, 2100, 2100))
    result = found(floats(x=("N", "H", "W")), anything, InputFacts(profiles={"x": profile}))
    assert shapes(result) == [{"x": (1, 2100, 2100)}, {"x": (2, 2100, 2100)}]


def test_a_name_that_is_no_honest_expression_is_a_name() -> None:
    long = " + ".join(["N"] * 3000)
    assert shapes(found(floats(x=("N", 2), y=(long, 2), z=("N // 0", 2), w=("N ** 9", 2)), anything))[0]["x"] == (1, 2)
