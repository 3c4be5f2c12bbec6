"""The pass `unpack-sequences`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, unpack_sequences


@dataclass(frozen=True)
class UnpackSequences(Pass):
    """Let what reads an element of a sequence read the tensor itself, where it is known which one that is.

    1. SplitToSequence of which elements are taken: a Split. torch's newer exporter writes chunk and split that way.
    2. Elements of SequenceConstruct and SequenceEmpty, after SequenceInsert and SequenceErase.
    3. ConcatFromSequence without a new axis: a Concat. SequenceLength: a constant.

    Contract: exact. A sequence that is an output, or goes into a body as a whole, stays.
    """

    name: ClassVar[str] = "unpack-sequences"

    @property
    def idempotent(self) -> bool:
        return True

    def apply(self, model: Model, context: Context) -> PassResult:
        readers = unpack_sequences(model)
        return PassResult(readers > 0, details={"readers": readers})
