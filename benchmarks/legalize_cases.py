"""The node tests of the ONNX standard as files: a model, its inputs and what should come out."""

from __future__ import annotations

import json
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

CONSTANT_INPUTS: dict[str, tuple[int, ...]] = {
    # what exporters write as initializers or attributes: axes, shapes, sizes, counts, bounds, scales and zero points
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"), (1,)),
    **dict.fromkeys(("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Squeeze", "Unsqueeze"), (1,)),
    **dict.fromkeys(("Reshape", "Expand", "Tile", "TopK", "Split", "CumSum", "CumProd", "Trilu"), (1,)),
    **dict.fromkeys(("CenterCropPad", "AffineGrid", "SplitToSequence", "OneHot", "ConcatFromSequence"), (1,)),
    **dict.fromkeys(("HannWindow", "HammingWindow", "BlackmanWindow", "ConstantOfShape"), (0,)),
    "Slice": (1, 2, 3, 4),
    "Pad": (1, 2, 3),
    "Clip": (1, 2),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Dropout": (1, 2),
    "DFT": (1, 2),
    "STFT": (1, 2, 3),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "Range": (0, 1, 2),
    "NonMaxSuppression": (2, 3, 4),
    "MaxUnpool": (2,),
    "ImageDecoder": (),
    # weights of layers
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "ConvInteger": (1, 2, 3),
    "MatMulInteger": (1, 2, 3),
    "DeformConv": (1, 3),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "RMSNormalization": (1,),
    "PRelu": (1,),
    "LSTM": (1, 2, 3),
    "GRU": (1, 2, 3),
    "RNN": (1, 2, 3),
    "CausalConvWithState": (1, 2),
    "RotaryEmbedding": (1, 2),
    # quantization parameters, and quantized weights
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8),
    "QLinearMatMul": (1, 2, 3, 4, 5, 6, 7),
    # conditions and trip counts, where a real model has them at all
    "Loop": (0, 1),
    "If": (0,),
    "SequenceAt": (1,),
    "SequenceInsert": (2,),
    "SequenceErase": (1,),
}
"""By operator, the inputs that a real model has as constants; only those that a test gives from outside are frozen."""


@dataclass
class Case:
    """One node test.

    Attributes:
        name: as in the standard.
        model: the model, serialized.
        samples: inputs and expected outputs, in the order of the model's.
        rtol, atol: how near the outputs must be.
    """

    name: str
    model: bytes
    samples: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float


def write_cases(folder: Path) -> list[str]:
    """All node tests of the onnx wheel, one file each; returns their names in order."""
    index = folder / "index.txt"
    if not index.exists():
        from onnx.backend.test.loader import load_model_tests

        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tests of overflow warn while they are made
            tests: list[Any] = load_model_tests(kind="node")
        for test in tests:
            with zipfile.ZipFile(folder / f"{test.name}.zip", "w") as archive:
                archive.writestr("model.onnx", test.model.SerializeToString())
                archive.writestr("tolerance.json", json.dumps([test.rtol, test.atol]))
                for number, sample in enumerate(test.data_sets):
                    for side, values in zip("io", sample, strict=True):
                        for index_of, value in enumerate(values):
                            kind, data = _encoded(value)
                            archive.writestr(f"{number}/{side}/{index_of}/{kind}", data)
        index.write_text("\n".join(test.name for test in tests))
    return index.read_text().split()


def _encoded(value: Any) -> tuple[str, bytes]:
    if value is None:
        return "none", b""
    if isinstance(value, onnx.TensorProto):
        return "tensor", value.SerializeToString()
    if isinstance(value, list):
        return "sequence", numpy_helper.from_list([np.asarray(v) for v in value]).SerializeToString()
    return "tensor", numpy_helper.from_array(np.asarray(value)).SerializeToString()


def _decoded(kind: str, data: bytes) -> Any:
    if kind == "none":
        return None
    if kind == "sequence":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def read_case(folder: Path, name: str) -> Case:
    """A case that `write_cases` wrote."""
    samples: list[tuple[list[Any], list[Any]]] = []
    with zipfile.ZipFile(folder / f"{name}.zip") as archive:
        rtol, atol = json.loads(archive.read("tolerance.json"))
        for entry in archive.namelist():
            if entry.count("/") == 3:
                number, side, _, kind = entry.split("/")
                if int(number) == len(samples):
                    samples.append(([], []))
                samples[int(number)]["io".index(side)].append(_decoded(kind, archive.read(entry)))
        return Case(name, archive.read("model.onnx"), samples, rtol, atol)


def freeze(model: onnx.ModelProto, case: Case) -> list[str]:
    """Make initializers of those inputs that real models have as constants; returns their names.

    Only where all samples of the test agree on the value, and at least one input is left, unless the operator has
    none but such.
    """
    graph = model.graph
    given = {value.name: index for index, value in enumerate(graph.input)}
    wanted: dict[str, None] = {}
    for node in graph.node:
        for index in CONSTANT_INPUTS.get(node.op_type, ()) if node.domain in ("", "ai.onnx") else ():
            if index < len(node.input) and node.input[index] in given:
                wanted[node.input[index]] = None
    frozen: list[str] = []
    for name in wanted:
        tensors = [_tensor(inputs[given[name]], name) for inputs, _ in case.samples]
        if tensors and all(t is not None and t == tensors[0] for t in tensors):
            graph.initializer.append(tensors[0])
            frozen.append(name)
    kept = [value for value in graph.input if value.name not in frozen]
    del graph.input[:]
    graph.input.extend(kept)
    return frozen


def _tensor(value: Any, name: str) -> onnx.TensorProto | None:
    return numpy_helper.from_array(value, name) if isinstance(value, np.ndarray) else None
