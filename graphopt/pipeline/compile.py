"""Compile: load, rewrite, check, write, build. The output appears whole or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.backends import registry
from graphopt.backends.base import Artifact, Backend, BuildOptions, BuildRequest, ProfileShape
from graphopt.backends.profiles import complete, observed
from graphopt.errors import BackendError, ModelError
from graphopt.graph.accounting import account
from graphopt.graph.collection import collection_paused
from graphopt.graph.digest import sha256_of
from graphopt.graph.files import whole_file
from graphopt.graph.load import Overridable, load
from graphopt.graph.model import Model
from graphopt.graph.sizes import sizes_of
from graphopt.graph.types import oversized
from graphopt.parity.model_interface import read_interface
from graphopt.parity.refusals import NotRunnable
from graphopt.pipeline.calibration import AUTO, Calibration, check_method
from graphopt.pipeline.engine_codes import engine_codes
from graphopt.pipeline.legalization import legalized
from graphopt.pipeline.manager import When
from graphopt.pipeline.output import ENGINES, Staging, refuse_to_replace, staging
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.pipeline.result import CompileResult, Latency, PassRecord
from graphopt.pipeline.rollback import OnFailure, Rewriting
from graphopt.progress import SILENT, Progress
from graphopt.rewrite.journal import Firing, Journal
from graphopt.rewrite.library import common_target, load_rules
from graphopt.verify.proof_state import UNPROVED, proof_states, refuse_unproved

if TYPE_CHECKING:
    from graphopt.data.sample import Sample
    from graphopt.pipeline.gate import Gate
    from graphopt.quantization.improve import Effort

# what draws samples, compares and times is imported where it is used: a compile without them is half start-up

MEBIBYTE = 1 << 20

Document = Callable[[CompileResult], bytes]


@dataclass(frozen=True)
class Options:
    """How to compile.

    Attributes:
        recipe: the passes.
        targets: names of backends to build for.
        data: a data source, as `graphopt.data.sources.open_source` takes it; None: inputs are generated.
        shapes: shapes of dynamic inputs, by name.
        rules: rule files or folders beside the shipped ones.
        skip: names of rules to leave out.
        allow_unproved: use rules of the user that are not proved.
        check: when to compare with the original.
        on_parity_failure: what becomes of a model that is not equal to it.
        samples: most samples of the data to compare on, or samples to generate of each shape; None: 8, or 2.
        fold_budget: bytes by which constants may outgrow the input's weights.
        tensor_limit: bytes of the largest intermediate tensor that a model may ask for.
        allow_narrowing: for targets that lack an element type, also take one that does not hold all of its values.
        overridable: what initializers that are also inputs are.
        keep_metadata: leave in the model what its exporter noted at nodes and values for debugging (stack traces,
            scopes), and let each node that a rule made say so in plain text.
        build: how engines are built.
        latency: whether to time the model in ONNX Runtime.
        progress: where long work shows itself.
        trace: sees every firing as it happens.
        calibrate: how thresholds follow from what calibration has seen: a method of
            `graphopt.calibration.thresholds`, or "auto".
        stats: a file of statistics: used if it is there, else written.
        synthetic_calibration: calibrate on inputs that are made up, where there are no others.
        effort: how much to do for the outputs of a quantized model; None leaves it to the recipe.
        least: what the outputs of a quantized model must reach, by layers that stay in float: "sqnr" in dB, "cosine",
            "agreement".
        documents: further files of the output, each made from the finished result.
    """

    recipe: Recipe
    targets: Sequence[str] = ("onnxruntime",)
    data: str | None = None
    shapes: Mapping[str, ProfileShape] = field(default_factory=dict[str, ProfileShape])
    rules: Sequence[Path] = ()
    skip: Sequence[str] = ()
    allow_unproved: bool = False
    check: When = "each"
    on_parity_failure: OnFailure = "stop"
    samples: int | None = None
    fold_budget: int = MEBIBYTE
    tensor_limit: int = 4096 * MEBIBYTE
    allow_narrowing: bool = False
    overridable: Overridable = "auto"
    keep_metadata: bool = False
    build: BuildOptions = field(default_factory=BuildOptions)
    latency: bool = False
    progress: Progress = SILENT
    trace: Callable[[Firing], None] | None = None
    calibrate: str = AUTO
    stats: Path | None = None
    synthetic_calibration: bool = False
    effort: Effort | None = None
    least: Mapping[str, float] = field(default_factory=dict[str, float])
    documents: Mapping[str, Document] = field(default_factory=dict[str, Document])


def compile_model(source: Path, output: Path, options: Options) -> CompileResult:
    """Compile one model file into an output folder.

    Raises:
        GraphoptError: of the kind that says what went wrong; nothing was written then.
    """
    with collection_paused():
        return _compile(source, output, options)


def _compile(source: Path, output: Path, options: Options) -> CompileResult:
    started = time.perf_counter()
    rules = load_rules(options.rules, options.skip)
    if not options.allow_unproved:
        refuse_unproved(rules)
    backends = _ready(options.targets)
    afresh = partial(load, source, overridable=options.overridable, notes=options.keep_metadata)
    with options.progress.task("loading"):
        model = afresh()
    _refuse_oversized(model, source, options.tensor_limit)
    refuse_to_replace(output, model.files())
    values = complete(read_interface(source, str(source)), options.shapes).values
    run = _Run(source, model, options, values)
    with staging(output) as folder, ExitStack() as held:
        gate, skipped = run.open_gate(held)
        sizes = sizes_of(model, run.samples[0].shapes) if run.samples else None
        before = account(model, file=source, sizes=sizes)
        context = Context(
            rules,
            Journal(),
            before.weight_bytes,
            options.fold_budget,
            options.progress,
            options.trace,
            skipped=options.skip,
            target=common_target(options.targets),
            targets=options.targets,
            calibration=run.calibration(),
        )
        path = folder.folder / "model.onnx"
        recipe = legalized(options.recipe, options.targets, allow_narrowing=options.allow_narrowing)
        rewriting = Rewriting(afresh, context, recipe, gate, options.check, options.on_parity_failure, path)
        model = rewriting.run(model)
        proofs = proof_states([rule for rule in rules if rule.place in fired_rules(rewriting.records)])
        artifacts = [run.build(backend, folder, path) for backend in backends]
        codes = tuple(found for a in artifacts if (found := engine_codes(model, a)) is not None)
        result = CompileResult(
            source=source,
            sha256=sha256_of(source),
            output=output,
            recipe=options.recipe.name,
            before=before,
            after=account(model, file=path, sizes=sizes),
            passes=tuple(rewriting.records),
            parity=rewriting.comparison,
            parity_skipped=skipped,
            artifacts=tuple(_published(a, folder) for a in artifacts),
            latency=run.time(path),
            notes=(
                *(*model.notes, *run.notes, *rewriting.notes, *_left_computed(rewriting.records), *_unproved(proofs)),
                *(note for found in codes for note in found.notes()),
            ),
            codes=codes,
            proofs=proofs,
            seconds=time.perf_counter() - started,
            warnings=(
                *(context.calibration.warnings if context.calibration is not None else ()),
                *(warning for record in rewriting.records for warning in record.details.get("warnings", ())),
            ),
            versions={name: version(name) for name in ("graphopt", "onnx", "onnxruntime", "numpy", "polygraphy")},
        )
        _write_journal(folder, rewriting.context.journal)
        for name, document in options.documents.items():
            with whole_file(folder.folder / name) as stream:
                stream.write(document(result))
        folder.publish()
    return result


class _Run:
    """What the steps of one compile share."""

    def __init__(self, source: Path, model: Model, options: Options, values: Mapping[str, ProfileShape]) -> None:
        self.source = source
        self.model = model
        self.options = options
        self.values = values
        self.notes: list[str] = []
        self.samples: list[Sample] = []

    def open_gate(self, held: ExitStack) -> tuple[Gate | None, str | None]:
        """The gate, or why there is none."""
        options = self.options
        checks = options.check != "none"
        try:
            if checks or options.latency:
                self._draw()
            elif options.data is not None:  # its shapes are what engines are built for
                from graphopt.data.sources import open_source
                from graphopt.parity.samples import REAL_SAMPLES

                interface = read_interface(self.source, str(self.source))
                self.samples = list(islice(open_source(options.data, interface), options.samples or REAL_SAMPLES))
            if not checks:
                return None, "--check none"
            from graphopt.parity.reference import Reference
            from graphopt.pipeline.gate import Gate

            reference = held.enter_context(
                Reference(self.source, self.samples, overridable=options.overridable, progress=options.progress)
            )
        except NotRunnable as error:
            return None, str(error)
        return Gate(reference, options.progress, stops=options.on_parity_failure != "warn"), None

    def _draw(self) -> None:
        from graphopt.parity.samples import parity_samples

        options = self.options
        drawn = parity_samples(
            self.source,
            data=options.data,
            profiles={n: s for n, s in options.shapes.items() if n not in self.values},
            values=self.values,
            count=options.samples,
            overridable=options.overridable,
        )
        self.notes += drawn.notes
        self.samples = list(drawn.samples)

    def calibration(self) -> Calibration | None:
        """What to calibrate with, if the user gave anything."""
        options = self.options
        samples: Iterable[Sample] | None = None
        if options.data is not None:
            from graphopt.data.sources import open_source

            samples = open_source(options.data, read_interface(self.source, str(self.source)))
        elif options.synthetic_calibration:
            if not self.samples:
                self._draw()
            samples = self.samples
        if samples is None and options.stats is None:
            return None
        is_synthetic = options.data is None and options.synthetic_calibration
        method = check_method(options.calibrate)
        return Calibration(samples, method, options.stats, is_synthetic, options.effort, options.least)

    def build(self, backend: Backend, folder: Staging, model: Path) -> Artifact:
        place = folder.folder / ENGINES / backend.name
        place.mkdir(parents=True)
        request = BuildRequest(model, place, self._profiles(), self.options.build)
        return backend.build(request, self.options.progress)

    def _profiles(self) -> dict[str, ProfileShape]:
        """Shapes as the user says, else as the user's data has them; what is left the backend decides."""
        if self.options.data is None:
            return dict(self.options.shapes)
        interface = read_interface(self.source, str(self.source))
        return {**observed(interface, [s.shapes for s in self.samples]), **self.options.shapes}

    def time(self, compiled: Path) -> tuple[Latency, ...]:
        """Original and compiled, with the session's own optimizations on and off."""
        if not self.options.latency or not self.samples:
            return ()
        from graphopt.pipeline.latency import measure

        sample = self.samples[0]
        with self.options.progress.task("measuring latency"):
            return tuple(measure(self.source, compiled, sample, settings) for settings in ("default", "off"))


