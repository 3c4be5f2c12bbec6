"""Facts about operators that the language relies on."""

from __future__ import annotations

COMMUTATIVE = frozenset(
    ("", name)
    for name in (
        "Add",
        "Mul",
        "And",
        "Or",
        "Xor",
        "Equal",
        "Max",
        "Min",
        "Sum",
        "Mean",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
    )
)
"""Operators whose operands may be swapped."""

ASSOCIATIVE = frozenset(("", name) for name in ("Add", "Mul", "And", "Or", "Xor", "Max", "Min"))
"""Commutative operators that may be regrouped (over the reals): `Op*(a, b, c)` stands for any of their nests."""


def split_operator(text: str) -> tuple[str, str]:
    """`com.microsoft::Gelu` as (domain, operator); the default domain is empty."""
    domain, _, name = text.rpartition("::")
    return ("" if domain == "ai.onnx" else domain), name
