"""Text cases: what a rule does to a graph, in ONNX's own text syntax.

A file holds the cases of the rule that it is named after, which ships or is in a rule file that is said:

    fires: a bias of its own
    opsets: 9, 13
    dtypes: float, float16
    (float[1,3,6,6] x) => (float[1,4,4,4] z)
    <float[4,3,3,3] w, float[4] gamma, float[4] beta, float[4] mean, float[4] var>
    {
        y = Conv (x, w)
        z = BatchNormalization (y, gamma, beta, mean, var)
    }
    becomes
    {
        z = Conv (x, folded_w, folded_b)
    }

    stays: the weight is computed
    ...

Every combination of the opsets and dtypes is a test; `float` stands for each of the dtypes. What is declared
between < > without data is a weight whose data follows from its name, type and shape (a name that begins with `var`
is positive, as a variance is). After `becomes`, a name that nothing defines is a constant, whatever its data: that it
is the right data is seen when both graphs run.

Further headers: `firings: N` (1 if not said), `in a body: N` (firings where the graph is the body of an If; as many
as elsewhere if not said), `not run: why` (no runtime takes the graph, which must then stay as it is).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from onnx import parser

from graphopt.errors import UsageError
from graphopt.testing.weights import weight, with_dtype

IR_VERSION = 8
TITLE = re.compile(r"^(fires|stays): (.+)$")
HEADERS = ("opsets", "dtypes", "firings", "in a body", "not run")


@dataclass(frozen=True)
class Case:
    """One titled case of one rule."""

    rule: str
    title: str
    fires: bool
    before: str
    after: str
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def opsets(self) -> tuple[int, ...]:
        return tuple(int(o) for o in self.headers.get("opsets", "17").split(","))

    @property
    def dtypes(self) -> tuple[str, ...]:
        return tuple(d.strip() for d in self.headers.get("dtypes", "float").split(","))

    @property
    def firings(self) -> int:
        return int(self.headers.get("firings", "1")) if self.fires else 0

    @property
    def firings_in_a_body(self) -> int:
        return int(self.headers.get("in a body", self.firings))

    @property
    def not_run(self) -> str | None:
        return self.headers.get("not run")

    def model(self, opset: int, dtype: str) -> onnx.ModelProto:
        """The graph that the rule meets, weights included."""
        return model_of(self.before, opset, dtype)

    def expected(self, opset: int, dtype: str) -> onnx.ModelProto:
        """The graph that it leaves; names that nothing defines stand for constants."""
        return model_of(self.after, opset, dtype, complete=False) if self.fires else self.model(opset, dtype)


@dataclass(frozen=True)
class Variant:
    """A case at one opset and one dtype."""

    case: Case
    opset: int
    dtype: str

    @property
    def model(self) -> onnx.ModelProto:
        return self.case.model(self.opset, self.dtype)

    def __str__(self) -> str:
        return f"{self.case.rule}: {self.case.title} [{self.opset}-{self.dtype}]"


def variants_of(case: Case) -> list[Variant]:
    """A case at each of its opsets and dtypes."""
    return [Variant(case, opset, dtype) for opset in case.opsets for dtype in case.dtypes]


def read_cases(path: Path) -> list[Case]:
    """The cases of one file, for the rule of its name.

    Raises:
        UsageError: a case is not written as it has to be.
    """
    return parse_cases(path.read_text(encoding="utf-8"), path.stem)


def parse_cases(text: str, rule: str) -> list[Case]:
    """The cases in a text; lines that begin with # are comments."""
    cases: list[Case] = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    starts = [i for i, line in enumerate(lines) if TITLE.match(line)]
    if not starts or any(line.strip() for line in lines[: starts[0]]):
        raise UsageError(f"the cases of {rule} do not begin with 'fires: TITLE' or 'stays: TITLE'")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        cases.append(_case(lines[start:end], rule))
    titles = [case.title for case in cases]
    if len(set(titles)) < len(titles):
        raise UsageError(f"two cases of {rule} have one title")
    return cases


def _case(lines: list[str], rule: str) -> Case:
    kind, _, title = lines[0].partition(": ")
    first = next((i for i, line in enumerate(lines) if line.startswith("(")), None)
    if first is None:
        raise UsageError(f"{rule}: {title}: there is no graph", help="one begins with its inputs: (float[4] x) => ...")
    headers: dict[str, str] = {}
    for line in lines[1:first]:
        key, _, value = line.partition(":")
        if key not in HEADERS:
            raise UsageError(f"{rule}: {title}: there is no header {key!r}", help=f"headers: {', '.join(HEADERS)}")
        headers[key] = value.strip()
    before, _, after = "\n".join(lines[first:]).partition("\nbecomes\n")
    if bool(after) != (kind == "fires"):
        raise UsageError(f"{rule}: {title}: what fires has a graph behind 'becomes', and what stays has none")
    if after and not after.startswith("("):
        after = f"{_signature(before)}\n{after}"
    return Case(rule, title, kind == "fires", before, after, headers)


def _signature(graph: str) -> str:
    """The inputs and outputs: everything before the first `<` or `{` that opens declarations or nodes."""
    return re.split(r"\n[<{]", graph, maxsplit=1)[0]


def model_of(graph: str, opset: int = 17, dtype: str = "float", *, complete: bool = True) -> onnx.ModelProto:
    """The model of a graph in text; `complete` turns declarations of what no node makes into weights."""
    header = f'<ir_version: {IR_VERSION}, opset_import: ["" : {opset}, "test" : 1]>'
    model = with_dtype(parser.parse_model(f"{header}\ncase {graph}"), dtype)
    if complete:
        add_weights(model.graph)
    return model


def add_weights(graph: onnx.GraphProto) -> None:
    """Turn declarations of what no node makes into initializers."""
    made = {name for node in graph.node for name in node.output}
    given = {tensor.name for tensor in graph.initializer}
    declared = list(graph.value_info)
    del graph.value_info[:]
    for info in declared:
        if info.name in made:
            graph.value_info.append(info)
        elif info.name not in given:
            graph.initializer.append(weight(info))
