"""graphopt: an ONNX graph-rewriting compiler whose every step is declared and checked.

What stands in `__all__` is the public API; each name is imported when it is first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphopt.api import compile
    from graphopt.errors import GraphoptError, RecipeError
    from graphopt.exporting.job import export
    from graphopt.graph.dead import sweep_graph
    from graphopt.graph.graph import Graph, Node, Value
    from graphopt.graph.load import load
    from graphopt.graph.model import Model
    from graphopt.graph.save import save
    from graphopt.graph.tensor import Tensor
    from graphopt.lang.user_functions import rule_function
    from graphopt.legalize.lowering import facts_of, inline_refused, widen_lacking
    from graphopt.pipeline.passes import Context, Pass, PassResult, TargetPass, register
    from graphopt.pipeline.recipe import Recipe
    from graphopt.precision.lower import compare_precision, lower_precision
    from graphopt.quantization.improve import refine_quantized
    from graphopt.rewrite.fold import fold_graph, hold_as_weights
    from graphopt.rewrite.functions import inline_functions
    from graphopt.rewrite.inline import inline_decided
    from graphopt.rewrite.merge import merge_equal
    from graphopt.rewrite.opset import convert_opset
    from graphopt.rewrite.sequences import unpack_sequences

__version__ = "0.1.0"

# ONNX Runtime's wheels send events to their makers unless this is set before they are imported, and a model may be
# nobody's business. Whoever wants that can set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {
    "Context": "graphopt.pipeline.passes",
    "Graph": "graphopt.graph.graph",
    "GraphoptError": "graphopt.errors",
    "Model": "graphopt.graph.model",
    "Node": "graphopt.graph.graph",
    "Pass": "graphopt.pipeline.passes",
    "PassResult": "graphopt.pipeline.passes",
    "Recipe": "graphopt.pipeline.recipe",
    "RecipeError": "graphopt.errors",
    "TargetPass": "graphopt.pipeline.passes",
    "Tensor": "graphopt.graph.tensor",
    "Value": "graphopt.graph.graph",
    "compare_precision": "graphopt.precision.lower",
    "compile": "graphopt.api",
    "convert_opset": "graphopt.rewrite.opset",
    "export": "graphopt.exporting.job",
    "facts_of": "graphopt.legalize.lowering",
    "fold_graph": "graphopt.rewrite.fold",
    "hold_as_weights": "graphopt.rewrite.fold",
    "inline_decided": "graphopt.rewrite.inline",
    "inline_functions": "graphopt.rewrite.functions",
    "inline_refused": "graphopt.legalize.lowering",
    "load": "graphopt.graph.load",
    "lower_precision": "graphopt.precision.lower",
    "merge_equal": "graphopt.rewrite.merge",
    "refine_quantized": "graphopt.quantization.improve",
    "register": "graphopt.pipeline.passes",
    "rule_function": "graphopt.lang.user_functions",
    "save": "graphopt.graph.save",
    "sweep_graph": "graphopt.graph.dead",
    "unpack_sequences": "graphopt.rewrite.sequences",
    "widen_lacking": "graphopt.legalize.lowering",
}

__all__ = [
    "Context",
    "Graph",
    "GraphoptError",
    "Model",
    "Node",
    "Pass",
    "PassResult",
    "Recipe",
    "RecipeError",
    "TargetPass",
    "Tensor",
    "Value",
    "compare_precision",
    "compile",
    "convert_opset",
    "export",
    "facts_of",
    "fold_graph",
    "hold_as_weights",
    "inline_decided",
    "inline_functions",
    "inline_refused",
    "load",
    "lower_precision",
    "merge_equal",
    "refine_quantized",
    "register",
    "rule_function",
    "save",
    "sweep_graph",
    "unpack_sequences",
    "widen_lacking",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'graphopt' has no attribute {name!r}")
    return getattr(import_module(home), name)
