"""Dynamic axes on the command line, against the example, and the sizes that they are tried with."""

from __future__ import annotations

import pytest
import torch

from graphopt.errors import UsageError
from graphopt.exporting import Exportable
from graphopt.exporting.call import flatten
from graphopt.exporting.dynamic import checked, parse_dynamic, resized
from tests.exporting import nets

FORM = "\n  help: write NAME=AXIS:SIZE, such as x=0:batch or x=0:batch,2:height"


def test_options_add_up_by_input() -> None:
    assert parse_dynamic(["x=0:batch,2:h", "y=1:n", "x=3:w", "a=b=0:n"]) == {
        "x": {0: "batch", 2: "h", 3: "w"},
        "y": {1: "n"},
        "a=b": {0: "n"},
    }
    assert parse_dynamic([]) == {}


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("0:batch", "--dynamic '0:batch' names no input" + FORM),
        ("=0:batch", "--dynamic '=0:batch' names no input" + FORM),
        ("x=batch", "--dynamic 'x=batch' has 'batch', which is no AXIS:SIZE" + FORM),
        ("x=-1:n", "--dynamic 'x=-1:n' has '-1:n', which is no AXIS:SIZE" + FORM),
        ("x=0:", "--dynamic 'x=0:' has '0:', which is no AXIS:SIZE" + FORM),
        ("x=0:n,", "--dynamic 'x=0:n,' has '', which is no AXIS:SIZE" + FORM),
        ("x=0:n,0:m", "--dynamic says twice what axis 0 of 'x' is"),
    ],
)
def test_options_of_another_form(option: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_dynamic([option])
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("dynamic", "text"),
    [
        (
            {"statt_left": {0: "n"}},
            "dynamic shapes name 'statt_left', which is no input\n  help: did you mean 'state_left'?",
        ),
        (
            {"q": {0: "n"}},
            "dynamic shapes name 'q', which is no input\n  help: the inputs are x, state_right, state_left, unread",
        ),
        ({"x": {"0": "n"}}, "dynamic shapes name axis 0 of 'x', which has 2 axes\n  help: axes count from 0"),
        ({"x": {2: "n"}}, "dynamic shapes name axis 2 of 'x', which has 2 axes\n  help: axes count from 0"),
        (
            {"x": {0: "2*n"}},
            "the size of axis 0 of 'x' is called '2*n'\n"
            "  help: give it a plain name of letters and digits, such as batch",
        ),
        (
            {"x": {0: "n", 1: "n"}},
            "'n' is 2 on axis 0 of 'x' and 3 on axis 1 of 'x' of the example\n"
            "  help: give sizes that differ names that differ",
        ),
    ],
)
def test_shapes_that_do_not_fit_the_example(dynamic: dict[str, dict[int, str]], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(dynamic, flatten(nets.many()))
    assert str(caught.value) == text


def test_shapes_come_in_the_order_of_the_inputs() -> None:
    dynamic = checked({"unread": {0: "n"}, "x": {1: "c", 0: "b"}, "state_left": {}}, flatten(nets.many()))
    assert list(dynamic) == ["x", "unread"]
    assert list(dynamic["x"]) == [0, 1]


def test_other_sizes_repeat_the_values_of_the_example() -> None:
    example = torch.tensor([[1, 2, 3], [4, 5, 6]])
    call = flatten(Exportable(nets.Keyed(), (example,)))
    one_more, doubled = resized(call, {"x": {0: "n"}})
    assert one_more[0].tolist() == [[1, 2, 3], [4, 5, 6], [1, 2, 3]]
    assert doubled[0].tolist() == [[1, 2, 3], [4, 5, 6], [1, 2, 3], [4, 5, 6]]
