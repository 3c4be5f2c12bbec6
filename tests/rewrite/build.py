"""Rules and graphs from text, applied to each other under every check."""

from __future__ import annotations

from graphopt.lang import tree
from graphopt.lang.check import check
from graphopt.lang.parse import parse
from graphopt.testing.cases import model_of
from graphopt.testing.rewriting import Rewritten, rewrite
from graphopt.testing.structure import structure
from graphopt.testing.weights import samples
from tests.rules.oracle import assert_same_results


def rule_text(
    match: str, rewrite: str, where: str = "", order: str = "shrink", head: str = "tested", opset: str = ""
) -> str:
    """A rule from its sections; several statements are separated by line ends."""
    clauses = [f"order {order}", f"opset {opset}" if opset else ""]
    sections = [f"match:\n{match}", f"where:\n{where}" if where else "", f"rewrite:\n{rewrite}"]
    return "\n".join([f"rule {head}:", '"A rule of a test."', *filter(None, [*clauses, *sections]), ""])


def rules_of(text: str, *, checked: bool = True) -> tuple[tree.Rule, ...]:
    """The rules of a text; some that the check would refuse show what the engine does about them all the same."""
    file = parse(text, "test.rules")
    if checked:
        check([file])
    return file.rules


def rewritten(rules: str, graph: str, opset: int = 17, *, checked: bool = True) -> Rewritten:
    """Apply rules to a graph, both as text, whatever they do to the numbers."""
    return rewrite(model_of(graph, opset), rules_of(rules, checked=checked))


def apply(rules: str, graph: str, opset: int = 17) -> Rewritten:
    """Apply rules to a graph, both as text, and check that the numbers stay."""
    before = model_of(graph, opset)
    after = rewrite(before, rules_of(rules))
    assert_same_results(before, after.model, samples(before), "real")
    return after


def shown(after: Rewritten) -> str:
    """The structure of the result."""
    return structure(after.model)


def expected(graph: str, opset: int = 17) -> str:
    """The structure of a graph in text; a name that nothing defines is a constant."""
    return structure(model_of(graph, opset, complete=False))
