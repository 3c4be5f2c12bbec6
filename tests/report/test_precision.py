"""What the terminal tells of codes and short types."""

from __future__ import annotations

import io
from typing import Any

from graphopt.pipeline.result import PassRecord
from graphopt.report.precision import show_precision
from graphopt.report.tables import PlainConsole


def _shown(name: str, details: dict[str, Any]) -> list[str]:
    text = io.StringIO()
    record = PassRecord(name, 0.1, True, 1, 1, {}, "quant", details=details)
    show_precision([record], PlainConsole(text, width=120))
    return [" ".join(line.split()) for line in text.getvalue().splitlines() if line.strip() and "──" not in line]


def test_what_was_tried_and_what_each_fallback_bought() -> None:
    details = {
        "chosen": "refined",
        "candidates": [
            {"name": "as placed", "sqnr": 11.04, "cosine": 0.98, "agreement": 0.9},
            {"name": "refined", "sqnr": 19.96, "cosine": 0.995},
        ],
        "fallback": {
            "met": True,
            "float": ["Conv.1"],
            "ranking": [{"layer": "Conv.1", "noise": 0.01}, {"layer": "Conv.2", "noise": 0.0}],
            "steps": [
                {"float": 0, "met": False, "sqnr": 19.96, "cosine": 0.995, "agreement": 1.0},
                {"float": 2, "met": True},
                {"float": 1, "met": True, "sqnr": 31.0, "cosine": 0.9996, "agreement": 1.0},
            ],
        },
    }
    assert _shown("refine-weights", details) == [
        "Tried, on samples kept apart",
        "SQNR cosine agreement",
        "as placed 11.0 dB 0.98000 0.90000",
        "refined (taken) 20.0 dB 0.99500",
        "What leaving the most sensitive layers in float buys",
        "layers SQNR cosine agreement goal",
        "0 20.0 dB 0.99500 1.00000 missed",
        "1 31.0 dB 0.99960 1.00000 met",
        "2 met",
        "Sensitivity: signal over noise at the outputs, with one layer alone in codes",
        "layer SQNR",
        "Conv.1 20.0 dB float",
        "Conv.2",
    ]


def test_nodes_that_stay_in_float32() -> None:
    details = {"nodes": 3, "float32": [{"node": "Exp.0", "reason": "how large its numbers get is not known"}]}
    assert _shown("lower-precision", details) == [
        "Left in float32",
        "node reason",
        "Exp.0 how large its numbers get is not known",
    ]


def test_how_near_the_outputs_are() -> None:
    assert _shown("compare-outputs", {"sqnr": 54.36, "cosine": 0.999999, "agreement": 0.91667}) == [
        "Outputs, by samples of the data",
        "SQNR cosine agreement",
        "54.4 dB 1.00000 0.91667",
    ]
    assert _shown("compare-outputs", {"left out": "there are no samples"}) == []


def test_without_anything_to_tell() -> None:
    assert _shown("refine-weights", {"left out": "nothing is quantized"}) == []
    assert _shown("fold-constants", {"values": 3}) == []
