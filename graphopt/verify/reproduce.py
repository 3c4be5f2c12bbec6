"""Counterexamples as files: the model, what became of it, the inputs, and how to see it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from graphopt.errors import UsageError
from graphopt.graph.dtypes import DTYPES
from graphopt.graph.tensor import Array
from graphopt.lang import tree as t
from graphopt.verify.trial import Trial
from graphopt.verify.verdict import Counterexample

BEFORE, AFTER, INPUTS, ABOUT = "before.onnx", "after.onnx", "inputs.npz", "about.json"


def save_counterexample(found: Counterexample, folder: Path, rule: t.Rule, without: int | None = None) -> None:
    """Write `before.onnx`, `after.onnx` (where there is one), `inputs.npz` and `about.json` into a new folder.

    Args:
        without: the number of the condition that was dropped, if one was.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True)
    (folder / BEFORE).write_bytes(found.before.SerializeToString(deterministic=True))
    if found.after is not None:
        (folder / AFTER).write_bytes(found.after.SerializeToString(deterministic=True))
    np.savez(folder / INPUTS, allow_pickle=False, **{name: _plain(array) for name, array in found.feed.items()})
    about = {
        "rule": rule.name,
        "place": rule.place,
        "without": without,
        "surroundings": found.surroundings,
        "output": found.output,
        "error": found.error,
        "allowed": found.allowed,
        "note": found.note,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def load_counterexample(folder: Path) -> tuple[Counterexample, str, int | None]:
    """A counterexample as it was saved, the name of its rule, and the number of the condition that was dropped.

    Raises:
        UsageError: the folder holds no counterexample.
    """
    try:
        about = cast("dict[str, Any]", json.loads((folder / ABOUT).read_text("utf-8")))
        before = onnx.ModelProto.FromString((folder / BEFORE).read_bytes())
        after = onnx.ModelProto.FromString((folder / AFTER).read_bytes()) if (folder / AFTER).exists() else None
        with np.load(folder / INPUTS, allow_pickle=False) as kept:
            inputs = {name: kept[name] for name in kept.files}
        types = {i.name: DTYPES[i.type.tensor_type.elem_type].numpy for i in before.graph.input}
        feed = {name: array.astype(types.get(name, array.dtype)) for name, array in inputs.items()}
        numbers = float(about["error"]), float(about["allowed"])
        texts = str(about["surroundings"]), str(about["output"])
        found = Counterexample(before, after, feed, *texts, *numbers, str(about["note"]))
        return found, str(about["rule"]), about["without"]
    except (OSError, ValueError, KeyError, TypeError, DecodeError) as error:
        raise UsageError(
            f"{folder} holds no counterexample: {error}", help="name the folder that `graphopt rules verify` told"
        ) from None


def _plain(array: Array) -> Array:
    """numpy's files hold no bfloat16, each of which is exactly a float32, and text only of a fixed width."""
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    return array.astype(np.str_) if array.dtype.kind == "O" else array


def reproduce(folder: Path, rules: Mapping[str, t.Rule]) -> tuple[str, Counterexample | None]:
    """Let a rule rewrite the model of a counterexample again, and judge again: what was found then, and now.

    Raises:
        UsageError: the folder holds no counterexample, or the rule is not there.
    """
    then, name, dropped = load_counterexample(folder)
    if name not in rules:
        raise UsageError(f"there is no rule {name!r}", help="name the rule file that has it, before --reproduce")
    rule = replace(rules[name], when=())
    if dropped is not None:
        rule = replace(rule, where=tuple(c for i, c in enumerate(rule.where) if i != dropped))
    _, found = Trial(rule).run(then.before, [dict(then.feed)])
    return then.note, found
