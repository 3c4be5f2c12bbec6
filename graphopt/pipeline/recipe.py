"""Recipes: which passes run, in which order, with which options. TOML, validated to the last key."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from graphopt.errors import RecipeError, did_you_mean
from graphopt.pipeline.passes import Pass, find_pass

KEYS = ("description", "after", "like", "rounds", "precision", "pass")


@dataclass(frozen=True)
class Recipe:
    """A list of passes, run in order, again and again until a round changes nothing or `rounds` have run. Another
    recipe may go `before`, with rounds of its own. `precision` tells by selector in what nodes are computed."""

    name: str
    description: str
    passes: tuple[Pass, ...]
    rounds: int = 1
    before: Recipe | None = None
    precision: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def stages(self) -> tuple[Recipe, ...]:
        """This recipe behind those that go before it."""
        return (*(self.before.stages if self.before is not None else ()), self)

    @staticmethod
    def load(name_or_path: str | Path) -> Recipe:
        """A recipe that ships, by name, or one from a TOML file.

        Raises:
            RecipeError: there is no such recipe, or it has an unknown key, pass or value.
        """
        text = str(name_or_path)
        if not text.endswith(".toml"):
            return _shipped(text)
        path = Path(text)
        try:
            content = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RecipeError(f"there is no recipe file {path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read the recipe {path}: {error}") from None
        return parse_recipe(content, path.stem, str(path))


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with graphopt."""
    folder = resources.files("graphopt.pipeline").joinpath("recipes")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def _shipped(name: str) -> Recipe:
    known = shipped_recipes()
    if name not in known:
        hint = did_you_mean(name, known) or f"recipes: {', '.join(known)}."
        raise RecipeError(f"there is no recipe {name!r}", help=f"{hint} A file's name ends in .toml")
    file = resources.files("graphopt.pipeline").joinpath("recipes", f"{name}.toml")
    return parse_recipe(file.read_text(encoding="utf-8"), name, f"recipe {name}")


def parse_recipe(text: str, name: str, where: str) -> Recipe:
    """A recipe from TOML text.

    Raises:
        RecipeError: it is not TOML, or has an unknown key, pass or value.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"the recipe is not TOML: {error}", where=where) from None
    for key in content:
        if key not in KEYS:
            raise RecipeError(f"a recipe has no key {key!r}", where=where, help=_suggest(key, KEYS))
    description = content.get("description", "")
    if not isinstance(description, str):
        raise RecipeError(f"description is {description!r}", where=where, help="a description is a text")
    precision = _precision(content.get("precision", {}), where)
    if "like" in content:
        return _like(content, name, where, precision)
    entries = _entries(content.get("pass"))
    if not entries:
        raise RecipeError("the recipe lists no passes", where=where, help='begin each with [[pass]] and use = "NAME"')
    rounds = content.get("rounds", 1)
    if type(rounds) is not int or not 1 <= rounds <= 100:
        raise RecipeError(f"rounds is {rounds!r}", where=where, help="rounds is a whole number from 1 to 100")
    passes = tuple(make_pass(entry, f"{where}, pass {i}") for i, entry in enumerate(entries, 1))
    return Recipe(name, description, passes, rounds, _before(content.get("after"), where), precision)


def _like(content: Mapping[str, Any], name: str, where: str, precision: Mapping[str, str]) -> Recipe:
    """A recipe that ships, with precisions of another file."""
    for key in ("pass", "after", "rounds"):
        if key in content:
            raise RecipeError(f"the recipe is like another one, and has {key!r} of its own", where=where)
    found = _before(content["like"], where)
    assert found is not None
    return replace(found, name=name, description=content.get("description", found.description), precision=precision)


def _precision(value: Any, where: str) -> dict[str, str]:
    """Precisions by selector."""
    table = cast("dict[str, Any]", value) if isinstance(value, dict) else None
    if table is None or not all(isinstance(kind, str) for kind in table.values()):
        raise RecipeError(f"precision is {value!r}", where=where, help='write lines such as "operator:Conv" = "int8"')
    return table


def _before(name: Any, where: str) -> Recipe | None:
    """The recipe that ships under this name: those of files could go round in circles."""
    if name is None:
        return None
    if not isinstance(name, str) or name not in shipped_recipes():
        hint = did_you_mean(str(name), shipped_recipes()) or f"recipes: {', '.join(shipped_recipes())}"
        raise RecipeError(f"no recipe {name!r} ships", where=where, help=hint)
    return _shipped(name)


def _entries(value: Any) -> list[dict[str, Any]]:
    """The tables of an array of tables; none where it is anything else."""
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return entries if all(isinstance(entry, dict) for entry in entries) else []


def make_pass(entry: Mapping[str, Any], where: str) -> Pass:
    """A pass from what a recipe says of it: its name under `use`, and its options.

    Raises:
        RecipeError: there is no such pass or option, or an option has no such value.
    """
    options = dict(entry)
    name = options.pop("use", None)
    if not isinstance(name, str):
        raise RecipeError("a pass has no name", where=where, help='write use = "NAME"')
    try:
        pass_type = find_pass(name)
    except RecipeError as error:
        raise RecipeError(error.message, where=where, help=error.help) from None
    known = [f.name.replace("_", "-") for f in dataclasses.fields(pass_type)]
    for key in options:
        if key not in known:
            raise RecipeError(f"the pass {name} has no option {key!r}", where=where, help=_suggest(key, known))
    named = {key.replace("-", "_"): value for key, value in options.items()}
    try:
        # by way of JSON, whose arrays make tuples and whose strict reading makes no numbers of texts
        return TypeAdapter(pass_type).validate_json(json.dumps(named, default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(p).replace("_", "-") for p in first["loc"])
        what = f"the option {option} of the pass {name}" if option else f"the pass {name}"
        raise RecipeError(f"{what}: {first['msg'].removeprefix('Value error, ')}", where=where) from None


def _suggest(key: str, known: tuple[str, ...] | list[str]) -> str:
    near = did_you_mean(key, known)
    return near or (f"known: {', '.join(known)}" if known else "it has no options")
