"""A Pygments lexer for rule files; installed, it is known as `graphopt-rules`, for files that end in .rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pygments.lexer import (
    RegexLexer,
    bygroups,  # pyright: ignore[reportUnknownVariableType]
    words,
)
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from graphopt.graph.dtypes import DType

SECTIONS = ("match", "where", "when", "let", "rewrite", "from", "score", "keep", "repair")
STATEMENTS = ("opset", "phase", "use", "rule", "axes", "prune")
CLAUSES = ("equal", "order", "priority")
OPERATOR_WORDS = ("and", "or", "not", "in", "if", "else")
MODIFIERS = ("shared", "const", "when", "unless", "scaling")
CONSTANTS = ("true", "false", "none")


class RulesLexer(RegexLexer):
    """Highlights by form alone: a Capitalised call is a node, a lower_case call a function, `name=` an attribute."""

    name = "graphopt rules"
    aliases: ClassVar[Sequence[str]] = ["graphopt-rules", "rules"]
    filenames: ClassVar[Sequence[str]] = ["*.rules"]
    url = ""

    tokens: ClassVar[dict[str, list[object]]] = {
        "root": [
            (r"#[^\n]*", Comment.Single),
            (r"\s+", Whitespace),
            (r'"(?:\\.|[^"\\\n])*"', String.Double),
            (r"(rule|prune)([ \t]+)([a-z]\w*)", bygroups(Keyword.Declaration, Whitespace, Name.Class)),
            (
                rf"({'|'.join(SECTIONS)})([ \t]*)(:)(?=[ \t]*(?:[^\s=]|\n|$))",
                bygroups(Keyword, Whitespace, Punctuation),
            ),
            (rf"({'|'.join(STATEMENTS)})(?=[ \t]+[^\s=])", Keyword.Declaration),
            (rf"(?<![\w.])({'|'.join(CLAUSES)})([ \t]+)(?=[a-z0-9-])", bygroups(Keyword, Whitespace)),
            (words(MODIFIERS, prefix=r"\b", suffix=r"(?=[ \t]+\w)"), Keyword),
            (words(OPERATOR_WORDS, prefix=r"\b", suffix=r"\b"), Operator.Word),
            (words(CONSTANTS, prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            (words(sorted(DType.__members__), prefix=r"\b", suffix=r"\b"), Keyword.Type),
            (r"[a-z][\w.]*::[A-Z]\w*|[A-Z]\w*(?=\*?\()", Name.Function),
            (r"[A-Z]\w*", Name.Class),
            (r"[a-z]\w*(?=\()", Name.Builtin),
            (r"[a-z]\w*(?==(?!=))", Name.Attribute),
            (r"[a-z]\w*|_", Name.Variable),
            (r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", Number),
            (r"\?\?|\+\+|\*\*|//|->|==|!=|<=|>=|\.\.\.?|[-+*/%<>=~|?]", Operator),
            (r"[()\[\],:;.]", Punctuation),
        ]
    }
