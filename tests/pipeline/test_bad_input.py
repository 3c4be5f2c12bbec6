"""Bad input on the real command line: one clear error, the documented exit code, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper

from tests.pipeline.command import EARLIER, SMALL, Ended, contents, graphopt, here, save, write

Run = Callable[..., Ended]

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

AGAIN = "  help: a model is a binary protobuf file, whole; export or download it again\n"


def changed(change: Callable[[onnx.ModelProto], None]) -> bytes:
    model = onnx.parser.parse_model(SMALL)
    change(model)
    return model.SerializeToString()


def weight_outside(location: str) -> bytes:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1024], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1024]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString()


def in_a_circle() -> bytes:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], name="first"),
        helper.make_node("Neg", ["a"], ["b"], name="second"),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy")
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y]), ir_version=8, opset_imports=opsets
    ).SerializeToString()


def text(model: str) -> bytes:
    return onnx.parser.parse_model(f"{HEAD} {model}").SerializeToString()


def newest(domain: str) -> int:
    from onnx import defs

    return defs.onnx_opset_version() if not domain else defs.onnx_ml_opset_version()


WHOLE = changed(lambda _: None)

MODELS: dict[str, tuple[bytes, str]] = {
    "cut in the middle": (
        WHOLE[: len(WHOLE) // 2],
        f"error: bad.onnx is not an ONNX model, or is cut short\n{AGAIN}",
    ),
    "cut by one byte": (WHOLE[:-1], f"error: bad.onnx is not an ONNX model, or is cut short\n{AGAIN}"),
    "a text": (b"# a text\nand no model\n", f"error: bad.onnx is not an ONNX model, or is cut short\n{AGAIN}"),
    "empty": (b"", "error: bad.onnx is empty\n  help: export or download the model again\n"),
    "shapes that contradict": (
        text("m (float[2,3] x) => (float[2,4] y) <float[4] w = {1, 2, 3, 4}> { y = Add(x, w) }"),
        "error: bad.onnx contradicts itself: (op_type:Add): Incompatible dimensions\n"
        "  help: ONNX Runtime refuses it too; export the model again\n",
    ),
    "no data file": (
        weight_outside("gone.bin"),
        "error: the data file 'gone.bin' of weight 'w' is missing\n  help: put it into {folder}\n",
    ),
    "data above the folder": (
        weight_outside("../secret.bin"),
        "error: weight 'w' points outside the model's folder: '../secret.bin'\n"
        "  help: copy the data file beside the model (links are followed) and export with a relative location\n",
    ),
    "data anywhere": (
        weight_outside("/etc/passwd"),
        "error: weight 'w' points outside the model's folder: '/etc/passwd'\n"
        "  help: copy the data file beside the model (links are followed) and export with a relative location\n",
    ),
    "data that is a link to elsewhere": (
        weight_outside("link.bin"),
        "error: weight 'w' points outside the model's folder: 'link.bin'\n"
        "  help: copy the data file beside the model (links are followed) and export with a relative location\n",
    ),
    "data that is too short": (
        weight_outside("short.bin"),
        "error: weight 'w' needs 4096 bytes; the file says 4096 at offset 0 of 'short.bin', which has 100\n"
        "  help: the data file is cut short or belongs to another model; export or download both again\n",
    ),
    "an unknown opset": (
        changed(lambda m: setattr(m.opset_import[0], "version", 999)),
        f"error: the model imports opset 999 of domain ai.onnx; the installed onnx {onnx.__version__} knows 1 to "
        f"{newest('')}\n  help: install a newer onnx, or export the model for an older opset\n",
    ),
    "an unknown version of the format": (
        changed(lambda m: setattr(m, "ir_version", 99)),
        f"error: the model has IR version 99; the installed onnx {onnx.__version__} knows up to "
        f"{int(onnx.IR_VERSION)}\n  help: install a newer onnx, or export the model for an older IR version\n",
    ),
    "an unknown operator": (
        changed(lambda m: setattr(m.graph.node[0], "op_type", "Identiti")),
        "error: there is no operator Identiti in opset 17\n  at: node Identiti(a)\n  help: did you mean 'Identity'?\n",
    ),
    "a cycle": (
        in_a_circle(),
        "error: the graph has a cycle: first -> second -> first\n"
        "  help: a model must be free of cycles; export it again\n",
    ),
    "a value of nobody": (
        text("m (float[n] x) => (float[n] y) { y = Relu(z) }"),
        "error: the value 'z' is read but never defined\n  at: Relu(y)\n",
    ),
    "10 GB of zeros": (
        text("""m (float[n] x) => (float[n] y) <int64[1] s = {2684354560}> {
            c = ConstantOfShape(s) r = ReduceMax<keepdims = 0>(c) y = Add(x, r) }"""),
        "error: bad.onnx makes a tensor of 10.0 GB: c: float32[2684354560]\n  at: node ConstantOfShape(c)\n"
        "  help: the limit is 4 GB; --tensor-limit raises it\n",
    ),
    "10 GB by a size that is computed": (
        text("""m (float[n] x) => (float[n] y) <int64[1] s = {1342177280}, int64[1] two = {2}> {
            t = Mul(s, two) c = ConstantOfShape(t) r = ReduceMax<keepdims = 0>(c) y = Add(x, r) }"""),
        "error: bad.onnx makes a tensor of 10.0 GB: c: float32[2684354560]\n  at: node ConstantOfShape(c)\n"
        "  help: the limit is 4 GB; --tensor-limit raises it\n",
    ),
}


VARIANTS = {
    "cut by one byte",
    "data anywhere",
    "data that is a link to elsewhere",
    "data that is too short",
    "an unknown version of the format",
    "an unknown operator",
    "a value of nobody",
    "10 GB by a size that is computed",
}
"""Of others; these run in this process, which is quicker."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good model, and with what an earlier run wrote."""
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    place = write(tmp_path / "work", {f"out/{name}": content for name, content in EARLIER.items()})
    save(SMALL, place / "good.onnx")
    (place / "short.bin").write_bytes(bytes(100))
    (place / "link.bin").symlink_to("../secret.bin")
    return place


