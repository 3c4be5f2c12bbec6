"""What rules may rely on where a model is compiled for several targets at once."""

from __future__ import annotations

from graphopt.rewrite.library import common_target

RTX, TENSORRT = "tensorrt-rtx", "tensorrt"


def test_what_one_of_them_cannot_do_all_of_them_cannot() -> None:
    one, other, both = common_target([RTX]), common_target([TENSORRT]), common_target([TENSORRT, RTX])
    assert one is not None
    assert other is not None
    assert both is not None
    assert both.name == "tensorrt, tensorrt-rtx"
    assert both.lacks == one.lacks | other.lacks
    assert both.refuses == one.refuses | other.refuses
    assert both.dtypes == one.dtypes & other.dtypes
    assert both.quantizes == one.quantizes & other.quantizes
    assert one.refuses  # else nothing is said above


def test_order_and_repetition_do_not_matter() -> None:
    first, second = common_target([RTX, TENSORRT, RTX]), common_target([TENSORRT, RTX])
    assert first is not None
    assert second is not None
    assert (first.lacks, first.refuses, first.dtypes) == (second.lacks, second.refuses, second.dtypes)


def test_nothing_is_known_of_targets_that_want_their_codes_at_different_places() -> None:
    assert common_target([RTX, "onnxruntime"]) is None
    assert common_target([RTX, "of-somebody-else"]) is None
    assert common_target([]) is None
