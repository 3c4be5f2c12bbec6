"""Shapes of dynamic inputs: `--shape`, and what is taken without it."""

from __future__ import annotations

import pytest

from graphopt.backends.base import ProfileShape
from graphopt.backends.profiles import complete, observed, parse_shape_option, parse_shape_options
from graphopt.errors import UsageError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, Shape, TensorSpec

HOW = "\n  help: write NAME=SHAPE or NAME=MIN:OPT:MAX, as in x=1x3x224x224 or x=1x3x32x32:1x3x224x224:4x3x640x640"


def interface(*inputs: tuple[str, Shape | None], dtype: DType = DType.float32) -> Interface:
    return Interface(tuple(TensorSpec(name, dtype, shape) for name, shape in inputs), ())


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("x=1x3x32x32:1x3x224x224:4x3x640x640", "x", ((1, 3, 32, 32), (1, 3, 224, 224), (4, 3, 640, 640))),
        ("x=1x3x224x224", "x", ((1, 3, 224, 224),) * 3),
        ("input:0=2:3:4", "input:0", ((2,), (3,), (4,))),
        ("a=b=5x6", "a=b", ((5, 6),) * 3),
        ("shape=-1x12", "shape", ((-1, 12),) * 3),
        ("past=1x0x8:1x2x8:1x4x8", "past", ((1, 0, 8), (1, 2, 8), (1, 4, 8))),
    ],
)
def test_shape_option(text: str, name: str, expected: tuple[tuple[int, ...], ...]) -> None:
    assert parse_shape_option(text) == (name, ProfileShape(*expected))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1x3", "it does not say which input the shape is for\n  at: --shape 1x3" + HOW),
        ("=1x3", "it does not say which input the shape is for\n  at: --shape =1x3" + HOW),
        ("x=1:2", "2 shapes are given; one or three can be meant\n  at: --shape x=1:2" + HOW),
        ("x=1:2:3:4", "4 shapes are given; one or three can be meant\n  at: --shape x=1:2:3:4" + HOW),
        ("x=", "'' is no size: sizes are whole numbers with x between them\n  at: --shape x=" + HOW),
        ("x=1xNx3", "'N' is no size: sizes are whole numbers with x between them\n  at: --shape x=1xNx3" + HOW),
        ("x=1,3", "'1,3' is no size: sizes are whole numbers with x between them\n  at: --shape x=1,3" + HOW),
        ("x=1x٣", "'٣' is no size: sizes are whole numbers with x between them\n  at: --shape x=1x٣" + HOW),
        (
            "x=1x3:1x3x4:1x3",
            "the shapes 1x3:1x3x4:1x3 have 2, 3 and 2 sizes\n  at: --shape x=1x3:1x3x4:1x3"
            "\n  help: the smallest, usual and largest shape need the same number of sizes",
        ),
        (
            "x=1x8:1x4:1x16",
            "the sizes of axis 1 are not in ascending order: 8, 4, 16\n  at: --shape x=1x8:1x4:1x16"
            "\n  help: write the smallest shape first, then the usual one, then the largest",
        ),
        (
            "x=1x4:1x8:1x2",
            "the sizes of axis 1 are not in ascending order: 4, 8, 2\n  at: --shape x=1x4:1x8:1x2"
            "\n  help: write the smallest shape first, then the usual one, then the largest",
        ),
        ("x=3000000000", "a size of axis 0 is beyond 2147483647: 3000000000\n  at: --shape x=3000000000"),
    ],
)
def test_malformed_shape_option(text: str, error: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shape_option(text)
    assert str(caught.value) == error


def test_one_input_given_twice() -> None:
    with pytest.raises(UsageError) as caught:
        parse_shape_options(["x=1", "y=2", "x=3"])
    assert str(caught.value) == "the shape of input 'x' is given twice\n  at: --shape x=3"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("N", 3, 224, 224), "1x3x224x224:1x3x224x224:16x3x224x224"),
        ((None, 3, None, None), "1x3x32x32:1x3x256x256:16x3x1024x1024"),
        ((1, 3, "D", "H", "W"), "1x3x32x32x32:1x3x256x256x256:1x3x1024x1024x1024"),
        (("N", "T", 80), "1x1x80:1x128x80:16x512x80"),
        ((2, "batch_size", 128), "2x1x128:2x1x128:2x16x128"),
        ((2, "layers", 128), "2x1x128:2x128x128:2x512x128"),
        (("N",), "1:1:16"),
    ],
)
def test_defaults(shape: Shape, expected: str) -> None:
    profiles = complete(interface(("x", shape)), {})
    assert str(profiles.shapes["x"]) == expected
    assert profiles.defaulted == ("x",)


