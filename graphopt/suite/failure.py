"""How compiling one model on one sample fails."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from graphopt.data.sample import Array, Sample
from graphopt.errors import BackendError, DataError, GraphoptError, ModelError, UsageError
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.parity.contract import Contract
from graphopt.parity.reference import Reference
from graphopt.pipeline.gate import Gate
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.replay import Replay
from graphopt.processes import Lost, Say, in_processes
from graphopt.progress import SILENT
from graphopt.rewrite.library import load_rules

DIED = "the process that compiles it dies"

SECONDS = 600.0
"""After which a compile counts as hanging, which is no better than dying."""

NO_FAILURES = (ModelError, DataError, UsageError, BackendError)
"""What says something about the model or the sample, and nothing about what is made of it."""


@dataclass(frozen=True)
class Setting:
    """How models are compiled.

    Attributes:
        recipe: its name, or a TOML file.
        rules: rule files or folders beside the shipped ones, proved or not.
        contract: what the result is held to; None: what the passes promise.
    """

    recipe: str = "default"
    rules: tuple[Path, ...] = ()
    contract: Contract | None = None


@dataclass(frozen=True)
class Trial:
    """A model, as bytes, and its inputs, as an .npz file holds them."""

    setting: Setting
    model: bytes
    inputs: bytes


def trial_of(setting: Setting, model: onnx.ModelProto, feeds: Mapping[str, Array]) -> Trial:
    stream = io.BytesIO()
    np.savez(stream, **feeds)  # pyright: ignore[reportArgumentType]
    return Trial(setting, model.SerializeToString(), stream.getvalue())


def failure_of(trial: Trial, *, apart: bool) -> str | None:
    """What fails, in a sentence that is the same for the same failure; None if nothing does.

    Args:
        apart: run it in a process of its own, which may die.

    Raises:
        GraphoptError: the model or the sample is at fault.
    """
    if not apart:
        return _failure(trial, lambda _: None)
    ((_, found),) = in_processes([trial], _told, seconds=SECONDS)
    if isinstance(found, Lost):
        return DIED
    if isinstance(found, GraphoptError):
        raise found
    return found


def _told(trial: Trial, say: Say) -> str | GraphoptError | None:
    try:
        return _failure(trial, say)
    except GraphoptError as error:
        return error


def _failure(trial: Trial, _say: Say) -> str | None:
    setting = trial.setting
    with np.load(io.BytesIO(trial.inputs)) as held:
        sample = Sample("the inputs", dict(held))
    context = Context(load_rules(setting.rules))
    afresh = partial(_model, trial.model)
    try:
        replay = Replay(afresh, context, Recipe.load(setting.recipe))
        last = replay.until(len(replay.events()))
        with tempfile.TemporaryDirectory(prefix="graphopt-reduce-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(trial.model)
            with Reference(path, [sample]) as reference:
                contract = setting.contract or replay.promised
                return None if Gate(reference, SILENT).compare(last, contract, "the model").ok else "the outputs differ"
    except NO_FAILURES:
        raise
    except GraphoptError as error:
        return f"{type(error).__name__}: {error.message.splitlines()[0].partition(':')[0]}"
    except Exception as error:  # a bug, of ours or of a pass: it is what a reducer is for
        return f"a bug: {type(error).__name__}"


def _model(content: bytes) -> Model:
    return from_proto(onnx.ModelProto.FromString(content))
