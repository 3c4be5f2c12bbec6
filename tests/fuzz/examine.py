"""One random model through the default recipe, and what is wrong with the result, if anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from random import Random

import numpy as np
import onnx

from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.graph.interface import interface_of
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.save import to_bytes
from graphopt.graph.validate import violations
from graphopt.lang.tree import Rule
from graphopt.parity.contract import EXACT, Contract
from graphopt.parity.reference import Reference
from graphopt.parity.refusals import NotRunnable
from graphopt.parity.runners import Runner
from graphopt.pipeline.bisect import find_culprit
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.replay import Replay
from graphopt.rewrite.journal import Journal
from graphopt.rewrite.library import load_rules
from tests.fuzz.blocks import Feed
from tests.fuzz.growing import grow
from tests.fuzz.oddities import Odd, odd_model

ATTEMPTS = 12
"""Firings that may differ by rounding before a model counts as one of which nothing else can be said."""


@dataclass(frozen=True)
class Finding:
    """What came of one seed.

    Attributes:
        kind: "same"; "rounding" (some firings differ by more than the tolerance, and not over the real numbers);
            "refused" (the original does not run, so that nothing is known); "wrong", "crash", "interface"; "lost" (the
            process died before the compiler had its turn).
        text: what is wrong.
        fired: how often each rule fired, and each pass changed the graph.
        contract: what a wrong one was held to.
    """

    seed: int
    kind: str
    text: str = ""
    fired: dict[str, int] = field(default_factory=dict)
    contract: Contract | None = None


Phase = Callable[[str], None]


def examine(seed: int, phase: Phase = lambda _: None) -> Finding:
    """Make the model of a seed and compile it; `phase` hears what is being done, should the process die of it."""
    phase("making")
    return examine_model(seed, made(seed), phase)


def made(seed: int) -> Odd:
    """The model of a seed."""
    random = Random(seed)
    return odd_model(grow(random, seed), random)


def examine_model(seed: int, odd: Odd, phase: Phase = lambda _: None) -> Finding:
    """Compile a model, and compare."""
    phase("the original")
    try:
        onnx.checker.check_model(odd.model, full_check=False)
    except onnx.checker.ValidationError as error:
        return Finding(seed, "refused", f"the checker: {str(error).splitlines()[0]}")
    try:
        samples = _samples(odd)
        with Reference(odd.model.SerializeToString(), samples, overridable="keep") as original:
            return _compared(seed, odd, original, phase)
    except NotRunnable as error:
        return Finding(seed, "refused", str(error))
    except GraphoptError as error:
        return Finding(seed, "refused", str(error))


def _compared(seed: int, odd: Odd, original: Reference, phase: Phase) -> Finding:
    """Compile and compare, and again without each firing whose difference turns out to be rounding."""
    phase("compiling")
    data = odd.model.SerializeToString()
    load = partial(_loaded, data)
    context = Context(_rules(), source_bytes=load().weight_bytes())
    fired: dict[str, int] = {}
    for attempt in range(ATTEMPTS):
        try:
            replay = Replay(load, context, Recipe.load("default"))
            found = _attempt(seed, odd, original, context, phase, fired if attempt == 0 else {})
        except Exception as error:
            return Finding(seed, "crash", f"{type(error).__name__}: {error}", fired)
        if found.kind != "wrong" or found.contract is None:
            return replace(found, kind="rounding" if attempt and found.kind == "same" else found.kind, fired=fired)
        contract = found.contract
        culprit = find_culprit(replay, lambda graph, c=contract: original.compare(to_bytes(graph), c), original.samples)
        if culprit is None:
            return replace(found, fired=fired)
        explained, firing = culprit.explanation, culprit.event.firing
        if explained is None or explained.kind != "noise" or firing is None:
            return replace(found, fired=fired, text="\n  ".join([found.text, *culprit.lines()]))
        context = replace(context, barred=context.barred | {firing.site})
    return Finding(seed, "rounding", "", fired)


def _loaded(data: bytes) -> Model:
    return from_proto(onnx.ModelProto.FromString(data), overridable="keep")


def _attempt(
    seed: int, odd: Odd, original: Reference, context: Context, phase: Phase, fired: dict[str, int]
) -> Finding:
    model = _loaded(odd.model.SerializeToString())
    manager = Manager(model, replace(context, journal=Journal()), None, "end")
    manager.run(Recipe.load("default"))
    model.sort()
    contract = EXACT
    by_place = {rule.place: rule for rule in context.rules}
    for record in manager.records:
        for rule, count in {**record.firings, record.name: int(record.modified)}.items():
            fired[rule] = fired.get(rule, 0) + count
        error = max((by_place[rule].error or 0.0 for rule in record.firings), default=0.0)
        contract = contract.loosened(Contract(record.contract, error if record.contract == "approx" else 0.0))
    complaints = list(violations(model, interface_of(odd.model)))
    if complaints:
        return Finding(seed, "crash", f"not valid: {complaints[0]}")
    data = to_bytes(model)
    if not _same_interface(odd.model, onnx.ModelProto.FromString(data)):
        return Finding(seed, "interface", "inputs or outputs are declared otherwise")
    phase("the compiled model")
    try:
        found = original.compare(data, contract)
    except NotRunnable as error:
        return Finding(seed, "wrong", f"not runnable any more: {error}")
    phase("compiling")
    return Finding(seed, "same") if found.ok else Finding(seed, "wrong", "; ".join(found.problems), contract=contract)


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(load_rules())


def _same_interface(before: onnx.ModelProto, after: onnx.ModelProto) -> bool:
    first, second = ([v.SerializeToString() for v in (*m.graph.input, *m.graph.output)] for m in (before, after))
    return first == second or (before.ir_version < 4 and interface_of(before).outputs == interface_of(after).outputs)


def _samples(odd: Odd) -> list[Sample]:
    """The feeds on which the original runs; one more, of other sizes, where it has dynamic dims."""
    samples = [Sample(f"feed {i}", dict(feed)) for i, feed in enumerate(odd.feeds)]
    larger = _resized(odd)
    if larger is not None:
        samples.append(Sample("other sizes", dict(larger)))
    overridden = _overridden(odd)
    if overridden is not None:
        samples.append(Sample("other defaults", dict(overridden)))
    with Runner(odd.model.SerializeToString(), "the original") as runner:
        return [samples[0], *(s for s in samples[1:] if _is_legal(runner, s, odd.model))]


def _is_legal(runner: Runner, sample: Sample, model: onnx.ModelProto) -> bool:
    """Whether the original runs on a sample and gives what it declares."""
    try:
        outputs = runner.run(sample)
    except GraphoptError:
        return False
    return all(_is_as_declared(outputs[o.name].shape, o) for o in model.graph.output)


def _is_as_declared(shape: tuple[int, ...], output: onnx.ValueInfoProto) -> bool:
    dims = output.type.tensor_type.shape.dim
    if len(shape) != len(dims):
        return False
    return all(not d.HasField("dim_value") or d.dim_value == size for size, d in zip(shape, dims, strict=True))


def _resized(odd: Odd) -> Feed | None:
    """The first feed with each dynamic dim larger by one, those of one name alike."""
    found: Feed = {}
    changed = False
    for value in odd.model.graph.input:
        array = odd.feeds[0].get(value.name)
        if array is None:
            continue
        shape = list(array.shape)
        if value.type.tensor_type.HasField("shape"):
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                if not dim.HasField("dim_value") and shape[axis]:
                    shape[axis] += 1
                    changed = True
        found[value.name] = np.resize(array, shape) if array.size else array
    return found if changed else None


def _overridden(odd: Odd) -> Feed | None:
    """The first feed, and other numbers for weights that are inputs as well."""
    inputs = {i.name for i in odd.model.graph.input}
    given = {
        t.name: onnx.numpy_helper.to_array(t)
        for t in odd.model.graph.initializer
        if t.name in inputs and t.data_type == onnx.TensorProto.FLOAT
    }
    if not given:
        return None
    return {**odd.feeds[0], **{n: np.asarray(a * 1.5 + 0.25, a.dtype) for n, a in given.items()}}
