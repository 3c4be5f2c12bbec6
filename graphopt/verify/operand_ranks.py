"""Inputs whose rank the standard fixes, though shape inference does not see to it: lists of axes, sizes and places, and
single numbers."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.verify.sketch import NodeSketch

_LISTS = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 3),
    "Reshape": (1,),
    "Resize": (1, 2, 3, 4),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
}
_SINGLE = {"Clip": (1, 2), "CumSum": (1,), "Dropout": (1, 2), "OneHot": (1,), "Pad": (2,), "Range": (0, 1, 2)}


def rank_of_operand(nodes: Sequence[NodeSketch], name: str) -> int | None:
    """The rank that the readers of a tensor ask of it; None where they ask for none."""
    for node in nodes:
        for index, read in enumerate(node.inputs if not node.domain else ()):
            if read == name and index in _LISTS.get(node.op_type, (1,) if node.op_type.startswith("Reduce") else ()):
                return 1
            if read == name and index in _SINGLE.get(node.op_type, ()):
                return 0
    return None
