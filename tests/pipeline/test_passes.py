"""Passes of others: registered, installed, failing, and lying."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx.parser
import pytest

import graphopt
from graphopt.errors import ModelError, ParityError, RecipeError, RewriteError
from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Node
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.tensor import Tensor
from graphopt.passes.fold_constants import FoldConstants
from graphopt.passes.remove_dead_code import RemoveDeadCode
from graphopt.pipeline.fingerprint import Fingerprint
from graphopt.pipeline.passes import PASSES, Context, Pass, PassResult, find_pass, register
from tests.pipeline.command import EARLIER, SMALL, contents, environment, save, write
from tests.pipeline.command import graphopt as command
from tests.pipeline.plugin import install


@dataclass(frozen=True)
class Given(Pass):
    """Does what it was given to do."""

    name: ClassVar[str] = "given"
    act: Any = None

    def apply(self, model: Model, context: Context) -> PassResult:
        return self.act(model)


def rename(model: Model) -> None:
    next(iter(model.graph.nodes)).name = "renamed"


def negate(model: Model) -> None:
    """What the last node, a Relu, was made of becomes what is given out: wrong wherever that is below zero."""
    node = next(n for n in model.graph.nodes if n.op_type == "Relu")
    node.op_type = "Neg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(SMALL, tmp_path / "source.onnx")
    write(tmp_path / "out", EARLIER)
    return tmp_path


def run(folder: Path, act: Any, **options: Any) -> Any:
    return graphopt.compile(folder / "source.onnx", folder / "out", recipe=[Given(act)], **options)


def assert_error(folder: Path, act: Any, error_type: type[Exception], message: str, **options: Any) -> None:
    before = contents(folder)
    with pytest.raises(error_type) as error:
        run(folder, act, **options)
    assert str(error.value) == message
    assert contents(folder) == before


def change(what: Any) -> Any:
    def act(model: Model) -> PassResult:
        what(model)
        return PassResult(True)

    return act


def test_passes_given_in_python_run_once(folder: Path) -> None:
    result = run(folder, change(rename))
    assert [(p.name, p.modified, p.contract) for p in result.passes] == [("given", True, "exact")]
    assert onnx.load(folder / "out" / "model.onnx").graph.node[0].name == "renamed"


LEAVE_OUT = "\n  help: leave the pass out, and tell its author"


def test_a_pass_that_denies_a_change(folder: Path) -> None:
    def act(model: Model) -> PassResult:
        rename(model)
        return PassResult(False)

    message = f"the pass given changed the graph, and says that it did not{LEAVE_OUT}"
    assert_error(folder, act, RewriteError, message)
    assert_error(folder, act, RewriteError, message, check="end")
    run(folder, act, check="none")


def test_a_pass_that_claims_a_change(folder: Path) -> None:
    message = f"the pass given says that it changed the graph, and changed nothing{LEAVE_OUT}"
    assert_error(folder, lambda model: PassResult(True), RewriteError, message)
    run(folder, lambda model: PassResult(True), check="none")


def test_a_pass_that_makes_the_same_again_changes_nothing(folder: Path) -> None:
    """New objects, equal in all: nodes, attributes and the data of weights."""

    def act(model: Model) -> PassResult:
        for node in list(model.graph.nodes):
            model.graph.remove_node(node)
            again = Node(node.op_type, node.inputs, node.outputs, dict(node.attributes), name=node.name)
            model.graph.add_node(again, node.order)
        weight = next(iter(model.graph.initializers))
        assert weight.initializer is not None
        weight.initializer = weight.constant = Tensor.of(weight.initializer.numpy().copy())
        return PassResult(True)

    assert_error(
        folder,
        act,
        RewriteError,
        f"the pass given says that it changed the graph, and changed nothing{LEAVE_OUT}",
    )


def test_a_pass_that_finds_out_types_alone_may_say_either(folder: Path) -> None:
    for says in (True, False):

        def act(model: Model, says: bool = says) -> PassResult:
            for node in model.graph.nodes:
                assert node.outputs[0] is not None
                node.outputs[0].shape = None
            return PassResult(says)

        run(folder, act)


def exchanged_weight(model: Model) -> None:
    value = next(iter(model.graph.initializers))
    value.initializer = value.constant = Tensor.of(np.float32([1, 2, 4]))


def other_attribute(model: Model) -> None:
    node = next(iter(model.graph.nodes))
    node.attributes["alpha"] = Attribute.of("alpha", 0.5)


def other_output(model: Model) -> None:
    model.graph.set_output(0, next(iter(model.graph.nodes)).outputs[0])


def other_opset(model: Model) -> None:
    model.opsets[""] = 18


def other_metadata(model: Model) -> None:
    next(iter(model.graph.nodes)).metadata["key"] = "value"


def other_header(model: Model) -> None:
    model.header.producer_name = "somebody else"


CHANGES = [rename, negate, exchanged_weight, other_attribute, other_output, other_opset, other_metadata, other_header]


@pytest.mark.parametrize("what", CHANGES, ids=lambda c: c.__name__)
def test_every_kind_of_change_is_seen(what: Any) -> None:
    model = from_proto(onnx.parser.parse_model(SMALL))
    before = Fingerprint(model)
    assert before.same_graph(Fingerprint(model))
    what(model)
    assert not before.same_graph(Fingerprint(model))


def test_changes_in_bodies_are_seen() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    main (float[2] x, bool c) => (float[2] y) {
        y = If(c) <
            then_branch = yes () => (float[2] p) <float[2] w = {1, 2}> { p = Add(x, w) },
            else_branch = no () => (float[2] p) { p = Neg(x) }
        >
    }"""
    model = from_proto(onnx.parser.parse_model(text))
    before = Fingerprint(model)
    inner = next(n for n in model.all_nodes() if n.op_type == "Neg")
    inner.op_type = "Abs"
    assert not before.same_graph(Fingerprint(model))
    inner.op_type = "Neg"
    assert before.same_graph(Fingerprint(model))
    body = next(g for g in model.all_graphs() if g.initializers)
    exchanged_weight_of = next(iter(body.initializers))
    exchanged_weight_of.initializer = Tensor.of(np.float32([1, 3]))
    assert not before.same_graph(Fingerprint(model))