def test_fixed_and_scalar_inputs_need_no_profile() -> None:
    assert dict(complete(interface(("x", (1, 3)), ("s", ())), {}).shapes) == {}


def test_input_of_unknown_rank_gets_no_profile() -> None:
    assert dict(complete(interface(("x", None)), {}).shapes) == {}


def test_sizes_of_one_name_are_one_size() -> None:
    spec = interface(("x", ("N", 4)), ("state", (2, "N", "T")), ("mask", ("N", "T")))
    profiles = complete(spec, {"mask": ProfileShape((1, 7), (2, 8), (3, 9))})
    assert {name: str(shape) for name, shape in profiles.shapes.items()} == {
        "mask": "1x7:2x8:3x9",
        "x": "1x4:2x4:3x4",
        "state": "2x1x7:2x2x8:2x3x9",
    }
    assert profiles.defaulted == ("x", "state")


def test_first_axis_elsewhere_makes_a_batch() -> None:
    profiles = complete(interface(("state", (2, "B", 128)), ("x", ("B", 512))), {})
    assert str(profiles.shapes["state"]) == "2x1x128:2x1x128:2x16x128"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            {"imags": "1x3"},
            "the model has no input 'imags'; its inputs are images: float32[N,3,?], ids: float32[N,4]"
            "\n  at: --shape imags=…\n  help: did you mean 'images'?",
        ),
        ({"images": "1x3"}, "input images: float32[N,3,?] has 3 axes, not 2\n  at: --shape images=1x3"),
        (
            {"images": "1x4x8"},
            "axis 1 of input images: float32[N,3,?] is fixed at 3, not 4\n  at: --shape images=1x4x8",
        ),
        (
            {"images": "1x1x8:1x3x8:1x3x8"},
            "axis 1 of input images: float32[N,3,?] is fixed at 3, not 1\n  at: --shape images=1x1x8:1x3x8:1x3x8",
        ),
        (
            {"images": "-1x3x8"},
            "axis 0 of input images: float32[N,3,?] cannot have size -1\n  at: --shape images=-1x3x8",
        ),
        (
            {"images": "1x3x8", "ids": "1x4:1x4:2x4"},
            "the size 'N' is 1:1:1 in input 'images' and 1:1:2 in input 'ids'\n  at: --shape ids=1x4:1x4:2x4"
            "\n  help: the model says that both are one size; give them the same range",
        ),
    ],
)
def test_shapes_that_contradict_the_model(given: dict[str, str], error: str) -> None:
    spec = interface(("images", ("N", 3, None)), ("ids", ("N", 4)))
    with pytest.raises(UsageError) as caught:
        complete(spec, parse_shape_options(f"{name}={shape}" for name, shape in given.items()))
    assert str(caught.value) == error


def test_fixed_shape_that_is_repeated_is_no_profile() -> None:
    profiles = complete(interface(("x", (1, 3))), parse_shape_options(["x=1x3"]))
    assert dict(profiles.shapes) == {}
    assert dict(profiles.values) == {}


def test_values_of_a_fixed_integer_input() -> None:
    spec = interface(("shape", (2,)), ("count", ()), ("ids", (128,)), dtype=DType.int64)
    profiles = complete(spec, parse_shape_options(["shape=-1x12", "count=1:2:3", "ids=128"]))
    assert {name: str(value) for name, value in profiles.values.items()} == {"shape": "-1x12", "count": "1:2:3"}
    assert dict(profiles.shapes) == {}


def test_profiles_observed_in_samples() -> None:
    spec = interface(("x", ("N", 3, None)), ("fixed", (4,)), ("unseen", ("N",)), ("other", ("N",)))
    samples = [{"x": (2, 3, 50), "fixed": (4,), "other": (2, 2)}, {"x": (1, 3, 80), "fixed": (4,)}]
    assert {name: str(shape) for name, shape in observed(spec, samples).items()} == {"x": "1x3x50:2x3x50:2x3x80"}
