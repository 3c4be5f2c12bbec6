"""What tests of rules, passes and models are written with.

>>> from graphopt.testing import assert_rewrites, assert_unchanged
>>> rule = '''
... rule minus_minus:
...     "-(-x) is x."
...     match:
...         y = Neg(Neg(x))
...     rewrite:
...         y = x
... '''
>>> before = "(float[4] x) => (float[4] z) { a = Neg (x)  b = Neg (a)  z = Relu (b) }"
>>> assert_rewrites(before, "(float[4] x) => (float[4] z) { z = Relu (x) }", rule)
>>> assert_unchanged("(float[4] x) => (float[4] z) { a = Neg (x)  z = Relu (a) }", rule)

Graphs are written in ONNX's own text syntax. What is declared between < > and made by no node is a weight, whose data
follows from its name, type and shape; behind a rewrite, a name that nothing defines is a constant of whatever data.
"""

from __future__ import annotations

from graphopt.testing.assertions import (
    RuleSource,
    assert_case,
    assert_parity,
    assert_pass,
    assert_rewrites,
    assert_unchanged,
    verify_rule,
)
from graphopt.testing.cases import Case, Variant, model_of, read_cases, variants_of
from graphopt.testing.weights import samples

__all__ = [
    "Case",
    "RuleSource",
    "Variant",
    "assert_case",
    "assert_parity",
    "assert_pass",
    "assert_rewrites",
    "assert_unchanged",
    "model_of",
    "read_cases",
    "samples",
    "variants_of",
    "verify_rule",
]