def assert_refused(folder: Path, arguments: list[str], code: int, message: str, run: Run = graphopt) -> None:
    """The whole of stderr is this message, and not one byte in the folder is another."""
    before = contents(folder)
    ended = run(*arguments, folder=folder)
    assert (ended.code, ended.err) == (code, message.replace("{folder}", str(folder)))
    assert ended.out == ""
    assert contents(folder) == before


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_cannot_be_meant(folder: Path, case: str) -> None:
    content, message = MODELS[case]
    (folder / "bad.onnx").write_bytes(content)
    run = here if case in VARIANTS else graphopt
    assert_refused(folder, ["compile", "bad.onnx", "-o", "out"], 2, message, run)


def test_a_model_that_is_a_folder_or_is_not_there(folder: Path) -> None:
    (folder / "models").mkdir()
    message = "error: models is a folder, not a model file\n  help: name the .onnx file inside it\n"
    assert_refused(folder, ["compile", "models", "-o", "out"], 2, message)
    assert_refused(folder, ["compile", "gone.onnx", "-o", "out"], 2, "error: there is no file gone.onnx\n")


DATA = {
    "another name": (
        {"z": np.zeros((2, 3), np.float32)},
        "error: the model has no input 'z'\n  at: data.npz\n  help: its inputs are 'x'\n",
    ),
    "another shape": (
        {"x": np.zeros((2, 4), np.float32)},
        "error: input 'x' has shape [2, 4], and the model takes float32[n,3]: dimension 1 must be 3\n  at: data.npz\n",
    ),
    "another type": (
        {"x": np.zeros((2, 3), np.float64)},
        "error: input 'x' is float64, and the model takes float32\n  at: data.npz\n"
        "  help: convert it where it is made, for instance with .astype('float32'), if that is what is meant\n",
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_data_that_do_not_fit(folder: Path, case: str) -> None:
    arrays, message = DATA[case]
    np.savez(folder / "data.npz", **arrays)
    run = graphopt if case == "another shape" else here
    assert_refused(folder, ["compile", "good.onnx", "-o", "out", "--data", "data.npz"], 2, message, run)


OPTIONS = {
    "a target of no name": (
        ["--target", "tensort"],
        2,
        "error: there is no target 'tensort'; the targets are onnxruntime, tensorrt, tensorrt-rtx\n"
        "  help: did you mean 'tensorrt'?\n",
    ),
    "a recipe of no name": (
        ["--recipe", "defualt"],
        2,
        "error: there is no recipe 'defualt'\n  help: did you mean 'default'? A file's name ends in .toml\n",
    ),
    "a size that is none": (
        ["--fold-budget", "much"],
        2,
        "error: 'much' is no size\n  at: --fold-budget\n  help: write a size as 512KB, 1MB or 4GB\n",
    ),
    "a check of no kind": (
        ["--check", "sometimes"],
        2,
        "error: Invalid value for '--check': 'sometimes' is not one of 'each', 'end', 'none'.\n"
        "  help: see `graphopt compile --help`\n",
    ),
    "a rule that is not there": (
        ["--skip", "conv_bn_fuse"],
        2,
        "error: there is no rule 'conv_bn_fuse' to skip\n  help: did you mean 'conv_bn_fold'?\n",
    ),
    "rules that are not there": (
        ["--rules", "gone.rules"],
        2,
        "error: cannot read the rule file gone.rules: No such file or directory\n",
    ),
    "an output below a file": (
        ["-o", "good.onnx/out"],
        2,
        "error: cannot write into good.onnx/out: Not a directory\n  help: choose a folder that you may write to\n",
    ),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_cannot_be_meant(folder: Path, case: str) -> None:
    options, code, message = OPTIONS[case]
    output = [] if "-o" in options else ["-o", "out"]
    assert_refused(folder, ["compile", "good.onnx", *output, *options], code, message, here)


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="the backend that is to be missing is installed")
def test_a_backend_that_is_missing(folder: Path) -> None:
    message = (
        "error: the target tensorrt is not available: tensorrt is not installed\n"
        "  help: pip install 'graphopt[tensorrt]'\n"
    )
    assert_refused(folder, ["compile", "good.onnx", "-o", "out", "--target", "tensorrt"], 3, message)


def test_an_output_that_is_a_file(folder: Path) -> None:
    message = "error: the output good.onnx is a file\n  help: name a folder\n"
    assert_refused(folder, ["compile", "good.onnx", "-o", "good.onnx"], 2, message)


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.isdir("/sys"), reason="nothing here refuses root to write")
def test_an_output_that_cannot_be_written(folder: Path) -> None:
    """Root may write everywhere but where the kernel itself shows things."""
    if os.geteuid() == 0:
        place, reason = "/sys", "Operation not permitted"
    else:
        place, reason = "closed", "Permission denied"
        (folder / place).mkdir(mode=0o500)
    message = f"error: cannot write into {place}/out: {reason}\n  help: choose a folder that you may write to\n"
    assert_refused(folder, ["compile", "good.onnx", "-o", f"{place}/out"], 2, message)
