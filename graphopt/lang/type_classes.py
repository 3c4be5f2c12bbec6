"""Sets of possibilities that are joined where two things must be equal (union-find)."""

from __future__ import annotations

from graphopt.graph.dtypes import DType

Key = tuple[str, object]
Options = frozenset[DType]


class Classes:
    """Classes of keys, each with what is possible for all of its members."""

    def __init__(self, everything: Options) -> None:
        self._everything = everything
        self._parents: dict[Key, Key] = {}
        self._options: dict[Key, Options] = {}

    def find(self, key: Key) -> Key:
        while (parent := self._parents.get(key)) is not None:
            key = parent
        return key

    def options(self, key: Key) -> Options:
        return self._options.get(self.find(key), self._everything)

    def narrow(self, key: Key, options: Options) -> bool:
        """Keep only these; whether any is left."""
        root = self.find(key)
        self._options[root] = self.options(root) & options
        return bool(self._options[root])

    def join(self, first: Key, second: Key) -> bool:
        """Make two classes one; whether anything is possible for it."""
        left, right = self.find(first), self.find(second)
        if left != right:
            options = self.options(left) & self.options(right)
            self._parents[left] = right
            self._options[right] = options
        return bool(self.options(right))
