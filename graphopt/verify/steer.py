"""Looking for instances at which the conditions of a rule are as wanted: solve what can be solved, climb, sample.

A step takes the first condition that is not as wanted and changes what the instance was decided by: by solving the
condition backwards, by deciding anew what the condition depends on, or by putting in numbers that the rule itself
mentions. What is nearer (or as near) is kept.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from graphopt.errors import GraphoptError
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.lang import tree as t
from graphopt.lang.names import names_in, walk
from graphopt.verify.build import Instance, prepare
from graphopt.verify.choices import Address, Choices, Impossible, without
from graphopt.verify.distance import distance, with_lets
from graphopt.verify.draft import Draft
from graphopt.verify.element_types import Avoid
from graphopt.verify.moves import Places, addresses_of, applied
from graphopt.verify.solve import Solver
from graphopt.verify.subject import Subject

PATIENCE = 14
"""Steps without getting nearer after which a climb begins elsewhere."""

DECLINES = 0.6
"""The distance of an engine that declines."""

FRESH = 0.4
"""The least share of climbs that begin from nothing: what is like another instance shows less than one that is not."""

HIDDEN = {"would change its shape": "apart", "does not take these inputs": "no shape"}
"""Why the engine declines, and how dims are declared where it cannot: there the rule must know by itself."""

HOPELESS = 1200
FEW_DECLINES = 10
HOPELESS_DECLINES = 300
"""So many models without one instance as wanted, and few that the engine declines, or so many that it declines, and
nothing more is tried. In the rules that ship no first instance takes 600."""

KEPT = 16
"""Instances that later ones may begin from."""

Made = Mapping[Address, Any]


@dataclass(frozen=True)
class Place:
    """One point of the search.

    Attributes:
        form: the rule with its operator generics chosen.
        made: the decisions that lead here.
        bindings: names of the rule, lets included.
        gaps: how far each condition is from being as wanted.
        is_declined: whether the engine declines to carry out the right side, whatever the conditions say.
        found: the instance, and the model loaded; None as long as a condition is not as wanted.
    """

    form: t.Rule
    draft: Draft
    made: Made
    bindings: dict[str, Any]
    gaps: tuple[float, ...]
    is_declined: bool = False
    found: Instance | None = None
    loaded: Model | None = None

    @property
    def score(self) -> float:
        return sum(self.gaps) + DECLINES * self.is_declined

    @property
    def instance(self) -> Instance:
        assert self.found is not None
        return self.found


class Search:
    """A stream of instances at which every condition is as wanted.

    Attributes:
        attempts: models tried so far.
        declined: how many of them had every condition as wanted, and the engine declined.
        failures: why there was no model, or no match, by message.
    """

    def __init__(
        self, subject: Subject, wanted: Sequence[bool], seed: int, *, avoid: Avoid = (), feeds: int = 2
    ) -> None:
        self.subject = subject
        self.wanted = tuple(wanted)
        self.random = Random(seed)
        self.avoid = avoid
        self.feeds = feeds
        self.attempts = 0
        self.declined = 0
        self.failures: Counter[str] = Counter()
        self._kept: deque[Made] = deque(maxlen=KEPT)
        self._opsets = [*subject.opsets, *subject.milestones]  # those at which an operator changes twice as likely
        self._fresh = [1, 1]  # how many began from nothing, how many of them were as wanted

    def run(self, attempts: int) -> Iterator[Place]:
        """Instances as wanted, until so many models were tried, or it is hopeless."""
        limit = self.attempts + attempts
        while self.attempts < limit and not self._is_hopeless():
            found = self._climb(limit)
            if found is not None:
                self._kept.append(found.made)
                yield found

    def _is_hopeless(self) -> bool:
        is_lost = self.attempts >= HOPELESS and self.declined < FEW_DECLINES
        return not self._kept and (is_lost or self.declined >= HOPELESS_DECLINES)

    # --- one climb ---

    def _climb(self, limit: int) -> Place | None:
        at, is_fresh = self._begin()
        if is_fresh:
            self._fresh[0] += 1
        if at is not None and not at.score:
            self._fresh[1] += is_fresh
            return at
        waited = 0
        while at is not None and waited < PATIENCE and self.attempts < limit:
            there = self._step(at)
            waited += 1
            if there is None:
                continue
            if not there.score:
                return there
            if there.score < at.score:
                waited = 0
            if there.score <= at.score:
                at = there
        return None

    def _begin(self) -> tuple[Place | None, bool]:
        rate = self._fresh[1] / self._fresh[0]
        if self._kept and self.random.random() > max(FRESH, rate):
            return self.evaluate(self._varied(self.random.choice(self._kept))), False
        return self.evaluate({}), True

    def _varied(self, made: Made) -> dict[Address, Any]:
        """An instance like one that was as wanted, with a part of it decided anew."""
        share = self.random.choice((0.15, 0.3, 0.6, 0.9))
        kinds = {a[0] for a in made if self.random.random() < share} | {"numbers", "feeds", "style"}
        return without(made, [a for a in made if a[0] in kinds and self.random.random() < 0.7])

    def evaluate(self, given: Made) -> Place | None:
        """The place that some decisions lead to; None where they lead to no match."""
        self.attempts += 1
        try:
            return self._evaluate(given)
        except Impossible as reason:
            self.failures[str(reason).splitlines()[0][:120]] += 1
        except GraphoptError as error:
            self.failures[error.message.splitlines()[0][:120]] += 1
        return None

    def _evaluate(self, given: Made, *, again: bool = True) -> Place | None:
        """`again`: whether dims may be declared otherwise than was decided, where more can be learnt from that."""
        choices = Choices(self.random.getrandbits(40), given)
        form = self.subject.forms[choices.pick(("form",), range(len(self.subject.forms)))]
        opset = choices.pick(("opset",), self._opsets)
        builder = prepare(form, opset, choices, special=self.subject.rule.equal == "exact", avoid=self.avoid)
        bindings = with_lets(form, builder.bindings())
        gaps = self._gaps(form, bindings)
        if any(gaps):  # a look at the draft is much quicker than one at the model
            return Place(form, builder.draft, dict(choices.made), bindings, gaps)
        instance = builder.finish(self.feeds)
        model = from_proto(instance.model, overridable="keep")
        structure = self.subject.structure(model)
        if structure.bindings is None:
            known = self.random.choice(("asked", "static"))
            if structure.reason.startswith("unknown") and again and given.get(("dims",)) not in ("asked", "static"):
                return self._evaluate({**instance.made, ("dims",): known}, again=False)
            raise Impossible(structure.reason)
        unknown = next((dims for reason, dims in HIDDEN.items() if reason in structure.reason), None)
        if unknown is not None and again and given.get(("dims",)) != unknown:
            return self._evaluate({**instance.made, ("dims",): unknown}, again=False)
        bindings = with_lets(form, structure.bindings)
        gaps = self._gaps(form, bindings)
        if structure.is_declined and not any(gaps):
            self.declined += 1
        return Place(form, builder.draft, instance.made, bindings, gaps, structure.is_declined, instance, model)

    def _gaps(self, form: t.Rule, bindings: dict[str, Any]) -> tuple[float, ...]:
        return tuple(distance(c, bindings, wanted=w) for c, w in zip(form.where, self.wanted, strict=True))

    # --- one step ---

    def _step(self, at: Place) -> Place | None:
        failing = [i for i, gap in enumerate(at.gaps) if gap]
        if not failing:
            return self.evaluate(self._coinciding(at) if self.random.random() < 0.5 else self._varied(at.made))
        number = failing[0] if self.random.random() < 0.7 else self.random.choice(failing)
        condition, wanted = at.form.where[number], self.wanted[number]
        made = at.made
        draw = self.random.random()
        if at.loaded is not None and wanted and draw < 0.6:  # as far as it is known, it holds
            return self.evaluate(self._pinned(at, condition))
        if draw < 0.1 and made.get(("dims",)) != "static" and wanted:
            return self.evaluate({**made, ("dims",): "static"})
        if draw < 0.75:
            solver = Solver(Places(at.form, at.draft), at.bindings, self.random)
            moves = solver.moves(condition, wanted=wanted)
            if moves:
                chosen = moves[min(int(self.random.expovariate(0.5)), len(moves) - 1)]
                keep = self.random.choices(("all", "structure", "little"), (5, 3, 2))[0]
                return self.evaluate(applied(made, chosen, keep=keep))
        return self.evaluate(self._resampled(at, condition))

    def _coinciding(self, at: Place) -> dict[Address, Any]:
        """One size as large as another: what does not fit together may then, and look right where it is not."""
        sizes = sorted({d for known in at.draft.tensors.values() for d in known.shape or ()})
        shapes = {name: at.draft.tensors[name].shape or () for name in at.draft.sketch.leaves}
        places = [(name, axis) for name, shape in shapes.items() for axis in range(len(shape))]
        if not places:
            return self._varied(at.made)
        name, axis = self.random.choice(places)
        shape = (*shapes[name][:axis], self.random.choice(sizes), *shapes[name][axis + 1 :])
        return applied(at.made, {("shape", name): shape}, keep=self.random.choice(("all", "structure")))

    def _pinned(self, at: Place, condition: t.Expression) -> dict[Address, Any]:
        """What a condition speaks of with dims that are known, everything else with dims that are not."""
        places = Places(at.form, at.draft)
        spoken_of = places.sources(_leaf_names(condition, places))
        made: dict[Address, Any] = {a: v for a, v in at.made.items() if a[0] != "dynamic"}
        made[("dims",)] = "mixed"
        made.update({("dynamic share", n): 0.0 if n in spoken_of else 1.0 for n in at.draft.sketch.leaves})
        return made

    def _resampled(self, at: Place, condition: t.Expression) -> dict[Address, Any]:
        """Decide anew a part of what the condition depends on; now and then by a number of the rule."""
        places = Places(at.form, at.draft)
        made = dict(at.made)
        concerned = addresses_of(made, places.sources(_leaf_names(condition, places)))
        if not concerned:
            return {}
        if self.random.random() < 0.3:
            self._seed_with_literals(made, concerned, at.form)
        chosen = [a for a in concerned if self.random.random() < 0.5]
        if self.random.random() < 0.5:
            chosen += [a for a in made if a[0] in ("shape", "value")]
        return without(made, chosen)

    def _seed_with_literals(self, made: dict[Address, Any], concerned: list[Address], rule: t.Rule) -> None:
        numbers = [p.value for c in rule.where for p in walk(c) if isinstance(p, t.Literal)]
        numbers = [n for n in numbers if isinstance(n, (int, float)) and not isinstance(n, bool)] or [0, 1]
        address = self.random.choice(concerned)
        number = self.random.choice(numbers) + self.random.choice((0, 0, 1, -1))
        old = made.get(address)
        if address[0] in ("attribute", "value") and isinstance(old, type(number)):
            made[address] = number
        elif isinstance(old, tuple) and old and all(isinstance(i, int) for i in _as_items(old)):
            items = list(_as_items(old))
            items[self.random.randrange(len(items))] = int(number)
            made[address] = tuple(items)


def _as_items(value: Any) -> tuple[Any, ...]:
    return value


def _leaf_names(condition: t.Expression, places: Places) -> list[str]:
    """The names that a condition reads, through lets."""
    found: dict[str, None] = {}
    pending = list(names_in(condition))
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = None
            if name in places.lets:
                pending.extend(names_in(places.lets[name]))
    return list(found)
