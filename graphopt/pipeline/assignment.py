"""Which precision a recipe gives to which nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from graphopt.errors import RecipeError, did_you_mean

PRECISIONS = ("float32", "float16", "bfloat16", "int8", "float8e4m3fn")


class Assignment:
    """Precisions by selector, as in `graphopt.pipeline.selectors`; of several that name a node the last one counts.

    Selectors are looked up once, in the graph as it is when a pass first asks: what rules put in a node's place goes by
    its name.
    """

    def __init__(self, table: Mapping[str, str] | None = None) -> None:
        self.table = dict(table or {})
        self._found: dict[str, str] | None = None

    def check(self, given: Collection[str]) -> None:
        """
        Args:
            given: precisions that passes of the recipe give.

        Raises:
            RecipeError: a precision is none of them.
        """
        known = [name for name in PRECISIONS if name == "float32" or name in given]
        for selector, precision in self.table.items():
            if precision not in known:
                raise RecipeError(
                    f"no pass of the recipe gives {selector!r} the precision {precision!r}",
                    help=did_you_mean(precision, known) or f"precisions of this recipe: {', '.join(known)}",
                )

    def labels(self, select: Callable[[str], Collection[str]], precisions: Collection[str]) -> frozenset[str]:
        """Labels of the nodes that are given one of these precisions; `select` gives those that a selector names.

        Raises:
            RecipeError: a selector matches nothing.
        """
        if self._found is None:
            self._found = {label: kind for selector, kind in self.table.items() for label in select(selector)}
        return frozenset(label for label, kind in self._found.items() if kind in precisions)
