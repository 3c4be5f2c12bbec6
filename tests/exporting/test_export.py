"""Modules exported with torch's real exporters, and run beside the files that come of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.checker
import onnxruntime
import pytest
import torch

from graphopt.errors import ExportError, GraphoptError, OutputError, ParityError, UsageError
from graphopt.exporting import Exportable, Exporter, ExportResult, export
from graphopt.exporting.job import export_exportable
from graphopt.graph import save as saving
from tests.exporting import nets

ROOT = Path(__file__).parents[2]


def given(made: Any) -> Exportable:
    """What a factory gives, in the long form."""
    return made if isinstance(made, Exportable) else Exportable(made[0], (made[1],))


def exported(made: Any, path: Path, exporter: Exporter = "dynamo", **options: Any) -> ExportResult:
    return export_exportable(given(made), path, exporter=exporter, cache=False, **options)


def run(path: Path, **inputs: np.ndarray[Any, Any]) -> list[Any]:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)


def refusal(error: type[GraphoptError], made: Any, path: Path, exporter: Exporter) -> str:
    with pytest.raises(error) as caught:
        exported(made, path, exporter)
    return str(caught.value)


class Case:
    """A module, its export, and where that lies."""

    def __init__(self, made: Any, path: Path, exporter: Exporter) -> None:
        self.given = given(made)
        self.path = path
        self.result = exported(made, path, exporter)
        self.model = onnx.load(path)


@pytest.fixture(scope="module", params=["dynamo", "legacy"])
def block(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(nets.block(), tmp_path_factory.mktemp("block") / "block.onnx", request.param)


@pytest.fixture(scope="module", params=["dynamo", "legacy"])
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(nets.many(), tmp_path_factory.mktemp("many") / "many.onnx", request.param)


def test_a_cnn_follows_its_batch(block: Case) -> None:
    assert block.result.inputs == ("picture: float32[batch,3,8,8]",)
    assert block.result.outputs == ("output: float32[batch,4]",)
    pictures = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = nets.block().module.eval()(pictures).numpy()
    (got,) = run(block.path, picture=pictures.numpy())
    # Two convolutions' worth of sums over 27 and 8 products, in float32: a few units of 2^-24 of the scale.
    np.testing.assert_allclose(got, wanted, rtol=0, atol=32 * 2.0**-24 * np.abs(wanted).max())


def test_the_module_is_left_as_it_was(block: Case) -> None:
    fresh, used = nets.block().module, block.given.module
    assert used.training
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), used.state_dict().values(), strict=True))
    assert "forward" not in vars(used)


def test_the_figures_tell_of_both_sizes(block: Case) -> None:
    comparison = block.result.comparison
    assert comparison["ok"]
    assert [shape["picture"][0] for shape in comparison["shapes"]] == [1, 2]
    (output,) = comparison["outputs"]
    assert output["name"] == "output"
    assert output["max_rel"] <= 32 * 2.0**-24  # as above
    assert output["cosine"] == pytest.approx(1)


def test_names_of_weights_and_modules_stay(block: Case) -> None:
    names = {tensor.name for tensor in block.model.graph.initializer}
    assert {"head.weight", "head.bias"} <= names
    if block.result.exporter == "dynamo":
        scopes = [p.value for n in block.model.graph.node for p in n.metadata_props if p.key == "namespace"]
        assert any("tests.exporting.nets.Block/head: torch.nn.modules.linear.Linear" in scope for scope in scopes)
    else:
        assert "/head/Gemm" in {node.name for node in block.model.graph.node}


def test_no_path_of_this_machine_is_in_the_file(block: Case) -> None:
    content = block.path.read_bytes()
    for place in (ROOT, Path(torch.__file__).parents[1], Path(np.__file__).parents[2], block.path.parent):
        assert str(place).encode() not in content
    assert b"stack_trace" not in content
    assert b".py" not in content


def test_the_same_module_gives_the_same_bytes(block: Case, tmp_path: Path) -> None:
    again = exported(nets.block(), tmp_path / "other_name.onnx", block.result.exporter)  # type: ignore[arg-type]
    assert again.path.read_bytes() == block.path.read_bytes()
    assert again.sha256 == block.result.sha256


def test_nested_inputs_and_outputs_keep_their_order_and_names(many: Case) -> None:
    assert many.result.inputs == (
        *("x: float32[2,3]", "state_right: float32[2]", "state_left: float32[1]", "unread: float32[5]"),
    )
    assert many.result.outputs == (
        *("output_0: float32[2,3]", "output_1_0: float32[2,3]", "output_1_1: float32[2]", "output_2: float32[2,3]"),
    )
    onnx.checker.check_model(many.model, full_check=True)
    x, left, right = np.full((2, 3), 5, np.float32), np.full(1, 7, np.float32), np.arange(2, dtype=np.float32)
    got = run(many.path, x=x, state_left=left, state_right=right, unread=np.zeros(5, np.float32))
    for array, wanted in zip(got, (x * 2 * 3, x + 7, right, x), strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_a_recurrent_module_is_exported_time_and_again(tmp_path: Path) -> None:
    """torch writes the example's length beside the output, and fixes it when a process exports a second time."""
    torch.manual_seed(0)
    gru, x = torch.nn.GRU(2, 3, batch_first=True), torch.randn(1, 4, 2)
    made = Exportable(gru, (x,), dynamic_shapes={"input": {1: "t"}})
    first, second = (exported(made, tmp_path / name) for name in ("a.onnx", "b.onnx"))
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert first.outputs == second.outputs == ("output_0: float32[1,t,3]", "output_1: float32[1,1,3]")
    declared = onnx.load(first.path).graph.output[0].type.tensor_type.shape.dim
    assert [(dim.dim_value, dim.dim_param) for dim in declared] == [(1, ""), (0, ""), (3, "")]
    graph = onnx.load(first.path).graph
    assert {info.name for info in graph.value_info} <= {tensor.name for tensor in graph.initializer}


