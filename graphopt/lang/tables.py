"""The parser, from tables that were made beforehand: to make them takes five times as long as to read them.

`python -m graphopt.lang.tables` makes grammar.json anew from grammar.lark. With another version of lark, or another
grammar, than the file was made with, the parser is made from the grammar, and all is the same but slower.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lark import PostLex
from lark.lexer import TerminalDef


def load_parser(postlex: PostLex) -> Lark:
    """The parser of the rule language."""
    stored = _stored()
    if stored is None:
        return build_parser(postlex)
    # What lark's own stand-alone parsers call; it has no public name.
    load: Any = Lark._load_from_dict  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
    return load(stored["data"], stored["memo"], postlex=postlex)


def build_parser(postlex: PostLex) -> Lark:
    """The parser, from the grammar."""
    return Lark(_grammar(), parser="lalr", postlex=postlex, keep_all_tokens=True, maybe_placeholders=False)


def tables(postlex: PostLex) -> str:
    """The text of grammar.json."""
    parser: Any = build_parser(postlex)
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    del data["options"]["postlex"]
    document = {"grammar": _digest(), "lark": lark.__version__, "data": data, "memo": memo}
    return json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n"


def _stored() -> dict[str, Any] | None:
    text = _file("grammar.json").read_text(encoding="utf-8")
    stored: dict[str, Any] = json.loads(text, object_hook=_with_numbers)
    return stored if (stored["lark"], stored["grammar"]) == (lark.__version__, _digest()) else None


def _with_numbers(part: dict[str, Any]) -> dict[int | str, Any]:
    """JSON has no numbers as keys."""
    return {int(key) if key.isdecimal() else key: value for key, value in part.items()}


@cache
def _grammar() -> str:
    return _file("grammar.lark").read_text(encoding="utf-8")


def _digest() -> str:
    return hashlib.sha256(_grammar().encode()).hexdigest()


def _file(name: str) -> Traversable:
    return resources.files("graphopt.lang").joinpath(name)


def _write() -> None:
    from pathlib import Path

    from graphopt.lang.parse import Brackets

    Path(str(_file("grammar.json"))).write_text(tables(Brackets()), encoding="utf-8")


if __name__ == "__main__":
    _write()
