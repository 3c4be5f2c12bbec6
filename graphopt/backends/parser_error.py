"""What the ONNX parser says of a model that it does not take; light, since the builder's process imports it first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ParserError:
    """One error: `node` is the index in the main graph, -1 if there is none; `stack` leads into bodies."""

    node: int
    name: str
    operator: str
    text: str
    stack: tuple[str, ...] = ()
