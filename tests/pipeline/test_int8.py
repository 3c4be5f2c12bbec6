"""The recipe int8: ranges, codes where the target wants them, and what it asks of the user."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from graphopt.cli import run
from graphopt.data.sample import Sample
from graphopt.errors import DataError, RecipeError
from graphopt.graph.load import load
from graphopt.graph.model import Model
from graphopt.graph.save import to_proto
from graphopt.pipeline.calibration import Calibration
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe, make_pass
from graphopt.rewrite.library import common_target, load_rules
from tests.pipeline.command import here, save

NETWORK = """<ir_version: 8, opset_import: ["" : 12]>
network (float[n,3,8,8] x) => (float[n,16,8,8] y)
<float[16,3,3,3] w, float[16] b, float[16,16,3,3] v, float[16,16,1,1] u> {
    a = Conv <pads = [1, 1, 1, 1]> (x, w, b)
    r = Relu (a)
    c = Conv <pads = [1, 1, 1, 1]> (r, v)
    d = Conv (r, u)
    s = Relu (c)
    e = Conv (s, u)
    z = Add (e, d)
    y = Relu (z)
}"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return save(_weighted(NETWORK), tmp_path / "network.onnx")


def _weighted(text: str) -> onnx.ModelProto:
    """The model with weights from one seed in place of those that it declares."""
    proto = onnx.parser.parse_model(text)
    random = np.random.default_rng(1)
    for number, tensor in enumerate(proto.graph.initializer):
        made = random.standard_normal(tuple(tensor.dims)).astype(np.float32) / 4
        proto.graph.initializer[number].CopyFrom(numpy_helper.from_array(made, tensor.name))
    for info in list(proto.graph.value_info):
        if info.name in ("w", "b", "v", "u"):
            shape = tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
            made = random.standard_normal(shape).astype(np.float32) / 4
            proto.graph.initializer.append(numpy_helper.from_array(made, info.name))
            proto.graph.value_info.remove(info)
    return proto


def _samples(count: int = 4) -> list[Sample]:
    random = np.random.default_rng(2)
    arrays = [random.standard_normal((1, 3, 8, 8)).astype(np.float32) for _ in range(count)]
    return [Sample(f"sample {i}", {"x": array}) for i, array in enumerate(arrays)]


def _compiled(path: Path, target: str, calibration: Calibration | None = None) -> Model:
    """By the recipe int8, as far as it places pairs: what is refined then is tested in tests/quantization."""
    model = load(path)
    recipe = Recipe.load("int8")
    recipe = replace(recipe, passes=tuple(step for step in recipe.passes if step.name != "refine-weights"))
    calibration = calibration or Calibration(_samples())
    context = Context(load_rules(), target=common_target([target]), calibration=calibration)
    Manager(model, context, None, "none").run(recipe)
    return model


def _run(model: onnx.ModelProto, sample: Sample) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, sample.arrays)[0]


def test_a_network_for_tensorrt(network: Path) -> None:
    model = _compiled(network, "tensorrt-rtx")
    made = {n.op_type: [] for n in model.all_nodes()}
    for node in model.all_nodes():
        made[node.op_type].append(node)
    assert {name: len(nodes) for name, nodes in made.items()} == {
        "QuantizeLinear": 4,  # of x, r, s, and d, which goes around
        "DequantizeLinear": 7,  # and of the weights w, v, and u, for both that read it
        "Conv": 4,
        "Relu": 3,
        "Add": 1,
    }
    assert model.opset == 13
    assert [v.name for v in made["QuantizeLinear"][0].inputs[:1] if v is not None] == ["x"]
    sources = {n.inputs[0].name: n.outputs[0].name for n in made["QuantizeLinear"] if n.inputs[0] and n.outputs[0]}
    assert sources == {"x": "x.quantized", "r": "r.quantized", "s": "s.quantized", "d": "d.quantized"}
    for conv in made["Conv"]:
        activation, weight, *bias = conv.inputs
        assert activation is not None
        assert activation.name.endswith(".dequantized")
        assert weight is not None
        assert weight.producer is not None
        codes, scales, zeros = weight.producer.inputs
        assert codes is not None
        assert scales is not None
        assert zeros is not None
        assert (codes.constant.numpy().dtype, scales.shape) == (np.int8, codes.shape[:1])
        assert not zeros.constant.numpy().any()
        assert all(b is None or b.dtype.name == "float32" for b in bias)


def test_it_computes_nearly_the_same(network: Path) -> None:
    before, after = onnx.load(network), to_proto(_compiled(network, "tensorrt-rtx"))
    for sample in _samples():
        wanted, found = _run(before, sample).astype(np.float64), _run(after, sample).astype(np.float64)
        noise = np.square(wanted - found).sum() / np.square(wanted).sum()
        # three layers deep, each of two operands with a noise of about a 127th / sqrt(12) of their largest value, which
        # is 4 to 5 root mean squares: 2 * 3 * (4.5 / 127)^2 / 12 = 6e-4 of the power; four times as much is allowed
        assert noise < 2.4e-3


