"""A module in evaluation mode for a while, and left as it was found."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

_random: Any = torch.random  # torch leaves its types half open


@contextmanager
def evaluation(module: torch.nn.Module) -> Generator[None]:
    """Evaluation mode while the block runs.

    After it every attribute, parameter and buffer of each submodule is what it was: modes, counters and
    caches that `forward` writes, and the state of torch's random numbers.
    """
    attributes = [(vars(m), dict(vars(m))) for m in module.modules()]
    tables: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for part in module.modules():
        for table in (part._parameters, part._buffers, part._modules):  # pyright: ignore[reportPrivateUsage]
            tables.append((table, dict(table)))
    contents = [(b, _version(b), b.detach().clone()) for b in module.buffers() if not b.is_inference()]
    try:
        with _random.fork_rng(devices=[]):
            module.eval()
            yield
    finally:
        for living, kept in (*attributes, *tables):
            living.clear()
            living.update(kept)
        with torch.no_grad():
            for buffer, version, content in contents:
                if _version(buffer) != version:
                    buffer.copy_(content)


def _version(tensor: torch.Tensor) -> int:
    """How often a tensor was written to."""
    return tensor._version  # pyright: ignore[reportPrivateUsage]
