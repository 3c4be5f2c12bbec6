"""What exporters note in a model, and what nodes say of their making: in memory, in files, and in the model's table."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest

from graphopt.graph.load import load
from graphopt.graph.provenance import FROM, RULES, TABLE, TABLE_LIMIT, pack, said_by, table
from graphopt.graph.save import save

MODEL = """<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
g (float[2] x, bool c) => (float[2] z) <float[2] w = {1, 2}, float[2] v> {
    ["add"] v = Add (x, w)
    ["if"] z = If (c) <
        then_branch = yes () => (float[2] p) { ["same"] a = Neg (v) ["inner"] p = Abs (a) },
        else_branch = no () => (float[2] q) { ["same"] q = Exp (v) }
    >
}
<domain: "local", opset_import: ["" : 20]>
twice (v) => (z) { z = Add(v, v) }"""


def model() -> onnx.ModelProto:
    return onnx.parser.parse_model(MODEL)


def bodies(proto: onnx.ModelProto) -> tuple[onnx.GraphProto, onnx.GraphProto]:
    return proto.graph.node[1].attribute[0].g, proto.graph.node[1].attribute[1].g


def note(holder: Any, **texts: str) -> None:
    for key, text in texts.items():
        holder.metadata_props.add(key=key.replace("__", "."), value=text)


def metadata(holder: Any) -> dict[str, str]:
    return {p.key: p.value for p in holder.metadata_props}


def written(proto: onnx.ModelProto, folder: Path, *, notes: bool) -> onnx.ModelProto:
    """The model as a file, loaded and saved again."""
    onnx.save(proto, folder / "in.onnx")
    save(load(folder / "in.onnx", notes=notes), folder / "out.onnx")
    return onnx.load(folder / "out.onnx")


def noted() -> onnx.ModelProto:
    proto = model()
    yes, _ = bodies(proto)
    for holder in (*proto.graph.node, yes.node[0], proto.functions[0].node[0], proto.graph.initializer[0]):
        note(holder, pkg__torch__onnx__stack_trace="File ...", namespace=": net.Net", owner="someone")
        holder.doc_string = "where it comes from"
    for holder in (proto, proto.graph, yes, proto.graph.input[0], proto.graph.output[0], proto.functions[0]):
        note(holder, pkg__torch__export="signature", owner="someone")
        holder.doc_string = "what it is"
    note(proto.graph.value_info[0], pkg__torch__onnx__original_node_name="v")
    return proto


def test_notes_of_exporters_go_and_all_else_stays(tmp_path: Path) -> None:
    after = written(noted(), tmp_path, notes=False)
    yes, _ = bodies(after)
    for holder in (*after.graph.node, yes.node[0], after.functions[0].node[0], after.graph.initializer[0]):
        assert (metadata(holder), holder.doc_string) == ({"owner": "someone"}, "where it comes from")
    for holder in (after.graph, yes, after.graph.input[0], after.graph.output[0], after.functions[0]):
        assert (metadata(holder), holder.doc_string) == ({"owner": "someone"}, "what it is")
    assert metadata(after) == {"pkg.torch.export": "signature", "owner": "someone"}
    assert metadata(after.graph.value_info[0]) == {}


def test_a_model_that_is_loaded_with_its_notes_is_written_with_them(tmp_path: Path) -> None:
    proto = noted()
    after = written(proto, tmp_path, notes=True)
    stack = {"pkg.torch.onnx.stack_trace": "File ...", "namespace": ": net.Net", "owner": "someone"}
    for holder in (*after.graph.node, bodies(after)[0].node[0], after.functions[0].node[0], after.graph.initializer[0]):
        assert (metadata(holder), holder.doc_string) == (stack, "where it comes from")
    assert metadata(after.graph.value_info[0]) == {"pkg.torch.onnx.original_node_name": "v"}


def test_types_are_written_for_inner_values_and_not_for_weights(tmp_path: Path) -> None:
    proto = model()
    proto.graph.value_info.add().CopyFrom(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [2]))
    assert [v.name for v in written(proto, tmp_path, notes=True).graph.value_info] == ["v"]


TRACES = {
    "C:\\net.py(12): forward\n/lib/torch/nn/module.py(1098): _slow_forward\n": True,
    "net.py(12): forward": True,
    "adds a bias": False,
    "see net.py(12): forward\nand then what follows": False,
    "as in (3)\nnet.py(12): forward": False,
}


@pytest.mark.parametrize("text", TRACES, ids=range(len(TRACES)))
def test_documentation_of_a_node_goes_if_it_is_a_stack_trace(tmp_path: Path, text: str) -> None:
    proto = model()
    for holder in (proto.graph.node[0], bodies(proto)[0].node[0], proto.functions[0].node[0], proto.graph):
        holder.doc_string = text
    after = written(proto, tmp_path, notes=False)
    nodes = (after.graph.node[0], bodies(after)[0].node[0], after.functions[0].node[0])
    assert [n.doc_string for n in nodes] == ["" if TRACES[text] else text] * 3
    assert after.graph.doc_string == text


def marked() -> onnx.ModelProto:
    proto = model()
    yes, no = bodies(proto)
    note(proto.graph.node[0], graphopt__from="add\nzero", graphopt__rules="a@a.rules:1\nb@b.rules:2", owner="someone")
    note(yes.node[1], graphopt__from="inner\n…", graphopt__rules="b@b.rules:2")
    note(no.node[0], graphopt__from="lonely")
    proto.graph.node[1].name = ""
    note(proto.graph.node[1], graphopt__from="If(z)")
    return proto


def test_what_nodes_say_is_one_table_in_the_file(tmp_path: Path) -> None:
    after = written(marked(), tmp_path, notes=False)
    yes, no = bodies(after)
    assert metadata(after.graph.node[0]) == {"owner": "someone"}
    assert metadata(yes.node[1]) == metadata(after.graph.node[1]) == {}
    assert metadata(no.node[0]) == {FROM: "lonely"}, "another node has that name"
    said = table(after)
    assert said == {
        "add": {FROM: "add\nzero", RULES: "a@a.rules:1\nb@b.rules:2"},
        "If(z)": {FROM: "If(z)"},
        "inner": {FROM: "inner\n…", RULES: "b@b.rules:2"},
    }
    assert said_by(yes.node[1], said) == {FROM: "inner\n…", RULES: "b@b.rules:2"}
    assert said_by(no.node[0], said) == {FROM: "lonely"}
    assert said_by(yes.node[0], said) == {}


def test_a_file_with_a_table_says_the_same_when_it_is_loaded(tmp_path: Path) -> None:
    before = written(marked(), tmp_path, notes=False)
    loaded = load(tmp_path / "out.onnx")
    assert {n.label: {k: v for k, v in n.metadata.items() if k != "owner"} for n in loaded.all_nodes()} == {
        "add": {FROM: "add\nzero", RULES: "a@a.rules:1\nb@b.rules:2"},
        "If(z)": {FROM: "If(z)"},
        "same": {FROM: "lonely"},
        "inner": {FROM: "inner\n…", RULES: "b@b.rules:2"},
    }
    assert metadata(loaded.header) == {}
    assert written(before, tmp_path, notes=False).SerializeToString() == before.SerializeToString()
    assert metadata(written(before, tmp_path, notes=True).graph.node[0]).keys() == {FROM, RULES, "owner"}


def test_the_table_is_smaller_than_the_text() -> None:
    names = [f"/blocks.{i}/attention/output/dense/MatMul" for i in range(50)]
    nodes = [onnx.helper.make_node("Neg", [f"v{i}"], [f"v{i + 1}"], name) for i, name in enumerate(names)]
    for node, name in zip(nodes, names, strict=True):
        note(node, graphopt__from=f"{name}\n{name}_1", graphopt__rules="neg_neg@rules/simplify/algebra.rules:12")
    proto = onnx.ModelProto(graph=onnx.GraphProto(node=nodes))
    text = sum(p.ByteSize() for node in proto.graph.node for p in node.metadata_props)
    pack(proto)
    assert proto.metadata_props[0].ByteSize() * 10 < text


def packed(document: object) -> str:
    return base64.b85encode(zlib.compress(json.dumps(document).encode())).decode()


BROKEN = {
    "no base 85": "\x00",
    "not deflated": base64.b85encode(b"text").decode(),
    "cut short": base64.b85encode(zlib.compress(b"[[]]" * 100)[:20]).decode(),
    "no JSON": base64.b85encode(zlib.compress(b"{")).decode(),
    "no list": packed(1),
    "an empty list": packed([]),
    "a row that is none": packed([[], 1]),
    "a rule that is not there": packed([[], ["add", 3, [7]]]),
    "places that are none": packed([["a"], ["add", "", 0]]),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_table_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    proto = model()
    note(proto, graphopt__provenance=text)
    assert table(proto) == {}
    after = written(proto, tmp_path, notes=True)
    assert metadata(after) == {TABLE: text}


def test_a_table_that_claims_to_be_huge_is_not_read() -> None:
    proto = model()
    stream = zlib.compressobj(9)
    piece = b" " * (1 << 20)
    compressed = b"".join(stream.compress(piece) for _ in range((TABLE_LIMIT >> 20) + 1)) + stream.flush()
    note(proto, graphopt__provenance=base64.b85encode(compressed).decode())
    assert table(proto) == {}
