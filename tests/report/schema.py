"""The report as docs/report.md describes it; whatever else is in one is an error."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Account(Strict):
    nodes: int
    operators: dict[str, int]
    constants: int
    parameters: int
    weight_bytes: int
    weight_dtypes: dict[str, int]
    macs: int
    macs_by_operator: dict[str, int]
    macs_assume: dict[str, int]
    macs_unknown: list[str]
    opsets: dict[str, int]
    functions: list[str]
    depth: int
    ir_version: int
    producer: str
    dynamic_dims: list[str]
    file_bytes: int | None


class Tolerance(Strict):
    source: str
    bitwise: bool
    max_abs: float | None
    max_rel: float | None
    sqnr_db: float | None
    cosine: float | None
    mismatches: int


class Output(Strict):
    name: str
    ok: bool
    judged: bool
    elements: int
    bitwise: bool
    mismatches: int
    scale: float | None
    max_abs: float | None
    max_rel: float | None
    sqnr_db: float | None
    cosine: float | None
    structure: str | None
    sample: str
    tolerance: Tolerance
    note: str | None


class Parity(Strict):
    contract: str
    ok: bool
    samples: int
    shapes: list[dict[str, list[int]]]
    outputs: list[Output]
    failures: list[str]
    notes: list[str]


class Pass(Strict):
    name: str
    seconds: float
    modified: bool
    nodes_before: int
    nodes_after: int
    firings: dict[str, int]
    contract: str
    parity: Parity | None
    details: dict[str, Any]


class Layer(Strict):
    name: str
    kind: str
    inputs: list[str]
    outputs: list[str]
    onnx_nodes: list[str]


class Artifact(Strict):
    target: str
    files: list[str]
    bytes: int
    seconds: float
    layers: list[Layer]
    details: dict[str, Any]


class Latency(Strict):
    settings: Literal["default", "off"]
    original: float
    compiled: float
    ratio: float
    runs: int
    shapes: str


class Source(Strict):
    path: str
    sha256: str


class Codes(Strict):
    target: str
    computed: list[str]
    missed: list[str]
    alone: list[str]


class Report(Strict):
    schema_: Literal["graphopt.report/1"]
    ok: bool
    source: Source
    output: str
    recipe: str
    before: Account
    after: Account
    passes: list[Pass]
    parity: Parity | None
    parity_skipped: str | None
    artifacts: list[Artifact]
    latency: list[Latency]
    proofs: dict[str, Literal["proved", "holds", "unproved"]]
    notes: list[str]
    warnings: list[str]
    codes: list[Codes]
    seconds: float
    versions: dict[str, str]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Report:
        """Pydantic has a `schema` of its own, so that field goes by another name here."""
        rest = dict(document)
        return cls.model_validate({"schema_": rest.pop("schema"), **rest})
