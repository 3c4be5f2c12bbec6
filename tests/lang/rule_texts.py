"""Rule files that the grammar allows, whatever they mean: every construct, nested, with comments and odd spacing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

NAMES = st.sampled_from(["x", "w", "b2", "order", "axes", "prune", "opset_", "when", "match", "let", "equal", "target"])
OPERATORS = st.sampled_from(["Conv", "Add", "Mul", "T", "com.microsoft::Gelu", "Relu"])
NUMBERS = st.sampled_from(["0", "1", "-1", "- 2", "0.5", "1e-3", "2.50", "1.4142135623730951", "9223372036854775807"])
TEXTS = st.sampled_from(['""', '"NOTSET"', r'"a \"b\" \\ \n \t"', '"# no comment"'])
SIGNS = ["==", "!=", "<", ">=", "in", "??", "++", "+", "-", "*", "/", "//", "%", "**", "and", "or"]


def joined(items: list[str]) -> str:
    return ", ".join(items)


def each_once(settings: list[str]) -> list[str]:
    """The last of each name. (`unique_by` would make Hypothesis write down the strategy, which is 33 kB long.)"""
    return list({setting.partition("=")[0]: setting for setting in settings}.values())


def calls(arguments: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    keywords = st.tuples(NAMES, arguments).map("=".join)
    inside = st.tuples(st.lists(arguments, max_size=3), st.lists(keywords, max_size=2).map(each_once)).map(
        lambda pair: joined([*pair[0], *pair[1]])
    )
    rests = st.sampled_from(["", ", **rest"])
    return st.one_of(
        st.tuples(NAMES, inside).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(arguments, NAMES, inside).map(lambda p: f"({p[0]}).{p[1]}({p[2]})"),
        st.tuples(OPERATORS, inside, rests).map(lambda p: f"{p[0]}({p[1]}{p[2] if p[1] else ''})"),
    )


def operations(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """With brackets around each operand, so that all of it nests in every way; the formatter takes most away."""
    return st.one_of(
        st.tuples(inner, st.sampled_from(SIGNS), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        inner.map(lambda i: f"-({i})"),
        inner.map(lambda i: f"not ({i})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]}) if ({p[1]}) else ({p[2]})"),
        st.lists(inner, max_size=4).map(lambda items: f"[{joined(items)}]"),
        st.tuples(inner, NAMES).map(lambda p: f"({p[0]}).{p[1]}"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
        st.tuples(inner, st.one_of(st.just(""), inner)).map(lambda p: f"({p[0]})[{p[1]}:]"),
        calls(inner),
    )


ATOMS = st.one_of(NAMES, NUMBERS, TEXTS, OPERATORS, st.sampled_from(["true", "false", "none"]))
EXPRESSIONS = st.recursive(ATOMS, operations, max_leaves=12)

LITERALS = st.recursive(
    st.one_of(NUMBERS, TEXTS), lambda inner: st.lists(inner, max_size=3).map(lambda i: f"[{joined(i)}]"), max_leaves=4
)
DIMS = st.lists(st.sampled_from(["n", "c", "3", "_", "...", "...size"]), max_size=3).map(joined)
TYPES = st.tuples(st.sampled_from(["T", "float32", "_"]), DIMS).map(lambda p: f"{p[0]}[{p[1]}]")
VARIABLES = st.tuples(
    st.sampled_from(["", "const "]), NAMES, st.sampled_from(["", "?"]), st.one_of(st.just(""), TYPES.map(": ".__add__))
).map("".join)
ATTRIBUTES = st.tuples(
    NAMES, st.one_of(LITERALS, NAMES, NAMES.map(lambda n: f"{n}?"), st.sampled_from(["_", "float32"]))
).map("=".join)


def patterns(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    others = st.one_of(VARIABLES, st.sampled_from(["_", "none", "*xs"]), NUMBERS, NUMBERS.map(lambda n: f"~{n}"), inner)
    attributes = st.lists(ATTRIBUTES, max_size=2).map(each_once)
    rests = st.lists(st.just("**rest"), max_size=1)
    arguments = st.tuples(st.lists(others, max_size=3), attributes, rests).map(lambda p: joined([*p[0], *p[1], *p[2]]))
    nodes = st.tuples(st.sampled_from(["Conv", "com.microsoft::Gelu", "T"]), arguments).map(lambda p: f"{p[0]}({p[1]})")
    products = st.lists(others, min_size=2, max_size=3).map(lambda items: f"Mul*({joined(items)})")
    return st.one_of(nodes, products, st.tuples(inner, inner).map(lambda p: f"({p[0]}) | {p[1]}"))


PATTERNS = st.recursive(st.just("Relu(x)"), patterns, max_leaves=5)

TARGETS = st.lists(st.one_of(NAMES, st.just("_")), min_size=1, max_size=2).map(joined)
STATEMENTS: dict[str, st.SearchStrategy[str]] = {
    "match": st.tuples(st.sampled_from(["", "shared "]), TARGETS, PATTERNS).map(lambda p: f"{p[0]}{p[1]} = {p[2]}"),
    "where": EXPRESSIONS,
    "when": EXPRESSIONS,
    "let": st.tuples(NAMES, EXPRESSIONS).map(" = ".join),
    "rewrite": st.tuples(TARGETS, EXPRESSIONS).map(" = ".join),
}
CLAUSES = st.sampled_from(["equal exact", "equal approx( 1e-3 )", "order  once", "priority -5", "opset >=13,<17"])
GENERICS = st.sampled_from(["", "<T: float16|float32>", "<T : float32 | float64, G: Gather|com.microsoft::Gelu>"])

INDICES = st.sampled_from(["1", "-1", "i", "axis", "perm[i]", "2:", ":-1", ":"])
AXES = st.tuples(st.sampled_from(["x", "y"]), INDICES).map(lambda p: f"{p[0]}[{p[1]}]")
RELATIONS = st.one_of(
    st.lists(AXES, min_size=2, max_size=3).map(" ~ ".join),
    st.tuples(AXES, st.lists(AXES, min_size=1, max_size=2)).map(lambda p: f"{p[0]} = fold({joined(p[1])})"),
)
MODIFIERS = st.lists(
    st.one_of(st.just("scaling group"), st.tuples(st.sampled_from(["when", "unless"]), EXPRESSIONS).map(" ".join)),
    max_size=2,
).map(joined)
FACTS = st.tuples(RELATIONS, MODIFIERS).map(lambda p: f"{p[0]} {p[1]}".rstrip())


@st.composite
def rules(draw: Draw) -> list[str]:
    lines = [f"rule {draw(NAMES)}{draw(GENERICS)}:"]
    if draw(st.booleans()):
        lines.append('"A sentence."')
    lines += draw(st.lists(CLAUSES, max_size=2))
    for kind in draw(st.lists(st.sampled_from(sorted(STATEMENTS)), min_size=1, max_size=4)):
        lines += [f"{kind}:", *draw(st.lists(STATEMENTS[kind], min_size=1, max_size=3))]
    return lines


@st.composite
def axes(draw: Draw) -> list[str]:
    head = f"axes {draw(OPERATORS)}(x, w?, *b) -> y:"
    facts = draw(st.lists(FACTS, min_size=1, max_size=3))
    if draw(st.booleans()):
        return [f"{head} {'; '.join(facts)}"]
    return [head, *facts]


@st.composite
def prunes(draw: Draw) -> list[str]:
    lines = [f"prune {draw(NAMES)}:", '"A sentence."']
    clauses = {
        "from": "Conv.y[1], com.microsoft::Gelu.y[-1]",
        "score": draw(EXPRESSIONS),
        "keep": "multiple_of(8), at_least( 8 )",
        "repair": "bias, least_squares",
    }
    return lines + [f"{k}: {clauses[k]}" for k in draw(st.permutations(sorted(clauses)))]


COMMENTS = st.sampled_from(["# a comment\n", '# say "so"\n', "#\n"])
OTHERS = st.sampled_from([["phase fuse"], ["opset 7..12"], ["opset>=13"], ['use "other.rules"']])


@st.composite
def files(draw: Draw) -> str:
    """A whole file: lines with odd indentation, empty lines, and comments between, behind and inside them."""
    lines = [
        line for block in draw(st.lists(st.one_of(rules(), axes(), prunes(), OTHERS), max_size=4)) for line in block
    ]
    text = ""
    for line in lines:
        text += "\n" * draw(st.sampled_from([0, 0, 0, 1, 3]))
        if draw(st.integers(0, 9)) == 0:
            text += " " * draw(st.integers(0, 12)) + draw(COMMENTS)
        text += " " * draw(st.integers(0, 12)) + _broken(draw, line)
        text += draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "   \n", "  # behind\n"]))
    return text


def _broken(draw: Draw, line: str) -> str:
    """A line that now and then goes on in the next one, where it may: behind a comma inside brackets."""
    if draw(st.integers(0, 9)):
        return line
    pieces = re.split(r'("(?:\\.|[^"\\])*"|[()\[\],])', line)
    depth, text = 0, ""
    for piece in pieces:
        depth += (piece in ("(", "[")) - (piece in (")", "]"))
        text += piece
        if piece == "," and depth > 0:
            text += draw(st.sampled_from(["\n", "  # inside\n   "]))
    return text
