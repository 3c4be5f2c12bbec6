"""Names and other text of a file must be UTF-8. protobuf hands out what is not as bytes, and nobody expects these."""

from __future__ import annotations

from typing import Any

import onnx
from google.protobuf.message import Message

from graphopt.errors import ModelError


def check_text(proto: onnx.NodeProto | onnx.GraphProto) -> None:
    """Check what the graph in memory takes from a node or graph as text.

    Raises:
        ModelError: some of it is not UTF-8.
    """
    texts: tuple[Any, ...] = (proto.name, proto.doc_string)
    if isinstance(proto, onnx.NodeProto):
        texts += (proto.op_type, proto.domain, proto.overload)
    if proto.metadata_props:
        texts += tuple(text for entry in proto.metadata_props for text in (entry.key, entry.value))
    for text in texts:
        if type(text) is not str:
            raise not_utf8(text)


def foreign_text(message: Message) -> bytes | None:
    """The first text anywhere in a message that is not UTF-8."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else (value,):
            if field.type == field.TYPE_STRING and isinstance(item, bytes):
                return item
            found = foreign_text(item) if isinstance(item, Message) else None
            if found is not None:
                return found
    return None


def not_utf8(text: Any) -> ModelError:
    """The error for such a text."""
    shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text)
    return ModelError(
        f"the model holds text that is not UTF-8: {shown!r}", help="the file is damaged; export or download it again"
    )
