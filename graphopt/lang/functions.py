"""The functions of the rule language, all of them: importing this registers those that come with it."""

from __future__ import annotations

from graphopt.lang import graph_functions, list_functions, quantize_functions, target_functions, tensor_functions
from graphopt.lang.registry import FUNCTIONS, Function

__all__ = [
    "FUNCTIONS",
    "Function",
    "graph_functions",
    "list_functions",
    "quantize_functions",
    "target_functions",
    "tensor_functions",
]