def test_integers_and_truth_values_are_equal(tmp_path: Path) -> None:
    result = exported(nets.keyed(), tmp_path / "m.onnx")
    assert result.outputs == ("largest: int64[2]", "positive: bool[2,2]")
    assert all(output["bitwise"] for output in result.comparison["outputs"])


def test_a_module_that_writes_to_all_it_has(tmp_path: Path) -> None:
    module, example = nets.writer()
    result = exported((module, example), tmp_path / "m.onnx")
    assert result.comparison["ok"]
    assert torch.equal(example, torch.ones(2, 3))
    assert (module.calls, module.seen.tolist(), module.training) == (0, [0, 0, 0], True)


def test_the_legacy_exporter_takes_over_and_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = exported(nets.sign(), tmp_path / "m.onnx", "auto")
    line = next(n for n, text in enumerate(Path(nets.__file__).read_text().splitlines(), 1) if "x + x if" in text)
    assert result.exporter == "legacy"
    assert result.fallback is not None
    assert result.fallback.startswith("GuardOnDataDependentSymNode: Could not guard on data-dependent expression")
    assert result.fallback.endswith(f"(tests/exporting/nets.py:{line})")
    assert "\n" not in result.fallback
    assert result.warnings == (
        f"tests/exporting/nets.py:{line}: Converting a tensor to a Python boolean might cause the trace to be "
        "incorrect",
    )
    assert result.comparison["samples"] == 2  # the second: other values, since the trace is suspect
    assert capfd.readouterr() == ("", "")


def test_a_trace_that_is_right_on_the_example_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    text = refusal(ParityError, nets.fork(), path, "legacy")
    # What the figures are is for the tests of parity to say.
    assert text.startswith(
        "the exported model of Fork gives other outputs than the module\n"
        "  legacy: output 'output': the largest difference is "
    )
    assert text.endswith("on the example times -0.75)")
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert path.read_bytes() == b"before"


def test_a_batch_that_is_written_into_the_model_is_noticed(tmp_path: Path) -> None:
    assert refusal(ParityError, nets.baked(), tmp_path / "m.onnx", "legacy") == (
        "the exported model of Baked gives other outputs than the module\n"
        "  legacy: output 'output': shape [3, 12] became [2, 18], on batch = 3\n"
        "  help: with fewer dynamic axes there is less for an exporter to get wrong"
    )
    text = refusal(ExportError, nets.baked(), tmp_path / "m.onnx", "dynamo")
    assert text.startswith("Baked could not be exported\n  dynamo: ")
    assert "dimension inputs['x'].shape[0]" in text
    assert list(tmp_path.iterdir()) == []


def test_what_exporters_said_is_told_where_both_fail(tmp_path: Path) -> None:
    class Spectrum(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(x)

    with pytest.raises(ExportError) as caught:
        exported((Spectrum(), torch.eye(3)), tmp_path / "m.onnx", "auto")
    assert caught.value.message.splitlines()[0] == "Spectrum could not be exported"
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()[1:]] == ["  dynamo", "  legacy"]
    assert "Torch IR graph at exception" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize(("exporter", "opset"), [("dynamo", 18), ("legacy", 13)])