def _ready(targets: Sequence[str]) -> list[Backend]:
    """The backends, each of them able to work here; known before anything takes time.

    Raises:
        UsageError: there is no such target.
        BackendError: one cannot work here.
    """
    backends = [registry.get(name) for name in dict.fromkeys(targets)]
    for backend in backends:
        found = backend.probe()
        if not found.available:
            raise BackendError(f"the target {backend.name} is not available: {found.reason}", help=found.help)
    return backends


def _refuse_oversized(model: Model, source: Path, limit: int) -> None:
    found = oversized(model, limit)
    if found is not None:
        node, value, size = found
        raise ModelError(
            f"{source} makes a tensor of {size / 2**30:.1f} GB: {value!r}",
            where=f"node {node.label}",
            help=f"the limit is {limit / 2**30:g} GB; --tensor-limit raises it",
        )


def _left_computed(records: Iterable[PassRecord]) -> Iterator[str]:
    """What constant folding left for its size, by the last record that tells."""
    last = [r.details["left"] for r in records if "left" in r.details]
    if last and last[-1]:
        size = sum(entry["bytes"] for entry in last[-1])
        yield (
            f"{len(last[-1])} constant values stay computed, as weights they would add {size / MEBIBYTE:.1f} MB; "
            f"--fold-budget {size // MEBIBYTE + 1}MB folds them"
        )


def fired_rules(records: Iterable[PassRecord]) -> set[str]:
    """The rules that fired, as rule@file:line."""
    return {rule for record in records for rule in record.firings}


def _unproved(proofs: Mapping[str, str]) -> Iterator[str]:
    found = [rule for rule, state in proofs.items() if state == UNPROVED]
    if found:
        yield f"fired without being proved: {', '.join(found)}"


def _published(artifact: Artifact, folder: Staging) -> Artifact:
    """The artifact with its files where they will be."""
    files = tuple(folder.output / f.relative_to(folder.folder) for f in artifact.files)
    return Artifact(artifact.target, files, artifact.bytes, artifact.seconds, artifact.details, artifact.layers)


def _write_journal(folder: Staging, journal: Journal) -> None:
    with whole_file(folder.folder / "journal.jsonl") as stream:
        for firing in journal.firings:
            stream.write(json.dumps(firing.to_json()).encode() + b"\n")
