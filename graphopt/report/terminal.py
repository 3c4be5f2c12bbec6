"""The report of a compile on the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from graphopt.backends.base import Artifact
from graphopt.graph.accounting import Account
from graphopt.parity.comparison import Comparison, OutputFigures
from graphopt.pipeline.result import CompileResult, Latency, PassRecord
from graphopt.report import quantities
from graphopt.report.contents import macs_text, macs_title
from graphopt.report.precision import show_precision
from graphopt.report.tables import table
from graphopt.report.text import printable

Row = tuple[str, ...]


def show(result: CompileResult, console: Console) -> None:
    """Print what a compile did."""
    title = f"{result.source.name} -> {result.output}: recipe {result.recipe}, {quantities.seconds(result.seconds)}"
    console.print(printable(title), style="bold")
    before, after = result.before, result.after
    table(console, "", ("", "before", "after", "change"), _totals(before, after), numbers=(1, 2, 3))
    table(console, "Operators", ("", "before", "after"), _operators(before, after), numbers=(1, 2))
    table(
        console,
        "Passes",
        ("pass", "time", "nodes", "firings", "contract", "parity"),
        _passes(result.passes),
        numbers=(1, 2, 3),
        limit=None,
    )
    table(console, "Rules that fired", ("rule", "times", "proof"), _firings(result), numbers=(1,))
    show_precision(result.passes, console)
    _show_parity(result, console)
    table(
        console,
        "Latency in ONNX Runtime, one thread",
        ("its optimizations", "original", "compiled", "compiled / original", "pairs", "shapes"),
        (_latency(latency) for latency in result.latency),
        numbers=(1, 2, 3, 4),
    )
    table(console, "Built", ("target", "size", "time", "kernels", "file"), _artifacts(result), numbers=(1, 2, 3))
    for artifact in result.artifacts:
        _show_kernels(artifact, console)
    for found in result.codes:
        reading = len(found.computed) + len(found.missed)
        line = f"{found.target} computes {len(found.computed)} of {reading} nodes in codes that read codes"
        console.print(printable(line), style="bold" if not found.missed else "bold red")
    table(console, "Notes", ("",), ((note,) for note in result.notes), limit=None)
    for warning in result.warnings:
        console.print(printable(f"Warning: {warning}"), style="bold red")


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Print the parity figures of two models, and what is wrong, if anything is."""
    shapes = "; ".join(_shapes(shapes) for shapes in comparison.shapes)
    verdict = "holds" if comparison.ok else "is not met"
    of = f"{comparison.samples} samples" if comparison.samples != 1 else "1 sample"
    title = f"Parity {verdict}: contract {comparison.contract}, {of}" + (f" ({shapes})" if shapes else "")
    console.print(printable(title), style="bold" if comparison.ok else "bold red")
    columns = ("output", "max abs", "max rel", "allowed", "SQNR", "cosine", "differing", "tolerance", "")
    table(console, "", columns, map(_figures, comparison.outputs), numbers=(1, 2, 3, 4, 5, 6))
    for line in (*comparison.problems, *comparison.notes):
        console.print(printable(f"  {line}"))


def _totals(before: Account, after: Account) -> Iterator[Row]:
    for name, old, new, text in (
        ("nodes", before.nodes, after.nodes, quantities.count),
        ("parameters", before.parameters, after.parameters, quantities.count),
        ("weights", before.weight_bytes, after.weight_bytes, quantities.size),
        ("file", before.file_bytes, after.file_bytes, quantities.size),
    ):
        if old is not None and new is not None:
            yield name, text(old), text(new), quantities.change(old, new)
    told = not before.macs_unknown and not after.macs_unknown
    change = quantities.change(before.macs, after.macs) if told else ""
    yield macs_title(before), macs_text(before), macs_text(after), change


def _operators(before: Account, after: Account) -> Iterator[Row]:
    """Operators whose number changed, the largest change first."""
    names = before.operators.keys() | after.operators.keys()
    counts = {name: (before.operators.get(name, 0), after.operators.get(name, 0)) for name in names}
    for name, (old, new) in sorted(counts.items(), key=lambda item: (-abs(item[1][0] - item[1][1]), item[0])):
        if old != new:
            yield name, quantities.count(old), quantities.count(new)


def _passes(records: Sequence[PassRecord]) -> Iterator[Row]:
    """A line each, but one for all that changed nothing: the report has them all."""
    idle = [record for record in records if not record.modified]
    yield from (_pass(record) for record in records if record.modified)
    if idle:
        seconds = quantities.seconds(sum(record.seconds for record in idle))
        yield f"{quantities.count(len(idle))} that changed nothing", seconds, "", "", "", ""


def _pass(record: PassRecord) -> Row:
    nodes = f"{record.nodes_before} -> {record.nodes_after}"
    firings = sum(record.firings.values())
    parity = "" if record.parity is None else ("holds" if record.parity.ok else "is not met")
    shown = quantities.count(firings) if firings else ""
    return record.name, quantities.seconds(record.seconds), nodes, shown, record.contract, parity


def _firings(result: CompileResult) -> list[Row]:
    total: Counter[str] = Counter()
    for record in result.passes:
        total.update(record.firings)
    return [(rule, quantities.count(times), result.proofs.get(rule, "")) for rule, times in total.most_common()]


def _show_parity(result: CompileResult, console: Console) -> None:
    if result.parity is not None:
        show_comparison(result.parity, console)
        console.print()
    elif result.parity_skipped:
        console.print(printable(f"Parity was not checked: {result.parity_skipped}\n"), style="bold")


def _figures(output: OutputFigures) -> Row:
    figures, tolerance = output.figures, output.tolerance
    verdict = ("ok" if output.ok else "differs") if output.judged else "not judged"
    return (
        output.name,
        _figure(figures.max_abs, ".3g"),
        _figure(figures.max_rel, ".3g"),
        "" if tolerance.bitwise else _figure(output.allowed_rel, ".3g"),
        _figure(figures.sqnr_db, ".1f", " dB"),
        _figure(figures.cosine, ".7f"),
        quantities.count(figures.mismatches) if figures.mismatches else "",
        tolerance.source,
        f"{verdict}, bit by bit" if figures.bitwise else verdict,
    )


def _figure(value: float, form: str, unit: str = "") -> str:
    return f"{value:{form}}{unit}" if math.isfinite(value) else ""


def _shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes.items())


def _latency(latency: Latency) -> Row:
    return (
        "on" if latency.settings == "default" else latency.settings,
        quantities.seconds(latency.original),
        quantities.seconds(latency.compiled),
        f"{latency.ratio:.3f}",
        str(latency.runs),
        latency.shapes,
    )


def _artifacts(result: CompileResult) -> Iterator[Row]:
    for artifact in result.artifacts:
        kernels = str(len(artifact.layers)) if artifact.layers else ""
        name = artifact.files[0].name if artifact.files else ""
        yield artifact.target, quantities.size(artifact.bytes), quantities.seconds(artifact.seconds), kernels, name


def _show_kernels(artifact: Artifact, console: Console) -> None:
    """The kernels that compute several nodes at once."""
    fused = [layer for layer in artifact.layers if len(layer.onnx_nodes) > 1]
    nodes = sum(len(layer.onnx_nodes) for layer in fused)
    rows = (
        (layer.kind, ", ".join(dict.fromkeys((*layer.inputs, *layer.outputs))), " + ".join(layer.onnx_nodes))
        for layer in fused
    )
    title = f"Fused for {artifact.target} (nodes: {nodes}, kernels: {len(fused)})"
    table(console, title, ("kind", "dtypes", "nodes"), rows)
