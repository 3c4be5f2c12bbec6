"""Recurrent operators: GRU, LSTM and RNN."""

from __future__ import annotations

import numpy as np

from graphopt.verify.samplers import sampler
from graphopt.verify.site import Site

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


@sampler("GRU", "LSTM", "RNN")
def recurrent(site: Site) -> None:
    """Few steps and small states, one way or both; the layouts and activations that are the default."""
    gates = GATES[site.node.op_type]
    steps, batch, size = _settled(
        site, 0, [site.random.randint(1, 3), site.random.randint(1, 3), site.random.randint(1, 4)]
    )
    hidden = int(site.attribute("hidden_size", lambda: site.random.randint(1, 4)) or 1)
    direction = site.attribute("direction", lambda: site.random.choice(("forward", "reverse", "bidirectional")))
    for name in ("activations", "activation_alpha", "activation_beta", "clip"):
        site.attribute(name, lambda: None)
    site.attribute("layout", lambda: 0)
    ways = 2 if direction == "bidirectional" else 1
    site.settle(1, [ways, gates * hidden, size])
    site.settle(2, [ways, gates * hidden, hidden])
    site.settle(3, [ways, 2 * gates * hidden])
    if site.has(4):
        site.settle_value(4, np.array([site.random.randint(1, max(steps, 1)) for _ in range(batch)], np.int32))
    for index in (5, 6):
        site.settle(index, [ways, batch, hidden])
    site.settle(7, [ways, 3 * hidden])


def _settled(site: Site, index: int, proposal: list[int]) -> tuple[int, int, int]:
    shape = site.settle(index, proposal)
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, 1, 1)
