"""One pass over the samples: every tensor is counted as soon as it is computed, and dropped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import numpy as np

from graphopt.calibration.axes import channel_axis, channel_sides
from graphopt.calibration.count import count
from graphopt.calibration.digest import digest
from graphopt.calibration.segments import Segment, cut
from graphopt.calibration.session import SegmentSession, open_session
from graphopt.calibration.statistics import Statistics, TensorStatistics
from graphopt.data.sample import Array, Sample
from graphopt.errors import DataError, UsageError, did_you_mean
from graphopt.graph.graph import Graph, Value
from graphopt.graph.model import Model
from graphopt.graph.sizes import SizedShapes, sizes_of
from graphopt.progress import SILENT, Progress

MEMORY_BUDGET = 512 << 20
"""Bytes of tensors that are held at once, unless the caller says otherwise."""


def collect(
    model: Model,
    samples: Iterable[Sample],
    *,
    tensors: Sequence[str] | None = None,
    covariance: Sequence[str] = (),
    memory_budget: int = MEMORY_BUDGET,
    progress: Progress = SILENT,
) -> Statistics:
    """Run a model on samples, and count what its tensors hold.

    Args:
        model: it is not changed. Its graph runs as it is, without ONNX Runtime's own optimizations.
        samples: read once, one after another. Their order does not matter.
        tensors: names of the values to count; inputs and every value of floating point in the main graph if not given.
        covariance: names of those whose covariance of channels is wanted: 8 to 40 bytes for each pair of channels.
        memory_budget: bytes of tensors to hold at once. Where the tensors of a sample need more, the model is cut into
            segments that run one after another. Weights and the samples come on top.

    Raises:
        DataError: there is no sample, or the model fails on one.
        UsageError: there is no such tensor, or it is not of floating point.
        BackendError, ModelError: ONNX Runtime cannot run the model.
    """
    total = len(samples) if isinstance(samples, Sized) else getattr(samples, "len_hint", None)
    with Collector(model, tensors=tensors, covariance=covariance, memory_budget=memory_budget) as collector:
        with progress.task("calibrating", total) as task:
            for sample in samples:
                collector.add(sample)
                task.update(collector.statistics.samples, note=sample.name)
        if not collector.statistics.samples:
            raise DataError("there is no sample to calibrate on")
        return collector.statistics


class Collector:
    """Counts sample by sample; a context manager, which holds sessions and threads."""

    def __init__(
        self,
        model: Model,
        *,
        tensors: Sequence[str] | None = None,
        covariance: Sequence[str] = (),
        memory_budget: int = MEMORY_BUDGET,
    ) -> None:
        self._model = model
        self._budget = memory_budget
        self._values = _chosen(model.graph, tensors)
        self._products = set(_chosen(model.graph, covariance)) if covariance else set[str]()
        self._sides = channel_sides(model.graph)
        self._sessions: list[SegmentSession] = []
        self._planned_for = 0
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        self.statistics = Statistics(digest(model), {n: TensorStatistics(n) for n in self._values})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._sessions.clear()

    def add(self, sample: Sample) -> None:
        """Run one sample, and count it.

        Raises:
            DataError: the model fails on it.
            BackendError, ModelError: ONNX Runtime cannot run the model.
        """
        self._plan(sample)
        held: dict[str, Any] = dict(sample.arrays)
        fed = [v for v in self._values.values() if v.is_input and isinstance(held.get(v.name), np.ndarray)]
        self._count([(v, held[v.name]) for v in fed], sample.name)
        for session in self._sessions:
            made = session.run(held, sample.name)
            self._count([(v, session.counted(made, v)) for v in session.segment.counted], sample.name)
            held |= {v.name: made[v.name] for v in session.segment.passed}
            held = {name: value for name, value in held.items() if name in session.read_later}
        self.statistics.samples += 1

    def _count(self, pairs: Sequence[tuple[Value, Array]], sample: str) -> None:
        """Count arrays side by side, the largest first."""
        done: list[Future[None]] = []
        for value, array in sorted(pairs, key=lambda pair: -pair[1].size):
            tensor, products = self.statistics[value.name], value.name in self._products
            axis = channel_axis(self._sides[value], array.ndim)
            done.append(self._threads.submit(count, tensor, array, sample, axis, products=products))
        for future in done:
            future.result()

    def _plan(self, sample: Sample) -> None:
        """Cut the model so that this sample fits the budget; again only for a sample larger than those before."""
        size = sum(a.nbytes for a in sample.arrays.values() if isinstance(a, np.ndarray))
        if self._sessions and size <= self._planned_for:
            return
        shapes = SizedShapes(self._model, sizes_of(self._model, sample.shapes))
        shapes.refine()
        segments = cut(self._model, set(self._values.values()), shapes, self._budget)
        self._planned_for = size
        if [_key(s) for s in segments] != [_key(s.segment) for s in self._sessions]:
            self._sessions = _open(self._model, segments)


def _open(model: Model, segments: Sequence[Segment]) -> list[SegmentSession]:
    later: set[str] = set()
    sessions: list[SegmentSession] = []
    for segment in reversed(segments):
        sessions.append(open_session(model, segment, frozenset(later)))
        later |= {v.name for v in segment.feeds}
    return sessions[::-1]


def _key(segment: Segment) -> tuple[str, ...]:
    return tuple(v.name for n in segment.nodes for v in n.outputs if v is not None)


def _chosen(graph: Graph, tensors: Sequence[str] | None) -> dict[str, Value]:
    """The values to count, by name, in the order of the graph."""
    found = [v for v in graph.inputs if v.initializer is None]
    found += [v for n in graph.nodes for v in n.outputs if v is not None and v.constant is None]
    known = {v.name: v for v in found}
    countable = {name: v for name, v in known.items() if v.dtype is not None and v.dtype.is_float}
    if tensors is None:
        return countable
    for name in tensors:
        if name not in known:
            raise UsageError(f"the model computes no tensor {name!r}", help=did_you_mean(name, countable))
        if name not in countable:
            raise UsageError(f"tensor {name!r} is not of floating point, and so has no range to calibrate")
    wanted = set(tensors)
    return {name: v for name, v in countable.items() if name in wanted}
