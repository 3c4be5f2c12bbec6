"""Another version of the standard's operators for a model, by onnx's own converter."""

from __future__ import annotations

import onnx

from graphopt.errors import RewriteError
from graphopt.graph.adopt import fits, transform
from graphopt.graph.attributes import Attribute
from graphopt.graph.model import Model
from graphopt.graph.schemas import NEWEST_OPSET

COORDINATES = 11
"""The opset from which on Resize says how it computes coordinates."""


def convert_opset(model: Model, opset: int) -> bool:
    """Bring a model to an opset of the default domain; whether it was at another one before.

    Raises:
        RewriteError: there is no such opset, the model has functions or more than 1 GB of weights, or onnx has no way
            to say in that opset what one of its operators does.
    """
    if model.opset == opset:
        return False
    if not 7 <= opset <= NEWEST_OPSET[""]:
        raise RewriteError(f"there is no opset {opset} to convert to", help=f"opsets: 7 to {NEWEST_OPSET['']}")
    if model.header.functions:
        raise RewriteError("a model with functions of its own cannot be brought to another opset")
    if not fits(model):
        raise RewriteError("a model of more than 1 GB of weights cannot be brought to another opset")
    from onnx import version_converter

    def convert(proto: onnx.ModelProto) -> onnx.ModelProto:
        try:
            made = version_converter.convert_version(proto, opset)
        except (RuntimeError, ValueError, TypeError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            reason = lines[-1].rpartition("Assertion `false` failed: ")[2]  # the place in onnx's sources tells nothing
            raise RewriteError(
                f"onnx cannot convert the model from opset {model.opset} to {opset}: {reason}",
                help="export the model at that opset, or keep the one that it has",
            ) from None
        made.metadata_props.extend(p for p in proto.metadata_props if p.key not in {m.key for m in made.metadata_props})
        return made

    before = model.opset
    transform(model, convert)
    if before < COORDINATES <= opset:
        _say_coordinates(model)
    return True


def _say_coordinates(model: Model) -> None:
    """Write down how Resize computed coordinates when it had no choice: onnx leaves that to the new defaults."""
    for node in model.all_nodes():
        if node.op_type == "Resize" and not node.domain:
            for name, value in (("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")):
                node.attributes.setdefault(name, Attribute.of(name, value))