def test_a_pass_that_is_wrong_is_named_and_nothing_is_written(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(ParityError) as error:
        run(folder, change(negate))
    first, second, *_ = str(error.value).splitlines()
    assert first == "the model after the pass given is not equal to the original within the contract exact"
    assert second.startswith("  output 'y': ")
    assert str(error.value).endswith(
        "\n  help: nothing was written; --on-parity-failure rollback undoes this one change, leave out the pass given"
    )
    assert contents(folder) == before


def test_at_the_end_it_is_the_written_model_that_is_wrong(folder: Path) -> None:
    with pytest.raises(ParityError, match=r"^the model as written is not equal to the original"):
        run(folder, change(negate), check="end")


def test_a_pass_that_fails(folder: Path) -> None:
    def act(model: Model) -> PassResult:
        raise KeyError("w")

    line = act.__code__.co_firstlineno + 1
    assert_error(folder, act, RewriteError, f"the pass given failed: KeyError: 'w'\n  at: {__file__}:{line}{LEAVE_OUT}")


def test_a_pass_that_fails_inside_a_library_is_shown_where_it_called_it(folder: Path) -> None:
    def act(model: Model) -> PassResult:
        return PassResult(bool(np.zeros(3).reshape(2, 2).any()))

    line = act.__code__.co_firstlineno + 1
    assert_error(
        folder,
        act,
        RewriteError,
        "the pass given failed: ValueError: cannot reshape array of size 3 into shape (2,2)\n"
        f"  at: {__file__}:{line}{LEAVE_OUT}",
    )


def test_a_pass_that_says_what_is_wrong_is_taken_at_its_word(folder: Path) -> None:
    def act(model: Model) -> PassResult:
        raise ModelError("no such layer", where="here")

    assert_error(folder, act, ModelError, "no such layer\n  at: here")


def test_a_pass_that_gives_nothing_back(folder: Path) -> None:
    message = f"the pass given gave back None, which is no PassResult{LEAVE_OUT}"
    assert_error(folder, lambda model: None, RewriteError, message)


def test_details_that_no_report_can_hold(folder: Path) -> None:
    message = f"the details of the pass given are no JSON: Object of type int64 is not JSON serializable{LEAVE_OUT}"
    assert_error(folder, lambda model: PassResult(False, details={"n": np.int64(3)}), RewriteError, message)


def test_a_contract_of_no_kind() -> None:
    with pytest.raises(
        ValueError, match=r"^there is no contract 'close'; the contracts are exact, real, approx, quant$"
    ):
        PassResult(True, "close")


def test_contracts_add_up_to_the_loosest(folder: Path) -> None:
    """A pass that promises only what rounding leaves is judged by that, and so is all that follows."""

    def act(model: Model) -> PassResult:
        value = next(iter(model.graph.initializers))
        value.initializer = value.constant = Tensor.of(np.float32([1, 2, 3.0000002]))
        return PassResult(True, "real")

    result = graphopt.compile(
        folder / "source.onnx", folder / "out", recipe=[Given(act), Given(change(rename)), RemoveDeadCode()]
    )
    assert [p.contract for p in result.passes] == ["real", "exact", "exact"]
    assert result.parity is not None
    assert str(result.parity.contract) == "real"
    with pytest.raises(ParityError, match="within the contract exact"):
        run(folder, lambda model: PassResult(act(model).modified))


def test_register_makes_a_pass_known() -> None:
    assert register(Given) is Given
    assert find_pass("given") is Given
    assert register(Given) is Given  # once more is no other


def test_register_refuses_a_name_that_is_taken_or_missing() -> None:
    class Mine(Given):
        name: ClassVar[str] = "fold-constants"

    class Nameless(Given):
        name: ClassVar[str] = ""

    for pass_type in (Mine, Nameless):
        with pytest.raises(RecipeError) as error:
            register(pass_type)
        assert str(error.value) == (f"the pass {pass_type.__name__} needs a name of its own, not {pass_type.name!r}")
    assert find_pass("fold-constants") is FoldConstants


SHIPPED = (
    "apply-rules",
    "calibrate",
    "compare-outputs",
    "convert-opset",
    "eliminate-common-subexpressions",
    "fold-constants",
    "inline-bodies",
    "inline-branches",
    "inline-functions",
    "lower-operators",
    "lower-precision",
    "refine-weights",
    "remove-dead-code",
    "unpack-sequences",
    "widen-types",
)


def test_the_file_of_a_pass_has_its_name() -> None:
    for name in SHIPPED:
        assert find_pass(name).__module__ == f"graphopt.passes.{name.replace('-', '_')}"
        assert find_pass(name).name == name
    assert set(SHIPPED) <= set(PASSES)


THIRD_PARTY = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult


@dataclass(frozen=True)
class Rename(Pass):
    """Give every node a name that begins alike."""

    name: ClassVar[str] = "rename-nodes"
    prefix: str = "node"

    def apply(self, model: Model, context: Context) -> PassResult:
        changed = False
        for number, node in enumerate(model.all_nodes()):
            name = f"{self.prefix}{number}"
            changed |= node.name != name
            node.name = name
        return PassResult(changed, details={"prefix": self.prefix})
'''

RULES = """
opset >= 7
phase simplify

rule abs_of_relu:
    "What Relu made is no less than zero."
    equal exact
    priority 1
    match:
        a = Relu(x)
        y = Abs(a)
    rewrite:
        y = Relu(x)
"""

RECIPE = """
rounds = 3

[[pass]]
use = "apply-rules"
phases = ["simplify"]

[[pass]]
use = "rename-nodes"
prefix = "n"
"""

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
main (float[n,3] x) => (float[n,3] y) {
    a = Relu(x)
    y = Abs(a)
}"""


def test_an_installed_package_adds_passes_and_rules(tmp_path: Path) -> None:
    """Nothing but metadata on the path: found by its entry points, in a process of its own."""
    points = {"graphopt.passes": {"rename-nodes": "thirdparty:Rename"}, "graphopt.rules": {"third": "thirdparty"}}
    site = install(tmp_path / "site", "thirdparty", THIRD_PARTY, points)
    (site / "thirdparty" / "more").mkdir()
    (site / "thirdparty" / "more" / "abs.rules").write_text(RULES)
    save(MODEL, tmp_path / "model.onnx")
    (tmp_path / "r.toml").write_text(RECIPE)
    arguments = ["compile", "model.onnx", "-o", "out", "--recipe", "r.toml", "--allow-unproved"]
    ended = command(*arguments, folder=tmp_path, env=environment([site]))
    assert (ended.code, ended.err) == (0, "")
    assert "abs_of_relu@third/more/abs.rules:5" in ended.out
    after = onnx.load(tmp_path / "out" / "model.onnx")
    assert [(n.op_type, n.name) for n in after.graph.node] == [("Relu", "n0")]


BROKEN = {
    "a module that is not there": (
        "gone:Rename",
        "the pass 'broken' cannot be loaded: No module named 'gone'\n  at: entry point gone:Rename",
    ),
    "a module that fails": (
        "failing:Rename",
        "the pass 'broken' cannot be loaded: division by zero\n  at: entry point failing:Rename",
    ),
    "no pass": (
        "harmless:VALUE",
        "what is offered as the pass 'broken' is none of that name\n  at: entry point harmless:VALUE",
    ),
    "a pass of another name": (
        "harmless:Other",
        "what is offered as the pass 'broken' is none of that name\n  at: entry point harmless:Other",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_installed_package_that_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    target, message = BROKEN[case]
    site = install(tmp_path, "offering", "", {"graphopt.passes": {"broken": target}})
    install(site, "failing", "1 / 0", {})
    install(site, "harmless", "from graphopt import Pass\nVALUE = 3\nclass Other(Pass):\n    name = 'other'\n", {})
    monkeypatch.syspath_prepend(site)
    with pytest.raises(RecipeError) as error:
        find_pass("broken")
    assert str(error.value) == f"{message}\n  help: update or uninstall offering"
    for module in ("failing", "harmless"):
        sys.modules.pop(module, None)


def test_a_package_cannot_take_the_name_of_a_pass_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(
        install(tmp_path, "offering", "", {"graphopt.passes": {"fold-constants": "offering:x"}})
    )
    assert find_pass("fold-constants") is FoldConstants
