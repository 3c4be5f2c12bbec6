"""`graphopt explain`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard, cast

import typer

if TYPE_CHECKING:
    from graphopt.rewrite.explain import Explanation
    from graphopt.rewrite.watch import Stop

LONGEST = 200
"""Characters of a binding that are shown."""


def explain(
    model: Annotated[Path, typer.Argument(help="The ONNX model.", show_default=False)],
    rule: Annotated[str, typer.Option(help="The rule.", show_default=False)],
    node: Annotated[str | None, typer.Option(help="One node, by its name or an output of it.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Explain the graph that this recipe leaves.")] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(help="A rule file of yours, or a folder. May be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Tell where a rule would fire in a model, and for the best partial match what keeps it from firing."""
    from graphopt.cli.console import emit
    from graphopt.graph.load import load
    from graphopt.pipeline.recipe import Recipe
    from graphopt.pipeline.unchecked import rewrite_unchecked
    from graphopt.rewrite.explain import explain as explain_rule
    from graphopt.rewrite.library import load_rules

    known = load_rules(rules or [])
    loaded = load(model)
    if recipe is not None:
        rewrite_unchecked(loaded, known, Recipe.load(recipe))
    found = explain_rule(known, rule, loaded, node)
    if json:
        emit(_document(found))
    else:
        _show(found, one=node is not None)


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "schema": "graphopt.explain/1",
        "rule": found.rule,
        "candidates": found.candidates,
        "fires": list(found.fires),
        "stops": [{"node": node, **_stop(stop)} for node, stop in found.stops],
        "reason": found.reason,
    }


def _stop(stop: Stop) -> dict[str, Any]:
    return {
        "kind": stop.kind,
        "place": stop.span.place,
        "text": stop.text,
        "matched": list(stop.nodes),
        "bindings": {name: _text(value) for name, value in stop.bindings.items()},
        "values": {text: _text(value) for text, value in stop.values.items()},
    }


def _show(found: Explanation, *, one: bool) -> None:
    from graphopt.cli.console import console

    out = console()
    out.print(found.rule)
    if found.reason is not None:
        out.print(f"does not apply: {found.reason}")
        return
    if found.fires:
        places = ", ".join(found.fires[:8]) + (", ..." if len(found.fires) > 8 else "")
        out.print(f"fires at {len(found.fires)} of {found.candidates} candidates: {places}")
    else:
        out.print(f"fires at none of {found.candidates} candidates")
    if found.best is None:
        return
    node, stop = found.best
    out.print(f"\n{'At' if one else 'Farthest without success, at'} {node}:")
    if stop.nodes:
        out.print(f"  matched: {', '.join(stop.nodes)}")
    for name, value in stop.bindings.items():
        if name != "opset":
            out.print(f"  {name} = {_text(value)}")
    for text, value in stop.values.items():
        out.print(f"  {text} = {_text(value)}")
    out.print(f"{_WHAT[stop.kind]} {stop}")


_WHAT = {
    "structure": "the graph differs:",
    "false": "a condition is false:",
    "unknown": "not established:",
    "declined": "the rewrite declines:",
}


def _is_word(value: object) -> TypeGuard[bool | None]:
    return value is None or isinstance(value, bool)


def _text(value: object) -> str:
    """A value in the words of the language, shortened."""
    from graphopt.graph.dtypes import DType
    from graphopt.lang.values import Constant

    if isinstance(value, DType):
        return value.name
    if isinstance(value, Constant) and value.array.size == 1:
        return f"constant {value.array.item()}"
    if isinstance(value, Constant):
        return f"constant of shape {list(value.array.shape)}"
    if isinstance(value, Mapping):
        names = ", ".join(str(name) for name in cast("Mapping[str, object]", value))
        return f"attributes {names or '(none)'}"
    if isinstance(value, tuple):
        text = f"[{', '.join(_text(item) for item in cast('tuple[object, ...]', value))}]"
    else:
        text = {True: "true", False: "false", None: "none"}[value] if _is_word(value) else str(value)
    return text if len(text) < LONGEST else f"{text[: LONGEST - 3]}..."
