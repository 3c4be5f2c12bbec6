"""Assertions about rules and models; each fails with what a reader needs to see why."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnx

from graphopt.graph.load import from_proto
from graphopt.lang import tree
from graphopt.pipeline.passes import Context, Pass, loosest
from graphopt.rewrite.explain import explain
from graphopt.rewrite.library import load_rules
from graphopt.testing.cases import Variant, model_of
from graphopt.testing.given_rules import RuleSource, rules_of
from graphopt.testing.rewriting import Rewritten, apply_pass, rewrite
from graphopt.testing.structure import structure
from graphopt.testing.weights import samples
from graphopt.verify.judge import Contract, judge
from graphopt.verify.verdict import Verdict
from graphopt.verify.verify import INSTANCES
from graphopt.verify.verify import verify_rule as verify_one

Graph = onnx.ModelProto | str
"""A model, or a graph in ONNX's text syntax: `(float[n,4] x) => (float[n,4] y) { y = Relu (x) }`."""

Feed = Mapping[str, np.ndarray[Any, Any]]
"""Arrays by input name."""

FOUND = ("same", "rounding")


def assert_rewrites(
    before: Graph,
    after: Graph,
    rules: RuleSource,
    *,
    firings: int | None = None,
    opset: int = 17,
    feeds: Iterable[Feed] | None = None,
) -> None:
    """Rules make `after` of `before`: the same structure, whatever the names and the order of nodes, and the same
    results by the loosest contract of the rules that fired.

    Args:
        after: names that nothing defines stand for constants, if it is a text.
        rules: the text of rules, a rule file or a folder of them, names of rules that ship, or a list of such.
        firings: how often rules must fire on the way, if that matters.
        opset: of graphs in text.
        feeds: inputs to compare results on; made from names, types and shapes if not given.

    Raises:
        AssertionError: they do not; says what differs, and where a rule that did not fire stopped.
        RuleError: the rules are wrong in themselves.
    """
    chosen = rules_of(rules)
    first = _model(before, opset)
    wanted = model_of(after, opset, complete=False) if isinstance(after, str) else after
    found = _rewritten(first, wanted, chosen)
    if firings is not None:
        _assert_firings(len(found.firings), firings)
    _assert_same_results(first, found.model, _contract(found, chosen), feeds)


def assert_unchanged(before: Graph, rules: RuleSource, *, opset: int = 17) -> None:
    """No rule fires; the arguments are those of `assert_rewrites`.

    Raises:
        AssertionError: one does; says which, and what it makes.
    """
    first = _model(before, opset)
    found = rewrite(first, rules_of(rules))
    if found.firings:
        fired = ", ".join(dict.fromkeys(firing.rule for firing in found.firings))
        raise AssertionError(f"fires: {fired}\n{_difference(first, found.model)}")


def assert_pass(
    step: Pass,
    before: Graph,
    after: Graph,
    *,
    context: Context | None = None,
    opset: int = 17,
    feeds: Iterable[Feed] | None = None,
) -> None:
    """A pass makes `after` of `before`, the graph is valid then, the results are the same by the contract that the pass
    promises, and it says so itself whether it has changed anything.

    Args:
        context: what a run would give to the pass; the rules that ship, if not given.
        after, opset, feeds: as for `assert_rewrites`.

    Raises:
        AssertionError: one of these is not so.
        RecipeError: the options of the pass are wrong.
    """
    context = Context(load_rules()) if context is None else context
    first = _model(before, opset)
    wanted = model_of(after, opset, complete=False) if isinstance(after, str) else after
    step.check(context)
    found, result = apply_pass(first, step, context)
    if structure(found) != structure(wanted):
        raise AssertionError(f"the graph becomes another one\n{_difference(wanted, found)}")
    if result.modified != (structure(found) != structure(first)):
        changed = "is as it was" if result.modified else "is another one"
        raise AssertionError(f"the pass says modified={result.modified}, and the graph {changed}")
    _assert_same_results(first, found, Contract(result.contract, result.error or None), feeds)  # pyright: ignore[reportArgumentType]


