"""Figures of classifiers: agreement of two models, and what they are worth by labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphopt.data.sample import Array

Outputs = Sequence[Mapping[str, Any]]
"""Of each sample, by name."""


def rows(outputs: Outputs, name: str | None) -> Array:
    """One output of all samples as rows of classes; the first output for None."""
    found = [np.asarray(one[name or next(iter(one))]) for one in outputs]
    return np.concatenate([array.reshape(-1, array.shape[-1] if array.ndim else 1) for array in found])


def top1_agreement(original: Array, compiled: Array) -> float:
    """The share of rows whose largest element is the same one."""
    if original.shape != compiled.shape or not original.size:
        return 0.0
    return _share(original.argmax(1) == compiled.argmax(1))


def label_figures(scores: Array, labels: Array) -> dict[str, float]:
    """Shares of rows whose class is the first, or among the first five; means over the classes that are there (as
    labels or as answers) of precision, recall and F1.

    Args:
        scores: [rows, classes].
        labels: [rows], whole numbers.
    """
    chosen = scores.argmax(1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    classes = np.union1d(chosen, labels)
    true = np.array([np.sum((chosen == c) & (labels == c)) for c in classes], np.float64)
    said = np.array([np.sum(chosen == c) for c in classes], np.float64)
    there = np.array([np.sum(labels == c) for c in classes], np.float64)
    precision, recall = true / np.maximum(said, 1), true / np.maximum(there, 1)
    f1 = 2 * true / np.maximum(said + there, 1)
    return {
        "top1": _share(chosen == labels),
        "top5": _share((order == labels[:, None]).any(1)),
        "f1": float(f1.mean()),
        "precision": float(precision.mean()),
        "recall": float(recall.mean()),
    }


def _share(found: Any) -> float:
    return float(np.count_nonzero(found)) / max(int(np.size(found)), 1)
