"""One pass of a recipe on one model, and what else than the graph such a model holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

import graphopt
from graphopt.pipeline.recipe import parse_recipe
from tests.pipeline.command import save
from tests.traps.compiling import REAL, assert_same_interface, assert_same_outputs, made_feeds, parsed

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
LOCAL = '<ir_version: 8, opset_import: ["" : 17, "local" : 1]>'
BODY = '<opset_import: ["" : 17], domain: "local">'


def run(model: onnx.ModelProto | str, folder: Path, name: str, **options: Any) -> tuple[onnx.ModelProto, Any]:
    """What one pass of a recipe makes of a model, which computes the same, and the record of that pass."""
    proto = parsed(model) if isinstance(model, str) else model
    source = save(proto, folder / "source.onnx")
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    recipe = parse_recipe("\n".join(["[[pass]]", f'use = "{name}"', *lines]), "one", "one.toml")
    result = graphopt.compile(source, folder / "out", recipe=recipe)
    after = onnx.load(folder / "out" / "model.onnx")
    assert_same_interface(proto, after)
    for seed in (1, 2):
        assert_same_outputs(proto, after, made_feeds(proto, seed), reference=False, tolerance=REAL)
    return after, result.passes[0]


def described(text: str) -> onnx.ModelProto:
    """A model with all that is written beside a graph."""
    model = parsed(text)
    model.producer_name, model.producer_version, model.doc_string = "somebody", "1.2", "a model"
    model.domain, model.model_version = "of.somebody", 3
    model.metadata_props.add(key="licence", value="free")
    model.graph.doc_string = "a graph"
    model.graph.node[0].doc_string = "a node"
    model.graph.node[0].name = "first"
    model.graph.node[0].metadata_props.add(key="line", value="12")
    return model


def assert_described(after: onnx.ModelProto) -> None:
    assert (after.producer_name, after.producer_version, after.doc_string) == ("somebody", "1.2", "a model")
    assert (after.domain, after.model_version) == ("of.somebody", 3)
    assert ("licence", "free") in [(m.key, m.value) for m in after.metadata_props]
    assert after.graph.doc_string == "a graph"
    assert (after.graph.node[0].name, after.graph.node[0].doc_string) == ("first", "a node")
