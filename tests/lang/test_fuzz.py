"""Whatever a rule file holds, it is read, or refused with a RuleError; and what is read never breaks the engine."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphopt.errors import RewriteError
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.graph.validate import validate
from graphopt.lang import tree
from graphopt.lang.check import check
from graphopt.lang.diagnostics import RuleError
from graphopt.lang.parse import parse
from graphopt.rewrite.engine import Engine
from graphopt.rewrite.journal import Journal
from graphopt.rewrite.library import shipped_files
from graphopt.testing.cases import model_of
from tests.lang.test_format import only_the_look_changes

QUICK, THOROUGH = 150, 20000
HANGS = 60
"""Seconds after which a text that takes milliseconds counts as one that hangs."""

PASS = sorted((Path(__file__).parent / "pass").glob("*.rules"))
TEXTS = [*(f.source.text for f in shipped_files()), *(path.read_text(encoding="utf-8") for path in PASS)]
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?|\n\s*|[^\sA-Za-z0-9_]')
TOKENS = sorted({token for text in TEXTS for token in TOKEN.findall(text)})
MORE = [
    "**",
    "++",
    "??",
    "~",
    "...",
    "..",
    "::",
    "->",
    "|",
    "Mul*",
    "Gelu",
    "x",
    "T",
    "true",
    "9" * 30,
    "1e999",
    "\\",
    "\t",
    "é",
    "\x00",
]

GRAPH = """(float[1,3,6,6] x, float[5,6] m) => (float[A,B,C,D] p, float[5,4] q, float[A,B,C,D] r)
<float[3,3,1,1] w, float[3] b, float[3] gamma, float[3] var, float[6,4] v, float[4] c, float[3,1,1] d,
 int64[8] amounts = {0, 0, 1, 1, 0, 0, 1, 1}, int64[2] flat = {3, 36}>
{
    y = Conv (x, w, b)
    n = BatchNormalization (y, gamma, b, gamma, var)
    a = Add (n, d)
    h = Pad (a, amounts)
    p = Conv (h, w)
    k = MatMul (m, v)
    q = Add (k, c)
    t = Transpose <perm = [1, 0, 2, 3]> (x)
    u = Transpose (t)
    s = Reshape (u, flat)
    o, mask = Dropout (s)
    i = Identity (o)
    e = Cast <to = 11> (i)
    f = Cast <to = 1> (e)
    g = ConvTranspose (x, w)
    r = BatchNormalization (g, gamma, b, gamma, var)
}"""


@contextmanager
def guarded() -> Iterator[None]:
    def stop(_number: int, _frame: object) -> None:
        raise AssertionError(f"not done after {HANGS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read(text: str) -> tree.RuleFile | RuleError:
    try:
        file = parse(text, "fuzzed.rules")
        check([file])
    except RuleError as error:
        return error
    return file


def is_read_or_refused(text: str) -> None:
    with guarded():
        found = read(text)
        if isinstance(found, RuleError):
            assert found.diagnostics
            assert str(found).startswith("fuzzed.rules:")
        else:
            only_the_look_changes(text)
            never_breaks_the_engine(found)


def never_breaks_the_engine(file: tree.RuleFile) -> None:
    """Rules that pass the check may be wrong, and may not come to an end; but they leave the graph sound."""
    model = from_proto(model_of(GRAPH))
    complaint = run(file.rules, model)
    assert complaint is None or "have not come to an end" in complaint or "changed nothing" in complaint
    model.sort()
    validate(model)


def run(rules: tuple[tree.Rule, ...], model: Model) -> str | None:
    """What the engine complains of, if anything."""
    try:
        Engine(rules, model, {}).run(Journal(), "fuzz")
    except RewriteError as error:
        return str(error)
    return None


@st.composite
def mutated(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """A file that holds, changed token by token in a few places."""
    tokens = TOKEN.findall(draw(st.sampled_from(TEXTS)))
    first = draw(st.integers(0, max(0, len(tokens) - 120)))
    starts = [i for i, t in enumerate(tokens) if t == "rule"]
    start = max((s for s in starts if s <= first), default=0)
    end = next((s for s in starts if s > first), len(tokens))
    tokens = tokens[start:end]
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(tokens) - 1))
        change = draw(st.sampled_from(["replace", "replace", "insert", "delete", "swap", "copy", "cut"]))
        other = draw(st.sampled_from(TOKENS + MORE))
        length = draw(st.integers(1, 6))
        if change == "replace":
            tokens[place] = other
        elif change == "insert":
            tokens.insert(place, other)
        elif change == "delete" and len(tokens) > length:
            del tokens[place : place + length]
        elif change == "swap":
            target = draw(st.integers(0, len(tokens) - 1))
            tokens[place], tokens[target] = tokens[target], tokens[place]
        elif change == "copy":
            tokens[place:place] = tokens[place : place + length]
        elif change == "cut":
            tokens = tokens[: place + 1]
    return _joined(tokens)


def _joined(tokens: list[str]) -> str:
    """With a space where two words would grow together."""
    text = ""
    for token in tokens:
        if text and (text[-1].isalnum() or text[-1] == "_") and (token[0].isalnum() or token[0] == "_"):
            text += " "
        text += token
    return text


SOUP = st.lists(st.sampled_from(TOKENS + MORE), max_size=40).map(_joined)
ANY_TEXT = st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
KINDS = {"mutated rules": mutated(), "words in any order": SOUP, "any text": ANY_TEXT}


def holds(strategy: st.SearchStrategy[str], examples: int) -> None:
    profile = settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    profile(given(strategy)(is_read_or_refused))()


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_is_read_or_refused(kind: str):
    holds(KINDS[kind], QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_any_text_is_read_or_refused_at_length(kind: str):
    holds(KINDS[kind], THOROUGH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# nothing",
        "# nothing\r\n\r\n",
        "\ufeffopset >= 7\n",
        "rule r:\n" + "(" * 100_000,
        "rule r:\nwhere:\n" + "-" * 50_000 + "1\n",
        "rule r:\nwhere:\n" + "not " * 50_000 + "true\n",
        "rule r:\nwhere:\n" + "1 + " * 20_000 + "1\n",
        "rule r:\nwhere:\n" + "x ?? " * 20_000 + "1\n",
        "rule r:\nwhere:\n" + "x" + ".rank" * 20_000 + "\n",
        "rule r:\nwhere:\n" + "1 if x else " * 10_000 + "1\n",
        "rule r:\nwhere:\n" + "[" * 20_000 + "]" * 20_000 + "\n",
        "rule r:\nmatch:\ny = " + "Relu(" * 20_000 + "x" + ")" * 20_000 + "\n",
        "rule r:\nmatch:\ny = Mul*(" + ", ".join(f"v{i}" for i in range(20)) + ")\nrewrite:\ny = v0\n",
        "rule r:\nmatch:\ny = " + " | ".join(["Relu(x)"] * 5_000) + "\n",
        "opset >= " + "9" * 10_000 + "\n",
        'opset 7..99999999999\nrule r:\n"S."\nmatch:\ny = Relu(x)\nrewrite:\ny = x\n',
        'opset >= 0\nrule r:\n"S."\nmatch:\ny = Relu(x)\nrewrite:\ny = x\n',
        "priority " + "9" * 50 + "\n",
        'use "' + "a" * 100_000 + '"\n',
        'rule r:\n"\\x"\n',
        'rule r:\n"\\N{BULLET}"\nmatch:\ny = Relu(x)\nrewrite:\ny = x\n',
    ],
    ids=range(23),
)
def test_extremes(text: str):
    is_read_or_refused(text)