def assert_case(variant: Variant, rules: RuleSource) -> None:
    """A case of a file of text cases holds: see `graphopt.testing.cases`. To be used with `pytest.mark.parametrize`
    over `variants_of(case)` of each of `read_cases(path)`.

    Raises:
        AssertionError: it does not.
    """
    chosen, case, first = rules_of(rules), variant.case, variant.model
    found = _rewritten(first, case.expected(variant.opset, variant.dtype), chosen)
    _assert_firings(found.count(case.rule), case.firings)
    if case.not_run is None:
        _assert_same_results(first, found.model, _contract(found, chosen), None)


def assert_parity(
    before: Graph,
    after: Graph,
    *,
    contract: Literal["exact", "real", "approx", "quant"] = "real",
    error: float | None = None,
    feeds: Iterable[Feed] | None = None,
    opset: int = 17,
) -> None:
    """Two models compute the same by a contract, in ONNX Runtime and in float64.

    Args:
        error: for `approx`, the relative error that is allowed.
        feeds: inputs; made from names, types and shapes if not given, two sets, of different sizes where dims are
            dynamic.

    Raises:
        AssertionError: they do not; says at which output, by how much, and how much is allowed.
    """
    _assert_same_results(_model(before, opset), _model(after, opset), Contract(contract, error), feeds)


def verify_rule(rules: RuleSource, *, instances: int = INSTANCES, seed: int = 0) -> list[Verdict]:
    """Put rules to the test as `graphopt rules verify` does, and return the verdicts.

    Raises:
        AssertionError: one of them is not proved and does not hold; says what is wrong.
    """
    verdicts = [verify_one(rule, instances=instances, seed=seed) for rule in rules_of(rules)]
    for verdict in verdicts:
        if not verdict.is_trusted:
            found = verdict.counterexample
            lines = [f"{verdict.place}: {verdict.kind}", *verdict.notes, *([found.note] if found is not None else [])]
            raise AssertionError("\n  ".join(lines))
    return verdicts


def _rewritten(before: onnx.ModelProto, wanted: onnx.ModelProto, rules: Sequence[tree.Rule]) -> Rewritten:
    found = rewrite(before, rules)
    if structure(found.model) != structure(wanted):
        stopped = [] if found.firings else [_stopped(rule, rules, before) for rule in rules]
        raise AssertionError("\n".join(["the graph becomes another one", *stopped, _difference(wanted, found.model)]))
    return found


def _assert_firings(found: int, wanted: int) -> None:
    if found != wanted:
        raise AssertionError(f"there are {found} firings, and not {wanted}")


def _model(graph: Graph, opset: int) -> onnx.ModelProto:
    return model_of(graph, opset) if isinstance(graph, str) else graph


def _contract(found: Rewritten, rules: Sequence[tree.Rule]) -> Contract:
    fired = {firing.rule for firing in found.firings}
    chosen = [rule for rule in rules if rule.place in fired]
    errors = [rule.error for rule in chosen if rule.error is not None]
    return Contract(loosest([rule.equal for rule in chosen]), max(errors, default=None))  # pyright: ignore[reportArgumentType]


def _assert_same_results(
    before: onnx.ModelProto, after: onnx.ModelProto, contract: Contract, feeds: Iterable[Feed] | None
) -> None:
    for feed in samples(before) if feeds is None else feeds:
        outcome = judge(before, after, feed, contract)
        if outcome.kind not in FOUND:
            at = f"output {outcome.output}: " if outcome.output else ""
            off = f", off by {outcome.error:.3g}, allowed {outcome.allowed:.3g}" if outcome.error else ""
            raise AssertionError(f"the results are not the same ({contract.equal}): {at}{outcome.note}{off}")


def _stopped(rule: tree.Rule, rules: Sequence[tree.Rule], model: onnx.ModelProto) -> str:
    """Where the best attempt of a rule ended."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    found = explain(rules, rule.name, from_proto(copy))
    if found.best is None:
        return f"{rule.place} does not fire: {found.reason or 'nothing here begins a match'}"
    label, stop = found.best
    return f"{rule.place} does not fire; farthest, at {label}: {stop}"


def _difference(wanted: onnx.ModelProto, found: onnx.ModelProto) -> str:
    lines = difflib.unified_diff(
        structure(wanted).splitlines(), structure(found).splitlines(), "expected", "found", lineterm="", n=100
    )
    return "\n".join(lines)
