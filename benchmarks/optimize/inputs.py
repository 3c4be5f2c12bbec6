"""Real inputs of a model: the corpus knows its own; others get pictures, text or speech by what they take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphopt.data.sample import Sample
from graphopt.graph.interface import TensorSpec
from graphopt.parity.model_interface import read_interface
from tests.corpus import fetch, inputs, manifest, pictures, sound

Arrays = NDArray[Any]

COUNT = 2
"""Real samples of a model: of one where the batch is dynamic, and then of two."""


def real_samples(model: Path) -> list[Sample]:
    """Real inputs of a model; none where it takes what nothing in the corpus is."""
    name = _corpus_name(model)
    if name is not None:
        return [Sample(f"real {i}", dict(feed)) for i, feed in enumerate(inputs.inputs(name, COUNT))]
    specs = read_interface(model, str(model)).inputs
    sources = [_source(spec) for spec in specs]
    if not specs or any(source is None for source in sources):
        return []
    samples: list[Sample] = []
    for number in range(COUNT):
        feeds: dict[str, Arrays] = {}
        for spec, source in zip(specs, sources, strict=True):
            assert source is not None
            feeds[spec.name] = _batch(source(spec), number, spec)
        samples.append(Sample(f"real {number}", dict(feeds)))
    return samples


def _corpus_name(model: Path) -> str | None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    return next((m.name for m in manifest.members().values() if m.is_model and m.sha256 == digest), None)


def _batch(rows: Iterator[Arrays], number: int, spec: TensorSpec) -> Arrays:
    """One row, or the two behind it where the model takes two."""
    first = next(iter(spec.shape or ()), None)
    count = first if isinstance(first, int) else number + 1
    return np.stack(list(islice(rows, number, number + count)))


# --- by what an input is ---


def _source(spec: TensorSpec) -> Callable[[TensorSpec], Iterator[Arrays]] | None:
    sizes = list(spec.shape or ())[1:]
    if spec.dtype is None or any(not isinstance(size, int) for size in sizes):
        return None
    kind = (spec.dtype.name, 1 + len(sizes))
    if kind == ("float32", 4) and sizes[0] == 3 and sizes[1] == sizes[2]:
        return _pictures
    if kind == ("int64", 2):
        return _masks if spec.name in ("input1", "attention_mask") else _texts
    return _speech if kind == ("float32", 3) else None


def _pictures(spec: TensorSpec) -> Iterator[Arrays]:
    side = _dims(spec)[-1]
    for image in pictures.sample_pictures():
        crop = pictures.centre_crop(image, round(side * 8 / 7), side)
        yield pictures.normalized(crop, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))[0]


def _texts(spec: TensorSpec) -> Iterator[Arrays]:
    """Pieces of a text by its bytes, as a tokenizer without merges gives them."""
    length = _dims(spec)[-1]
    text = np.frombuffer(fetch.provide("magika.md").read_bytes(), np.uint8).astype(np.int64)
    yield from text[: len(text) // length * length].reshape(-1, length)


def _masks(spec: TensorSpec) -> Iterator[Arrays]:
    """The first text fills its row, each one after it is shorter."""
    length = _dims(spec)[-1]
    for row in range(length):
        yield (np.arange(length) < length - 5 * row).astype(np.int64)


def _speech(spec: TensorSpec) -> Iterator[Arrays]:
    """Mel bands by frames, of one voice a row."""
    bands, length = _dims(spec)[-2:]
    for seed in range(COUNT + 1):
        voice = sound.speech(length / 100 + 0.1, 16000, seed)
        yield np.ascontiguousarray(sound.mel(voice, 16000, 400, 160, bands)[:length].T)


def _dims(spec: TensorSpec) -> list[int]:
    return [d for d in spec.shape or () if isinstance(d, int)]
