"""Passes may be anyone's: a failure names the pass, and what a pass says of itself is held against the graph."""

from __future__ import annotations

import inspect
import json
import traceback

from graphopt.errors import GraphoptError, RewriteError
from graphopt.graph.model import Model
from graphopt.pipeline.fingerprint import Fingerprint
from graphopt.pipeline.passes import Context, Pass, PassResult

LEAVE_OUT = "leave the pass out, and tell its author"


def run_pass(step: Pass, model: Model, context: Context) -> PassResult:
    """Apply a pass.

    Raises:
        RewriteError: a pass that is not ours failed, or gave back what is no result.
        GraphoptError: as the pass raised it.
    """
    try:
        result = step.apply(model, context)
    except (GraphoptError, MemoryError):
        raise
    except Exception as error:  # foreign code may raise anything
        if type(step).__module__.startswith("graphopt."):
            raise
        raise RewriteError(
            f"the pass {step.name} failed: {type(error).__name__}: {error}", where=_place(step, error), help=LEAVE_OUT
        ) from error
    if not isinstance(result, PassResult):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise RewriteError(f"the pass {step.name} gave back {result!r}, which is no PassResult", help=LEAVE_OUT)
    try:
        json.dumps(dict(result.details))
    except (TypeError, ValueError) as error:
        raise RewriteError(f"the details of the pass {step.name} are no JSON: {error}", help=LEAVE_OUT) from None
    return result


def _place(step: Pass, error: Exception) -> str:
    """File and line in the pass's own module, as far in as it goes."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == inspect.getfile(type(step))]
    return f"{(own or frames)[-1].filename}:{(own or frames)[-1].lineno}"


class Witness:
    """Knows the graph as it was after the last pass."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._last = Fingerprint(model)

    def hear(self, step: Pass, result: PassResult) -> None:
        """
        Raises:
            RewriteError: the pass denies a change, so that nobody would check it; or it claims one that was not, so
                that round would follow round for nothing.
        """
        before, self._last = self._last, Fingerprint(self._model)
        same = self._last.same_graph(before)
        if result.modified and same and self._last.same_types(before):
            raise RewriteError(
                f"the pass {step.name} says that it changed the graph, and changed nothing", help=LEAVE_OUT
            )
        if not result.modified and not same:
            raise RewriteError(f"the pass {step.name} changed the graph, and says that it did not", help=LEAVE_OUT)