def test_the_same_bytes_again(network: Path) -> None:
    first, second = (to_proto(_compiled(network, "tensorrt-rtx")) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_nothing_to_calibrate_with(network: Path, tmp_path: Path) -> None:
    done = here("compile", str(network), "-o", "out", "--recipe", "int8", folder=tmp_path)
    assert done.code == 2
    assert done.err == (
        "error: the recipe quantizes, and there is nothing to calibrate with\n"
        "  at: recipe int8, pass 3, calibrate\n"
        "  help: give samples of real inputs with --data, or statistics of an earlier run with --stats; "
        "--synthetic-calibration makes inputs up, and the result is as good as they are\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_method_that_is_not_there(network: Path, tmp_path: Path) -> None:
    command = ["compile", str(network), "-o", "out", "--recipe", "int8", "--synthetic-calibration"]
    done = here(*command, "--calibrate", "entropie", folder=tmp_path)
    assert done.code == 2
    assert done.err == "error: there is no method 'entropie' to calibrate by\n  help: did you mean 'entropy'?\n"


def test_made_up_inputs_are_warned_of(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["compile", str(network), "-o", str(out), "--recipe", "int8", "--synthetic-calibration"]
    assert run(command) == 0
    text = "the ranges come from inputs that were made up: this model is for trials alone; calibrate on real inputs "
    assert text + "with --data" in " ".join(capsys.readouterr().out.split())
    assert json.loads((out / "report.json").read_text())["warnings"] == [text + "with --data"]


def test_statistics_are_kept_and_used_again(network: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.npz"
    first = _compiled(network, "tensorrt-rtx", Calibration(_samples(), stats=stats))
    second = _compiled(network, "tensorrt-rtx", Calibration(None, stats=stats))
    assert to_proto(first).SerializeToString(deterministic=True) == to_proto(second).SerializeToString(
        deterministic=True
    )


def test_statistics_of_another_graph(network: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.npz"
    _compiled(network, "tensorrt-rtx", Calibration(_samples(), stats=stats))
    other = save(_weighted(NETWORK.replace("y = Relu (z)", "y = Sigmoid (z)")), tmp_path / "other.onnx")
    with pytest.raises(DataError) as caught:
        _compiled(other, "tensorrt-rtx", Calibration(None, stats=stats))
    assert str(caught.value) == (
        f"the statistics in {stats} are of another graph\n"
        "  help: collect them anew: take the file away, and give samples with --data"
    )


def _kept(path: Path, *keep: str) -> Model:
    model = load(path)
    context = Context(load_rules(), target=common_target(["tensorrt-rtx"]), calibration=Calibration(_samples()))
    steps = [{"use": "convert-opset", "opset": 13}, {"use": "calibrate"}]
    steps.append({"use": "apply-rules", "phases": ["quantize"], "keep": list(keep)})
    recipe = Recipe("mixed", "", tuple(make_pass(step, "test") for step in steps))
    Manager(model, context, None, "none").run(recipe)
    return model


def _in_codes(model: Model) -> list[str]:
    """The outputs of Convs that read codes."""
    convs = [n for n in model.all_nodes() if n.op_type == "Conv"]
    return [n.outputs[0].name for n in convs if n.inputs[0].name.endswith(".dequantized")]


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("name:Conv(?)", []),
        ("name:Conv([ce])", ["a", "d"]),
        ("operator:Conv", []),
        ("depth:0..0", ["c", "d", "e"]),
        ("depth:-1..-1", ["a", "c", "d"]),
        ("depth:1..2", ["a", "e"]),
        ("pattern:conv_qdq", []),
    ],
)
def test_nodes_that_a_recipe_keeps(network: Path, keep: str, left: list[str]) -> None:
    assert _in_codes(_kept(network, keep)) == left


@pytest.mark.parametrize("keep", ["name:head/*", "operator:Gemm", "depth:9..12", "pattern:gemm_qdq"])
def test_a_selector_that_matches_nothing(network: Path, keep: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _kept(network, "operator:Conv", keep)
    assert str(caught.value) == (
        f"the selector '{keep}' matches no node of the model\n"
        "  help: write name:GLOB, operator:OPERATOR, depth:FIRST..LAST or pattern:RULE"
    )


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (
            "Conv",
            "'Conv' selects no nodes\n  help: write name:GLOB, operator:OPERATOR, depth:FIRST..LAST or pattern:RULE",
        ),
        ("names:x", "'names:x' selects no nodes\n  help: did you mean 'name'?"),
        ("depth:2", "'depth:2' selects no nodes\n  help: write depth:0..2, or depth:-1..-1 for the last"),
        ("pattern:conv_qdp", "there is no rule 'conv_qdp' to select nodes by\n  help: did you mean 'conv_qdq'?"),
    ],
)
def test_a_selector_that_is_none(network: Path, keep: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _kept(network, keep)
    first, _, rest = message.partition("\n")
    assert str(caught.value) == f"{first}\n  at: recipe mixed, pass 3, apply-rules\n{rest}"


def test_two_targets_that_want_codes_at_different_places(network: Path, tmp_path: Path) -> None:
    targets = ["--target", "onnxruntime", "--target", "tensorrt-rtx"]
    command = ["compile", str(network), "-o", "out", "--recipe", "int8", "--synthetic-calibration", *targets]
    done = here(*command, folder=tmp_path)
    assert done.code == 2
    assert done.err == (
        "error: the recipe quantizes, and it is not known where the target wants its codes\n"
        "  at: recipe int8, pass 4, apply-rules\n"
        "  help: compile for one target at a time: onnxruntime, tensorrt-rtx or tensorrt\n"
    )
