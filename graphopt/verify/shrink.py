"""A counterexample made smaller, as long as it stays one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from graphopt.errors import GraphoptError
from graphopt.verify.build import Instance, build
from graphopt.verify.choices import Address, Choices, Impossible
from graphopt.verify.steer import Place
from graphopt.verify.surroundings import variant
from graphopt.verify.trial import Trial
from graphopt.verify.verdict import Counterexample

Made = dict[Address, Any]


@dataclass(frozen=True)
class Found:
    """A counterexample, and the instance that it came from."""

    counterexample: Counterexample
    place: Place
    seed: int


def shrink(found: Found, trial: Trial, *, attempts: int) -> Counterexample:
    """The smallest counterexample that so many attempts lead to: fewer and smaller dims, plain numbers, no attribute
    that need not be there, inputs that are inputs."""
    best = found
    used = 0
    progress = True
    while progress and used < attempts:
        progress = False
        for simpler in _simpler(dict(best.place.made)):
            if used >= attempts:
                break
            used += 1
            smaller = _retry(best, simpler, trial)
            if smaller is not None and _size(smaller) < _size(best):
                best, progress = smaller, True
                break
    return best.counterexample


def _retry(found: Found, made: Made, trial: Trial) -> Found | None:
    from random import Random

    kind = found.counterexample.surroundings
    try:
        choices = Choices(found.seed, made)
        opset = choices.draw(("opset",), lambda: found.place.instance.draft.sketch.opset)
        choices.draw(("form",), lambda: 0)
        instance = build(found.place.form, opset, choices, special=trial.contract.equal == "exact")
        models = (instance.model, instance.feeds)
        if kind:
            changed = variant(instance, kind, Random(found.seed))
            if changed is None:
                return None
            models = changed
        _, counterexample = trial.run(*models, kind)
    except (Impossible, GraphoptError):
        return None
    if counterexample is None:
        return None
    return Found(
        counterexample, replace(found.place, made=instance.made, draft=instance.draft, found=instance), found.seed
    )


def _size(found: Found) -> tuple[int, int, int, int]:
    """What makes a counterexample hard to read: its elements, nodes, stated attributes, and dynamic dims."""
    model = found.counterexample.before
    instance: Instance = found.place.instance
    elements = sum(_product(k.shape) + len(k.shape or ()) for k in instance.draft.tensors.values())
    attributes = sum(len(n.attribute) for n in model.graph.node)
    dynamic = sum(1 for i in model.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param)
    plain = sum(1 for a, v in instance.made.items() if a[0] == "style" and v != "integers")
    return elements, len(model.graph.node) + len(model.graph.initializer), attributes, dynamic + plain


def _product(shape: tuple[int, ...] | None) -> int:
    total = 1
    for size in shape or ():
        total *= size
    return total


def _simpler(made: Made) -> Iterator[Made]:
    """Decisions that are simpler in one place, the largest steps first."""
    for address, value in list(made.items()):
        change = _SIMPLER.get(address[0])
        for simpler in change(value) if change is not None else ():
            if simpler != value:
                kept = {a: v for a, v in made.items() if a[0] not in ("shape", "value") or _independent(a, address)}
                yield {**made, address: simpler}
                if address[0] == "shape":
                    yield {**kept, address: simpler}


def _independent(other: Address, changed: Address) -> bool:
    return changed[0] != "shape" or (other[0] == "value" and other[1] != changed[1] and not isinstance(other[1], str))


def _smaller_shapes(shape: Any) -> Iterator[Any]:
    for index, size in enumerate(shape):
        for less in (1, 2, size - 1):
            if 0 < less < size:
                yield (*shape[:index], less, *shape[index + 1 :])
    if len(shape) > 1:
        yield shape[1:]


_SIMPLER: dict[str, Callable[[Any], Iterator[Any]]] = {
    "shape": _smaller_shapes,
    "dims": lambda _: iter(("static",)),
    "source": lambda _: iter(("input",)),
    "end": lambda _: iter(("output",)),
    "shared": lambda _: iter(("alone",)),
    "explicit": lambda _: iter((False,)),
    "stated": lambda _: iter((False,)),
    "twin": lambda _: iter((False,)),
    "constant node": lambda _: iter((False,)),
    "present": lambda _: iter((False,)),
    "style": lambda _: iter(("integers", "ones")),
    "dtype": lambda _: iter(()),
}
