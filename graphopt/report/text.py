"""Text from a model, made safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text with what could steer a terminal written as escapes; lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
