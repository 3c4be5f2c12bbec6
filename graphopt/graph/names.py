"""The one authority for names: fresh ones collide with nothing, in any scope of the model."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """Every value and node name of a model, bodies and functions included."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def take(self, name: str) -> None:
        """Reserve a name that a file uses."""
        self._taken.add(name)

    def fresh(self, base: str) -> str:
        """`base` if free, else `base_1`, `base_2` and so on; reserved from now on."""
        name = base or "value"
        if name in self._taken:
            count = self._next.get(base, 1)
            while f"{base}_{count}" in self._taken:
                count += 1
            name = f"{base}_{count}"
            self._next[base] = count + 1
        self._taken.add(name)
        return name


def unnamed(op_type: str, outputs: Iterable[str]) -> str:
    """How messages name a node that has no name: by its operator and first output."""
    return f"{op_type}({next(filter(None, outputs), '')})"
