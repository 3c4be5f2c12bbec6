"""What a verdict depends on: the rule as it is meant, the functions that it calls, and the versions of what judges."""

from __future__ import annotations

import functools
import hashlib
import inspect
from importlib.metadata import version
from pathlib import Path

from graphopt.lang import tree as t
from graphopt.lang.functions import FUNCTIONS
from graphopt.lang.names import outline, walk

LIBRARIES = ("graphopt", "onnx", "onnxruntime", "numpy")


def rule_digest(rule: t.Rule) -> str:
    """The rule as it is meant, as hexadecimal digits: its name, sentence, phase, priority, places and `when` are left
    out, the Python of functions that packages add is in."""
    opset = (rule.opset.low, rule.opset.high) if rule.opset is not None else None
    parts = (rule.generics, rule.matches, rule.where, rule.lets, rule.rewrites)
    meaning = (outline(parts), rule.equal, rule.error, rule.order, opset, _foreign(rule))
    return hashlib.sha256(repr(meaning).encode()).hexdigest()


def axes_digest(axes: t.Axes) -> str:
    """An `axes` declaration as it is meant, as hexadecimal digits: its places are left out."""
    opset = (axes.opset.low, axes.opset.high) if axes.opset is not None else None
    meaning = (axes.operator, outline((axes.inputs, axes.outputs, axes.facts)), opset)
    return hashlib.sha256(repr(meaning).encode()).hexdigest()


def versions_digest() -> str:
    """The versions of the libraries that take part, as hexadecimal digits."""
    return hashlib.sha256(repr([(name, version(name)) for name in LIBRARIES]).encode()).hexdigest()[:16]


@functools.cache
def judge_digest() -> str:
    """What judges, as hexadecimal digits: the versions of the libraries, and this package's own code that verifies,
    matches and rewrites. A verdict of an earlier verifier is no verdict of this one, though both have one version."""
    digest = hashlib.sha256(versions_digest().encode())
    for package in ("verify", "rewrite", "lang", "graph"):
        for path in sorted((Path(__file__).parent.parent / package).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _foreign(rule: t.Rule) -> list[tuple[str, str]]:
    """The functions that a rule calls and that are not graphopt's own, with their texts."""
    called = {c.function for c in walk(rule) if isinstance(c, t.Call)}
    found: list[tuple[str, str]] = []
    for name in sorted(called):
        function = FUNCTIONS.get(name)
        if function is None or function.origin.split(".")[0] == "graphopt":
            continue
        try:
            found.append((name, inspect.getsource(function.call)))
        except (OSError, TypeError):  # from a terminal, or compiled: then only the name can be compared
            found.append((name, function.origin))
    return found
