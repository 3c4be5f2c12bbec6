"""The laws for rule authors: each wrong rule passes every check and breaks its graph, and each right one does not."""

from __future__ import annotations

import onnx
import pytest

from graphopt.errors import RewriteError
from graphopt.lang import tree
from graphopt.lang.check import check
from graphopt.lang.parse import parse
from graphopt.testing.cases import model_of
from graphopt.testing.rewriting import rewrite
from graphopt.testing.weights import samples
from tests.lang.documents import ROOT, Block, blocks_of
from tests.rules.oracle import assert_same_results

PATH = "rules/README.md"
BLOCKS = blocks_of(PATH)
LAWS = list(zip(BLOCKS[0::3], BLOCKS[1::3], BLOCKS[2::3], strict=True))


def rules_of(block: Block) -> tuple[tree.Rule, ...]:
    file = parse(block.text, f"law {block}")
    check([file])
    return file.rules


def keeps_the_numbers(model: onnx.ModelProto, rules: tuple[tree.Rule, ...]) -> bool:
    """Whether the rules come to an end and leave a model that computes the same."""
    try:
        after = rewrite(model, rules)
    except RewriteError as error:
        return "have not come to an end" not in str(error)
    assert after.firings or rules == ()
    try:
        assert_same_results(model, after.model, samples(model), "real")
    except AssertionError:
        return False
    return True


def test_there_are_at_most_seven_laws_of_three_blocks():
    titles = [line for line in (ROOT / PATH).read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert len(titles) == len(LAWS) <= 7
    assert [title.split(".")[0] for title in titles] == [f"## {i + 1}" for i in range(len(LAWS))]
    assert [tuple(b.info for b in law) for law in LAWS] == [("rules wrong", "graph", "rules")] * len(LAWS)


@pytest.mark.parametrize(("wrong", "graph", "right"), LAWS, ids=[f"law {i + 1}" for i in range(len(LAWS))])
def test_the_wrong_rule_breaks_the_graph_and_the_right_one_does_not(wrong: Block, graph: Block, right: Block):
    model = model_of(graph.text.strip())
    assert not keeps_the_numbers(model, rules_of(wrong))
    after = rewrite(model, rules_of(right))
    assert_same_results(model, after.model, samples(model), "real")
