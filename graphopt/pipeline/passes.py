"""What a pass is, and where passes are found by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

from graphopt.errors import RecipeError, did_you_mean
from graphopt.graph.dtypes import DType
from graphopt.graph.model import Model
from graphopt.lang import tree
from graphopt.lang.quantizer import QUANTIZER, Quantizer
from graphopt.lang.target import TargetFacts
from graphopt.lang.words import PHASES
from graphopt.legalize.lowering import facts_of
from graphopt.pipeline.assignment import PRECISIONS, Assignment
from graphopt.pipeline.calibration import AUTO, Calibration
from graphopt.pipeline.selectors import check_selectors, select
from graphopt.progress import SILENT, Progress
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Firing, Journal, Site
from graphopt.rewrite.watch import Tally

CONTRACTS = ("exact", "real", "approx", "quant")
"""How equal a change leaves the outputs, from the strictest to the loosest."""


@dataclass(frozen=True)
class PassResult:
    """What a pass did.

    Attributes:
        modified: whether the graph is another one now.
        contract: how equal its outputs are: "exact", "real", "approx" or "quant".
        error: for "approx", the relative error that it allows.
        details: figures for the report, JSON-able.
    """

    modified: bool
    contract: str = "exact"
    error: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.contract not in CONTRACTS:
            raise ValueError(f"there is no contract {self.contract!r}; the contracts are {', '.join(CONTRACTS)}")


@dataclass(frozen=True)
class Context:
    """What a run gives to its passes.

    Attributes:
        rules: every rule of the run, those to be skipped left out.
        journal: where firings are noted.
        source_bytes: bytes of weights in the model that came in.
        fold_budget: bytes by which constants may outgrow that.
        progress: where long work shows itself.
        trace: sees every firing as it happens.
        tallies: collects, by rule, what came of every attempt, where someone wants to know.
        skipped: names of the rules that are left out.
        barred: firings that were undone, and must not happen again.
        target: what is compiled for; None where nothing is known of it.
        targets: names of all that is compiled for.
        assignment: precisions that the recipe gives to nodes.
        calibration: what the run calibrates with, and the ranges that it has found; None for a run without data.
    """

    rules: Sequence[tree.Rule] = ()
    journal: Journal = field(default_factory=Journal)
    source_bytes: int = 0
    fold_budget: int = 1 << 20
    progress: Progress = SILENT
    trace: Callable[[Firing], None] | None = None
    tallies: dict[str, Tally] | None = None
    skipped: Sequence[str] = ()
    barred: frozenset[Site] = frozenset()
    target: TargetFacts | None = None
    targets: Sequence[str] = ()
    assignment: Assignment = field(default_factory=Assignment)
    calibration: Calibration | None = None

    @property
    def environment(self) -> dict[str, Any]:
        """What rules know of the run: the target, and how to quantize."""
        known: dict[str, Any] = {}
        if self.target is not None:
            known["target"] = self.target
            known[QUANTIZER] = Quantizer(self.calibration, self.target.activations)
        return known

    def environment_of_codes(self, dtype: str) -> dict[str, Any]:
        """The same for rules that quantize weights and activations to this element type. Where the run leaves the
        method to us, activations are not cut off: float8 has as many steps for small numbers as for large ones."""
        calibration = self.calibration
        seen = calibration.statistics if calibration is not None else None
        if calibration is not None and seen is not None and calibration.method == AUTO:
            calibration = replace(calibration)
            calibration.use(seen, "max")
        return {**self.environment, QUANTIZER: Quantizer(calibration, DType[dtype], DType[dtype])}

    def environment_of_weights(self, dtype: str) -> dict[str, Any]:
        """The same for rules that quantize weights alone, to this element type."""
        known = self.environment
        known[QUANTIZER] = Quantizer(weights=DType[dtype], alone=True)
        return known

    def lacks_kernels(self, dtype: str) -> frozenset[str]:
        """Operators that one of the targets does not compute in an element type; "*" stands for all."""
        from graphopt.targets import load, names

        known = [load(name) for name in self.targets if name in names()]
        return frozenset(operator for target in known for operator in target.lacks_kernels.get(dtype, ()))

    def refuse_lacking(self, dtype: str) -> None:
        """
        Raises:
            RecipeError: a target has no kernels at all in an element type.
        """
        from graphopt.targets import load, names

        for target in (load(name) for name in self.targets if name in names()):
            if "*" in target.lacks_kernels.get(dtype, ()):
                raise RecipeError(
                    f"{target.title} has no kernels for {dtype}",
                    help="compile for another target, as --target tensorrt-rtx",
                )

    def check_selectors(self, selectors: Sequence[str]) -> None:
        """
        Raises:
            RecipeError: one of them is of no known form; see `graphopt.pipeline.selectors`.
        """
        check_selectors(selectors, self.rules)

    def select(self, model: Model, selectors: Sequence[str]) -> frozenset[str]:
        """The labels of the nodes that selectors of a recipe name.

        Raises:
            RecipeError: one of them matches nothing.
        """
        return select(model, selectors, self.rules, self.environment) if selectors else frozenset()

    def assigned(self, model: Model, precisions: Collection[str]) -> frozenset[str]:
        """The labels of the nodes to which the recipe gives one of these precisions.

        Raises:
            RecipeError: a selector of the recipe matches nothing.
        """
        return self.assignment.labels(lambda selector: self.select(model, [selector]), precisions)

    def assigned_elsewhere(self, model: Model, gives: Collection[str]) -> frozenset[str]:
        """The labels of the nodes to which the recipe gives another precision than these.

        Raises:
            RecipeError: a selector of the recipe matches nothing.
        """
        return self.assigned(model, [kind for kind in PRECISIONS if kind not in gives])

    def rules_of(self, phase: str, names: Sequence[str] = ()) -> list[tree.Rule]:
        """The rules of a phase; those of these names alone, if there are any.

        Raises:
            RecipeError: there is no such phase or rule.
        """
        if phase not in PHASES:
            raise RecipeError(
                f"there is no phase {phase!r}", help=did_you_mean(phase, PHASES) or f"phases: {', '.join(PHASES)}"
            )
        known = [*self.skipped, *(rule.name for rule in self.rules)]
        for name in names:
            if name not in known:
                raise RecipeError(f"there is no rule {name!r}", help=did_you_mean(name, known))
        return [rule for rule in self.rules if rule.phase == phase and (not names or rule.name in names)]

    def apply_rules(
        self,
        model: Model,
        name: str,
        groups: Sequence[Sequence[tree.Rule]],
        known: dict[str, Any],
        kept: frozenset[str] = frozenset(),
    ) -> PassResult:
        """Apply groups of rules, one after the other, each until none of its rules applies any more.

        Args:
            name: of the pass that asks, for the journal.
            known: what the rules know of the run, as `environment` gives it.
            kept: labels of nodes that no rule takes out, as `select` gives them.

        Returns:
            the result of the pass: its contract is the loosest of the rules that fired.
        """
        first = len(self.journal.firings)
        for rules in groups:
            Engine(rules, model, known, self.tallies, self.barred, kept).run(self.journal, name, self.trace)
        fired = self.journal.counts(first)
        by_place = {r.place: r for r in self.rules}
        errors = [by_place[place].error or 0.0 for place in fired]
        return PassResult(bool(fired), loosest([by_place[p].equal for p in fired]), max(errors, default=0.0))


@dataclass(frozen=True)
class Pass:
    """Base of all passes: a frozen dataclass whose fields are its options.

    A subclass sets `name` (kebab-case, as in recipes) and writes `apply`, which changes the model in place.
    """

    name: ClassVar[str] = ""

    @property
    def idempotent(self) -> bool:
        """Whether running again at once changes nothing: a later round then leaves the pass out, unless another one
        has changed the model since."""
        return False

    @property
    def gives(self) -> Collection[str]:
        """The precisions, of `graphopt.pipeline.assignment`, that the pass brings nodes to."""
        return ()

    def check(self, context: Context) -> None:
        """Look at the options, before any pass of the recipe runs. What a single option may be its type says.

        Raises:
            RecipeError: they ask for what there is not.
        """

    def apply(self, model: Model, context: Context) -> PassResult:
        """Change the model; say whether it changed, and how equal it is.

        Raises:
            RewriteError: the pass found itself unable to go on with this model.
        """
        raise TypeError(f"{type(self).__name__} has no apply")


@dataclass(frozen=True)
class TargetPass(Pass):
    """Base of the passes that bring a model to what one target takes.

    Options:
        target: what is compiled for.
    """

    target: str = "tensorrt-rtx"

    @property
    def idempotent(self) -> bool:
        return True

    def check(self, context: Context) -> None:
        facts_of(self.target)


def _shipped(module: str, name: str) -> Callable[[], type[Pass]]:
    return lambda: getattr(import_module(f"graphopt.passes.{module}"), name)


PASSES: dict[str, Callable[[], type[Pass]]] = {
    "apply-rules": _shipped("apply_rules", "ApplyRules"),
    "calibrate": _shipped("calibrate", "Calibrate"),
    "fold-constants": _shipped("fold_constants", "FoldConstants"),
    "compare-outputs": _shipped("compare_outputs", "CompareOutputs"),
    "convert-opset": _shipped("convert_opset", "ConvertOpset"),
    "eliminate-common-subexpressions": _shipped("eliminate_common_subexpressions", "EliminateCommonSubexpressions"),
    "inline-bodies": _shipped("inline_bodies", "InlineBodies"),
    "inline-branches": _shipped("inline_branches", "InlineBranches"),
    "inline-functions": _shipped("inline_functions", "InlineFunctions"),
    "lower-operators": _shipped("lower_operators", "LowerOperators"),
    "lower-precision": _shipped("lower_precision", "LowerPrecision"),
    "refine-weights": _shipped("refine_weights", "RefineWeights"),
    "remove-dead-code": _shipped("remove_dead_code", "RemoveDeadCode"),
    "unpack-sequences": _shipped("unpack_sequences", "UnpackSequences"),
    "widen-types": _shipped("widen_types", "WidenTypes"),
}
"""Passes by name; importing one happens when it is asked for."""

ENTRY_POINTS = "graphopt.passes"


def register(pass_type: type[Pass]) -> type[Pass]:
    """Class decorator: make a pass known under its `name` in this process.

    Raises:
        RecipeError: another pass has the name.
    """
    known = PASSES.get(pass_type.name)
    if not pass_type.name or (known is not None and known() is not pass_type):
        raise RecipeError(f"the pass {pass_type.__name__} needs a name of its own, not {pass_type.name!r}")
    PASSES[pass_type.name] = lambda: pass_type
    return pass_type


def find_pass(name: str) -> type[Pass]:
    """The pass of this name: registered here, or offered by an installed package.

    Raises:
        RecipeError: there is none; the message suggests the nearest.
    """
    if name in PASSES:
        return PASSES[name]()
    offered = {e.name: e for e in entry_points(group=ENTRY_POINTS)}
    if name in offered:
        return _load(offered[name])
    known = [*PASSES, *offered]
    raise RecipeError(
        f"there is no pass {name!r}", help=did_you_mean(name, known) or f"passes: {', '.join(sorted(known))}"
    )


def _load(point: EntryPoint) -> type[Pass]:
    where = f"entry point {point.value}"
    hint = f"update or uninstall {point.dist.name}" if point.dist else None
    try:
        found = point.load()
    except Exception as error:  # foreign code may raise anything; a traceback would read as a fault of ours
        raise RecipeError(f"the pass {point.name!r} cannot be loaded: {error}", where=where, help=hint) from error
    if not isinstance(found, type) or not issubclass(found, Pass) or found.name != point.name:
        raise RecipeError(f"what is offered as the pass {point.name!r} is none of that name", where=where, help=hint)
    return found


def loosest(contracts: Sequence[str]) -> str:
    """The loosest of several contracts; "exact" of none."""
    return max(contracts, key=CONTRACTS.index, default="exact")
