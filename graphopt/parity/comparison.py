"""What a comparison of two models found, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphopt.parity.contract import Contract
from graphopt.parity.figures import Figures, decibels, ratio
from graphopt.parity.tolerance import Limits, Tolerance


@dataclass(frozen=True)
class OutputFigures:
    """One output over all samples.

    Attributes:
        figures: over all samples: the worst of each, root mean squares over all elements.
        decisive: figures of the sample that exceeds its tolerance the most, or comes nearest to it.
        tolerance: of that sample.
        sample: its name.
        ok: whether every sample was within its tolerance. True where `judged` is False.
        judged: False where there is nothing to judge by, as for random outputs; the note says why.
        note: what to know about this output, or None.
    """

    name: str
    figures: Figures
    decisive: Figures
    tolerance: Tolerance
    sample: str
    ok: bool
    judged: bool = True
    note: str | None = None

    @property
    def max_rel(self) -> float:
        """The largest difference in the decisive sample, relative to the output's scale over all samples."""
        return ratio(self.decisive.max_abs, self.figures.scale)

    @property
    def allowed_rel(self) -> float:
        """The largest difference that the decisive sample may show, relative to the output's scale."""
        return ratio(self.tolerance.max_abs, self.figures.scale)

    @property
    def allowed_sqnr_db(self) -> float:
        """The smallest signal-to-noise ratio that the decisive sample may show."""
        return decibels(self.tolerance.error_rms, self.decisive.rms)

    def to_json(self) -> dict[str, Any]:
        figures, tolerance = self.figures, self.tolerance
        return {
            "name": self.name,
            "ok": self.ok,
            "judged": self.judged,
            "elements": figures.elements,
            "bitwise": figures.bitwise,
            "mismatches": figures.mismatches,
            "scale": _number(figures.scale),
            "max_abs": _number(figures.max_abs),
            "max_rel": _number(figures.max_rel),
            "sqnr_db": _number(figures.sqnr_db),
            "cosine": _number(figures.cosine),
            "structure": figures.structure,
            "sample": self.sample,
            "tolerance": {
                "source": tolerance.source,
                "bitwise": tolerance.bitwise,
                "max_abs": _number(tolerance.max_abs),
                "max_rel": _number(self.allowed_rel),
                "sqnr_db": _number(self.allowed_sqnr_db),
                "cosine": tolerance.cosine,
                "mismatches": tolerance.mismatches,
            },
            "note": self.note,
        }


@dataclass(frozen=True)
class Comparison:
    """A candidate against its reference.

    Attributes:
        contract: what the outputs were held to: a contract, or a user's limits.
        outputs: in the reference's order.
        samples: how many were run.
        shapes: the different input shapes among them.
        failures: what is wrong beside the outputs' values: interface, loading, running.
        notes: what the user should know.
    """

    contract: Contract | Limits
    outputs: tuple[OutputFigures, ...]
    samples: int
    shapes: tuple[Mapping[str, tuple[int, ...]], ...]
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failures and all(output.ok for output in self.outputs)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that keeps it from being ok, one sentence each."""
        return (*self.failures, *(describe(output) for output in self.outputs if not output.ok))

    def to_json(self) -> dict[str, Any]:
        """JSON-able. A number is null where it has no meaning (text has no error) or is infinite (SQNR of equals)."""
        return {
            "contract": str(self.contract),
            "ok": self.ok,
            "samples": self.samples,
            "shapes": [{name: list(shape) for name, shape in shapes.items()} for shapes in self.shapes],
            "outputs": [output.to_json() for output in self.outputs],
            "failures": list(self.failures),
            "notes": list(self.notes),
        }


def describe(output: OutputFigures) -> str:
    """Why an output is not ok, in a sentence."""
    figures, tolerance = output.decisive, output.tolerance
    start = f"output {output.name!r}"
    if figures.structure is not None:
        return f"{start}: {figures.structure}, on {output.sample}"
    parts: list[str] = []
    if figures.mismatches > tolerance.mismatches:
        parts.append(f"{figures.mismatches} of {figures.elements} elements differ, {tolerance.mismatches} may")
    elif tolerance.bitwise:
        parts.append(f"it is not equal bit by bit: the largest difference is {output.max_rel:.3g} of its scale")
    if figures.max_abs > tolerance.max_abs and not tolerance.bitwise:
        parts.append(
            f"the largest difference is {output.max_rel:.3g} of its scale, {output.allowed_rel:.3g} is allowed"
        )
    if figures.error_rms > tolerance.error_rms and not tolerance.bitwise:
        parts.append(f"the SQNR is {figures.sqnr_db:.1f} dB, {output.allowed_sqnr_db:.1f} dB is asked for")
    if figures.cosine < tolerance.cosine:
        parts.append(f"the cosine is {figures.cosine:.6f}, {tolerance.cosine:g} is asked for")
    return f"{start}: {'; '.join(parts)} (tolerance: {tolerance.source}; on {output.sample})"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
