"""Torch tensors as the arrays that models take and give."""

from __future__ import annotations

import torch

from graphopt.data.sample import Array
from graphopt.graph.dtypes import DType

_CARRIERS = {1: torch.uint8, 2: torch.uint16}
"""Unsigned integers that carry the bits of what numpy itself lacks, by size in bytes."""


def dtype_of(tensor: torch.Tensor) -> DType:
    """ONNX's name for a tensor's element type.

    Raises:
        KeyError: ONNX has none.
    """
    return DType[str(tensor.dtype).removeprefix("torch.").replace("float8_", "float8")]


def array_of(tensor: torch.Tensor) -> Array:
    """The tensor as numpy holds it, bfloat16 and float8 through ml_dtypes.

    Raises:
        KeyError: ONNX has no such element type.
    """
    plain = tensor.detach().cpu().contiguous()
    dtype = dtype_of(tensor)
    if dtype is DType.bfloat16 or dtype.name.startswith("float8"):
        return plain.view(_CARRIERS[plain.element_size()]).numpy().view(dtype.numpy)
    return plain.resolve_conj().numpy()
