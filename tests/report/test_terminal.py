"""The report on the terminal."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx.parser
import pytest

from graphopt.backends.base import Artifact, FusedLayer
from graphopt.graph.accounting import account
from graphopt.graph.load import from_proto
from graphopt.parity.comparison import Comparison, OutputFigures
from graphopt.parity.contract import REAL
from graphopt.parity.figures import Figures
from graphopt.parity.tolerance import Tolerance
from graphopt.pipeline.result import CompileResult, Latency, PassRecord
from graphopt.report.tables import PlainConsole, table
from graphopt.report.terminal import show

BEFORE = """<ir_version: 8, opset_import: ["" : 17]> g (float[n,3] x, float[3,4] w) => (y)
<float[4] b = {1, 2, 3, 4}> { i = Identity(x) m = MatMul(i, w) a = Add(m, b) y = Relu(a) }"""
AFTER = """<ir_version: 8, opset_import: ["" : 17]> g (float[n,3] x, float[3,4] w) => (y)
<float[4] b = {1, 2, 3, 4}> { a = Gemm(x, w, b) y = Relu(a) }"""

FIGURES = Figures(
    elements=8, bitwise=False, mismatches=0, scale=2.0, max_abs=1e-6, rms=1.0, error_rms=1e-5, cosine=0.999999
)
OUTPUT = OutputFigures("y", FIGURES, FIGURES, Tolerance(2e-6, 1e-4, 0, "rounding"), "sample 1", ok=True)
PARITY = Comparison(REAL, (OUTPUT,), 2, ({"x": (1, 3)}, {"x": (2, 3)}), notes=("nothing to add",))


def result() -> CompileResult:
    before, after = (account(from_proto(onnx.parser.parse_model(text))) for text in (BEFORE, AFTER))
    rules = {"identity_removal@simplify/identity.rules:6": 1, "matmul_add_to_gemm@fold/bias.rules:24": 1}
    return CompileResult(
        source=Path("models/net.onnx"),
        sha256="0" * 64,
        output=Path("build/net"),
        recipe="default",
        before=replace(before, file_bytes=20_000),
        after=replace(after, file_bytes=10_000),
        passes=(
            PassRecord("fold-constants", 0.001, False, 4, 4, {}, "exact"),
            PassRecord("apply-rules", 0.25, True, 4, 2, rules, "real", PARITY),
        ),
        parity=PARITY,
        parity_skipped=None,
        artifacts=(
            Artifact(
                target="tensorrt-rtx",
                files=(Path("build/net/engines/tensorrt-rtx/model.engine"),),
                bytes=8_040_000,
                seconds=1.98,
                details={},
                layers=(
                    FusedLayer("one", "gemm", ("float32",), ("float32",), ("matmul", "relu")),
                    FusedLayer("two", "copy", ("float32",), ("float32",), ("cast",)),
                ),
            ),
        ),
        latency=(Latency("default", 0.0057, 0.0029, 0.512, 134, "x: 1x3"),),
        notes=("the file was odd",),
        proofs={"identity_removal@simplify/identity.rules:6": "holds"},
        seconds=8.95,
        versions={},
    )


def shown(found: CompileResult) -> list[str]:
    out = io.StringIO()
    show(found, PlainConsole(out, width=120))
    return [" ".join(line.split()) for line in out.getvalue().splitlines() if line.strip(" ─")]


def test_the_whole_report() -> None:
    assert shown(result()) == [
        "net.onnx -> build/net: recipe default, 8.95 s",
        "before after change",
        "nodes 4 2 -50.0 %",
        "parameters 4 4 same",
        "weights 16 B 16 B same",
        "file 20 kB 10 kB -50.0 %",
        "MACs (n = 1) 12 12 same",
        "Operators",
        "before after",
        "Add 1 0",
        "Gemm 0 1",
        "Identity 1 0",
        "MatMul 1 0",
        "Passes",
        "pass time nodes firings contract parity",
        "apply-rules 250 ms 4 -> 2 2 real holds",
        "1 that changed nothing 1 ms",
        "Rules that fired",
        "rule times proof",
        "identity_removal@simplify/identity.rules:6 1 holds",
        "matmul_add_to_gemm@fold/bias.rules:24 1",
        "Parity holds: contract real, 2 samples (x 1x3; x 2x3)",
        "output max abs max rel allowed SQNR cosine tolerance",
        "y 1e-06 5e-07 1e-06 100.0 dB 0.9999990 rounding ok",
        "nothing to add",
        "Latency in ONNX Runtime, one thread",
        "its optimizations original compiled compiled / original pairs shapes",
        "on 5.7 ms 2.9 ms 0.512 134 x: 1x3",
        "Built",
        "target size time kernels file",
        "tensorrt-rtx 8.04 MB 1.98 s 2 model.engine",
        "Fused for tensorrt-rtx (nodes: 2, kernels: 1)",
        "kind dtypes nodes",
        "gemm float32 matmul + relu",
        "Notes",
        "the file was odd",
    ]


def bitwise(found: CompileResult) -> CompileResult:
    equal = replace(FIGURES, bitwise=True, max_abs=0.0, error_rms=0.0, cosine=1.0)
    return with_output(found, replace(OUTPUT, figures=equal, decisive=equal))


def differing(found: CompileResult) -> CompileResult:
    far = replace(FIGURES, max_abs=1.0, error_rms=1e-5, mismatches=1234)
    return with_output(found, replace(OUTPUT, figures=far, decisive=far, ok=False))


def random_output(found: CompileResult) -> CompileResult:
    return with_output(found, replace(OUTPUT, judged=False))


def text_output(found: CompileResult) -> CompileResult:
    text = Figures(8, False, 3, *[math.nan] * 5)
    return with_output(found, replace(OUTPUT, figures=text, decisive=text))


def with_output(found: CompileResult, output: OutputFigures) -> CompileResult:
    return replace(found, parity=replace(PARITY, outputs=(output,), notes=()))


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (bitwise, ["y 0 0 1e-06 1.0000000 rounding ok, bit by bit"]),
        (random_output, ["y 1e-06 5e-07 1e-06 100.0 dB 0.9999990 rounding not judged"]),
        (text_output, ["y 3 rounding ok"]),
        (
            differing,
            [
                "Parity is not met: contract real, 2 samples (x 1x3; x 2x3)",
                "y 1 0.5 1e-06 100.0 dB 0.9999990 1,234 rounding differs",
            ],
        ),
    ],
)
def test_parity_figures(change: Callable[[CompileResult], CompileResult], lines: list[str]) -> None:
    found = shown(change(result()))
    assert [line for line in lines if line not in found] == []


def test_what_is_wrong_is_told_in_full() -> None:
    (told,) = [line for line in shown(differing(result())) if line.startswith("output 'y':")]
    assert "1234 of 8 elements differ, 0 may" in told


def test_parity_that_could_not_be_checked() -> None:
    found = shown(replace(result(), parity=None, parity_skipped="ONNX Runtime lacks Odd"))
    assert "Parity was not checked: ONNX Runtime lacks Odd" in found


def test_parity_that_nobody_asked_for_is_not_mentioned() -> None:
    assert not [line for line in shown(replace(result(), parity=None)) if line.startswith("Parity")]


def test_macs_that_are_not_all_known_are_not_compared() -> None:
    found = result()
    partly = replace(found.after, macs_unknown=("Conv a", "Conv b"))
    assert "MACs (n = 1) 12 12 and 2 nodes not counted" in shown(replace(found, after=partly))
    nothing = replace(partly, macs=0)
    assert "MACs (n = 1) 12 unknown" in shown(replace(found, after=nothing))


def test_names_from_a_model_cannot_steer_the_terminal() -> None:
    evil = replace(OUTPUT, name="\x1b[31m[bold]y[/bold]\r\x07")
    out = io.StringIO()
    show(with_output(result(), evil), PlainConsole(out, width=200))
    assert all(c.isprintable() or c == "\n" for c in out.getvalue())
    assert r"\x1b[31m[bold]y[/bold]\r\x07" in out.getvalue()


def test_long_tables_are_cut_and_say_so() -> None:
    out = io.StringIO()
    table(PlainConsole(out, width=80), "Things", ("name",), ((f"thing {i}",) for i in range(23)))
    assert out.getvalue().count("thing ") == 20
    assert out.getvalue().endswith("  and 3 more\n\n")


def test_a_table_without_rows_is_not_shown() -> None:
    out = io.StringIO()
    table(PlainConsole(out, width=80), "Things", ("name",), [])
    assert out.getvalue() == ""
