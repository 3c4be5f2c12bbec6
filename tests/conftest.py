"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.corpus import fetch

if TYPE_CHECKING:
    from tests.corpus.inputs import Arrays


class Corpus:
    """Trained models and their real inputs; what is missing is fetched once, whichever worker asks first."""

    def path(self, name: str) -> Path:
        """The file of a model or of a real input, by its name in tests/corpus/manifest.toml."""
        return fetch.provide(name)

    def inputs(self, name: str, count: int) -> list[Arrays]:
        """`count` real inputs of a model, name to array, as the model's own package would give them."""
        from tests.corpus.inputs import inputs

        return inputs(name, count)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return Corpus()
