"""Functions on lists of axes and dims, with dims that are dynamic or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest

from graphopt.lang.evaluate import compile_expression
from graphopt.lang.parse import parse
from graphopt.lang.values import UNKNOWN, Decline, Symbol

N, M = Symbol("N"), Symbol("M")


def value(expression: str, **names: Any) -> Any:
    (rule,) = parse(f'rule r:\n"A rule."\nwhere:\n{expression}\n').rules
    return compile_expression(rule.where[0])(names)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("inverse([2, 0, 1])", (1, 2, 0)),
        ("inverse([])", ()),
        ("sorted([3, -1, 2, 2])", (-1, 2, 2, 3)),
        ("sorted([])", ()),
        ("without([0, 1, 2, 1], [1])", (0, 2)),
        ("without([0, 1], [])", (0, 1)),
        ("without([], [1])", ()),
        ("axes([-1, 0, 1], 3)", (2, 0, 1)),
        ("axes([], 0)", ()),
        ("not_one([2, 0, 1], [1, 5, 3])", (2, 1)),
    ],
)
def test_lists_of_numbers(expression: str, expected: tuple[int, ...]):
    assert value(expression) == expected


@pytest.mark.parametrize("perm", list(permutations(range(4))))
def test_a_permutation_and_its_inverse_are_none(perm: tuple[int, ...]):
    assert value("compose(p, inverse(p))", p=perm) == tuple(range(4)) == value("compose(inverse(p), p)", p=perm)


@pytest.mark.parametrize("numbers", ["[3]", "[-4]", "[0, 3]"])
def test_axes_outside_the_rank(numbers: str):
    with pytest.raises(Decline) as caught:
        value(f"axes({numbers}, 3)")
    assert str(caught.value) == f"axes {numbers} of a tensor of rank 3"


def test_dynamic_dims():
    assert value("not_one([0, 1, 2], s)", s=(1, N, UNKNOWN)) == (1, 2)
    assert value("sorted(s)", s=(1, N)) is UNKNOWN
    assert value("without(s, [2])", s=(1, N)) is UNKNOWN
    assert value("without(s, s)", s=(N,)) == ()


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((2, 3), (6,), (6,)),
        ((1, 1), (), ()),
        ((N, 3, 4), (N, 12), (0, 12)),
        ((N, 3, 4), (12, N), (12, -1)),
        ((2, N, 3), (N, 6), (-1, 6)),
        ((N, M, 6), (N, M, 2, 3), (0, 0, 2, 3)),
        ((N, 2, M), (N, M, 2), UNKNOWN),
        ((N, M), (M, N), UNKNOWN),
        ((N, 6), (N, UNKNOWN), (0, 6)),
        ((N, 6), (N, 2, UNKNOWN), (0, 2, 3)),
        ((N, 7), (N, 2, UNKNOWN), UNKNOWN),
        ((N, N, 6), (N, UNKNOWN, N), UNKNOWN),
        ((N, M), (N, UNKNOWN), UNKNOWN),
        ((4, N), (UNKNOWN, 2), (-1, 2)),
        ((UNKNOWN, 4), (UNKNOWN, 2), (-1, 2)),
        ((UNKNOWN, 4), (UNKNOWN, UNKNOWN), UNKNOWN),
        ((0, 3), (3, 0), UNKNOWN),
        ((0, N), (N, 0), UNKNOWN),
        ((0, 3), (UNKNOWN, 3), (-1, 3)),
    ],
)
def test_reshape_targets(source: tuple[Any, ...], target: tuple[Any, ...], expected: Any):
    assert value("reshape_target(s, t)", s=source, t=target) == expected


def reshaped(shape: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    """What Reshape makes of a shape, by the words of its specification; -1 is not divided by nothing."""
    copied = [shape[i] if d == 0 else d for i, d in enumerate(target)]
    rest = int(np.prod([d for d in copied if d != -1]))
    assert -1 not in copied or rest
    return tuple(int(np.prod(shape)) // rest if d == -1 else d for d in copied)


def cases() -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Pairs of shapes of as many elements, whatever N and M are."""
    dims: list[Any] = [1, 2, 3, N, M]
    shapes = [s for rank in range(4) for s in product(dims, repeat=rank)]
    alike: dict[Any, list[tuple[Any, ...]]] = {}
    for shape in shapes:
        known = int(np.prod([d for d in shape if isinstance(d, int)]))
        names = tuple(sorted(d.name for d in shape if isinstance(d, Symbol)))
        alike.setdefault((known, names), []).append(shape)
    yield from ((a, b) for group in alike.values() for a in group for b in group)


def test_a_target_makes_its_shape_for_every_size_an_empty_one_included():
    found = 0
    for source, target in cases():
        made = value("reshape_target(s, t)", s=source, t=target)
        if made is UNKNOWN:
            continue
        found += 1
        for sizes in ({N: 4, M: 5}, {N: 0, M: 5}, {N: 4, M: 0}, {N: 1, M: 0}, {N: 0, M: 0}):
            shape, wanted = (tuple(sizes.get(d, d) for d in dims) for dims in (source, target))
            assert reshaped(shape, made) == wanted, (source, target, made, sizes)
    assert found > 600