def test_the_opset_is_the_one_asked_for(tmp_path: Path, exporter: Exporter, opset: int) -> None:
    model, example = nets.add()
    result = export(model, (example,), tmp_path / "m.onnx", opset=opset, exporter=exporter, cache=False)
    assert result.opset == opset
    assert [(o.domain, o.version) for o in onnx.load(tmp_path / "m.onnx").opset_import] == [("", opset)]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"opset": 6}, f"opset 6 cannot be exported\n  help: choose one from 7 to {onnx.defs.onnx_opset_version()}"),
        ({"exporter": "fx"}, "there is no exporter 'fx'\n  help: choose auto, dynamo, legacy"),
        ({"dynamic_shapes": {"y": {0: "n"}}}, "dynamic shapes name 'y', which is no input\n  help: the inputs are x"),
    ],
)
def test_options_that_cannot_be_meant(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    model, example = nets.add()
    with pytest.raises(UsageError) as caught:
        export(model, (example,), tmp_path / "m.onnx", **options)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (lambda folder: folder, "cannot write {}: it is a folder\n  help: name the file to write, such as model.onnx"),
        (
            lambda folder: folder / "none" / "m.onnx",
            "cannot write {0}: there is no folder {0.parent}\n  help: make it, or name another",
        ),
        (lambda folder: Path("/proc/m.onnx"), "cannot write {}: No such file or directory"),
    ],
)
def test_outputs_that_cannot_be_written(tmp_path: Path, place: Callable[[Path], Path], text: str) -> None:
    path = place(tmp_path)
    with pytest.raises(OutputError) as caught:
        exported(nets.add(), path)
    assert str(caught.value) == text.format(path)


def test_an_export_is_made_once(tmp_path: Path) -> None:
    def add(name: str, amount: float = 1.0) -> ExportResult:
        module = nets.Add(amount)
        return export(module, (torch.ones(2),), tmp_path / name, exporter="legacy", cache_dir=tmp_path / "cache")

    first, second, other = add("a.onnx"), add("b.onnx"), add("c.onnx", 2.0)
    assert [r.cached for r in (first, second, other)] == [False, True, False]
    assert first.key == second.key != other.key
    assert first.sha256 == second.sha256 != other.sha256
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    same = ("exporter", "fallback", "opset", "inputs", "outputs", "comparison", "warnings")
    assert all(getattr(first, name) == getattr(second, name) for name in same)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "b.onnx", "c.onnx", "cache"]


def test_a_damaged_entry_is_replaced(tmp_path: Path) -> None:
    def add() -> ExportResult:
        return export(*nets_add(), tmp_path / "m.onnx", exporter="legacy", cache_dir=tmp_path)

    first = add()
    kept = tmp_path / "exports" / str(first.key) / "model.onnx"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    second, third = add(), add()
    assert (second.cached, third.cached, third.cache_note) == (False, True, None)
    assert second.cache_note == (
        f"a damaged entry was replaced: model.onnx of {first.key} has other content than was written"
    )
    assert (tmp_path / "m.onnx").read_bytes() == kept.read_bytes() == whole


def nets_add() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    module, example = nets.add()
    return module, (example,)


def test_without_a_cache_or_a_key_an_export_is_made_all_the_same(tmp_path: Path) -> None:
    module, args = nets_add()
    (tmp_path / "file").write_text("")
    result = export(module, args, tmp_path / "m.onnx", exporter="legacy", cache_dir=tmp_path / "file")
    assert (result.cached, result.cache_note) == (False, "not kept: the cache cannot be written: Not a directory")
    module.source = iter([1])  # type: ignore[assignment]
    result = export(module, args, tmp_path / "m.onnx", exporter="legacy", cache_dir=tmp_path)
    assert result.key is None
    assert result.cache_note == "not kept: Add.source is of type list_iterator, whose content cannot be told"


def test_large_weights_lie_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the name that goes with the model's, out of the cache too."""
    monkeypatch.setattr(saving, "PROTOBUF_LIMIT", 4096)
    linear, x = torch.nn.Linear(64, 64), torch.ones(1, 64)
    for name, cached in (("a.onnx", False), ("b.onnx", True)):
        result = export(linear, (x,), tmp_path / name, exporter="legacy", cache_dir=tmp_path / "cache")
        assert result.cached is cached
        (got,) = run(tmp_path / name, input=x.numpy())
        # 64 products summed in float32, either way: at most 64 units of 2^-24 of the scale each.
        np.testing.assert_allclose(got, linear(x).detach().numpy(), rtol=0, atol=128 * 2.0**-24)
        weights = onnx.load(tmp_path / name, load_external_data=False).graph.initializer
        places = [entry.value for tensor in weights for entry in tensor.external_data if entry.key == "location"]
        assert places == [f"{name}.data"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data", "b.onnx", "b.onnx.data", "cache"]
