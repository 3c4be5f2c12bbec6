"""Samples in the JSON that Polygraphy writes: a list of dicts of arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from graphopt.data.attempts import strict
from graphopt.data.fit import try_fit
from graphopt.data.quiet_polygraphy import quiet_polygraphy
from graphopt.data.sample import Attempts, Sample
from graphopt.errors import DataError
from graphopt.graph.interface import Interface


@dataclass(frozen=True)
class JsonSource:
    """A file as `polygraphy run --save-inputs` writes it."""

    path: Path
    interface: Interface

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def len_hint(self) -> int | None:
        return None

    def __iter__(self) -> Iterator[Sample]:
        return strict(self.attempts())

    def attempts(self) -> Attempts:
        for row, item in enumerate(_samples(self.path)):
            where = f"{self.path}[{row}]"
            if isinstance(item, Mapping):
                yield try_fit(where, cast("Mapping[str, object]", item), self.interface)
            else:
                yield DataError(f"a sample is {type(item).__name__}, not a dict of arrays by input name", where=where)


def _samples(path: Path) -> list[object]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError("the file is not text, and so no JSON", where=str(path)) from None
    with quiet_polygraphy() as module:
        polygraphy_json = module("polygraphy.json")
        polygraphy_json.from_json("null")  # registers the decoders
        marker = module("polygraphy.constants").TYPE_MARKER

        def decode(pairs: list[tuple[str, Any]]) -> object:
            fields = dict(pairs)
            if fields.get(marker) == "Tensor" or "__polygraphy_encoded_Tensor" in fields:
                raise DataError(
                    "the file holds torch tensors, which would have to be unpickled",
                    where=str(path),
                    help="save numpy arrays",
                )
            return polygraphy_json.Decoder()(pairs)

        try:
            loaded = json.loads(text, object_pairs_hook=decode)
        except DataError:
            raise
        except Exception as error:  # the decoders raise whatever the garbled array within makes them raise
            first_line = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(f"the file is not Polygraphy's JSON: {first_line}", where=str(path)) from None
    if not isinstance(loaded, list) or not loaded:
        raise DataError(
            "the file holds no list of samples",
            where=str(path),
            help="write it with polygraphy.json.save_json([{input: array, ...}, ...], path)",
        )
    return cast("list[object]", loaded)
