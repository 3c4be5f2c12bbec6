"""What callers notice of a model's interface."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Dim, Interface, TensorSpec
from graphopt.parity.interfaces import interface_differences


def spec(name: str, *shape: Dim, dtype: DType = DType.float32) -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def found(
    before: Sequence[TensorSpec], after: Sequence[TensorSpec], *, outputs: bool = False
) -> tuple[list[str], list[str]]:
    a, b = (Interface((), tuple(s)) if outputs else Interface(tuple(s), ()) for s in (before, after))
    differences = interface_differences(a, b)
    return differences.failures, differences.notes


X, Y = spec("x", "N", 3), spec("y", 2)


def test_equal_interfaces() -> None:
    assert found([X, Y], [X, Y]) == ([], [])


def test_another_name_of_a_dimension_breaks_nobody() -> None:
    assert found([X], [spec("x", "batch", 3)]) == ([], [])
    assert found([X], [spec("x", None, 3)]) == ([], [])


def test_names_and_order() -> None:
    assert found([X, Y], [Y, spec("z", 1)]) == (["input 'x' is gone", "input 'z' is new"], [])
    assert found([X, Y], [Y, X], outputs=True) == (["the outputs are in another order: 'y', 'x'"], [])


def test_many_new_names_are_counted() -> None:
    failures, _ = found([], [spec(f"x{i}", 1) for i in range(9)])
    assert failures == [*(f"input 'x{i}' is new" for i in range(5)), "4 more inputs are new"]


def test_element_types_and_shapes() -> None:
    assert found([X], [spec("x", "N", 3, dtype=DType.float16)]) == (
        ["input x: float32[N,3] became x: float16[N,3]"],
        [],
    )
    assert found([X], [spec("x", 1, 3)]) == (["input x: float32[N,3] became x: float32[1,3]"], [])
    assert found([X], [spec("x", "N", 3, 1)]) == (["input x: float32[N,3] became x: float32[N,3,1]"], [])
    assert found([Y], [spec("y", "M")], outputs=True) == (["output y: float32[2] became y: float32[M]"], [])


def test_an_output_whose_open_size_is_stated_is_noted() -> None:
    assert found([X], [spec("x", 1, 3)], outputs=True) == ([], ["output x: float32[N,3] became x: float32[1,3]"])
    assert found([X], [spec("x", 1, 4)], outputs=True)[0] == ["output x: float32[N,3] became x: float32[1,4]"]


def test_shapes_that_are_not_declared() -> None:
    unknown = TensorSpec("x", DType.float32, None)
    assert found([X], [unknown]) == ([], ["input x: float32[N,3] became x: float32[?]"])
    assert found([TensorSpec("x", None, None)], [X])[0] == []


def test_kinds() -> None:
    assert found([X], [TensorSpec("x", None, None, "sequence")]) == (
        ["input x: float32[N,3] became x: sequence"],
        [],
    )


def test_an_input_that_can_no_longer_be_overridden() -> None:
    before, after = Interface((X,), (), (Y,)), Interface((X,), ())
    assert interface_differences(before, after).failures == ["input 'y', which has a default, can no longer be given"]
