"""Kernels out of the builder's log, and the header of an engine."""

from __future__ import annotations

import struct

import pytest

from graphopt.backends import plan_header
from graphopt.backends.base import FusedLayer
from graphopt.backends.layers import parse_layers
from graphopt.backends.plan_header import PlanHeader


def tensor(name: str, dtype: str) -> str:
    return (
        f"{{ Name: {name}, Dimensions: [1,3], Strides: [3,1], StrideOrder: [1,0], Datatype: {dtype}, "
        "Format: (Linear) Row major linear format }"
    )


def dump(*records: str) -> str:
    return "Layers:\n" + "\n".join(records) + "\n\nI/O Tensors:\n Name: x, IOMode: Input\n\nEngine Metadata:\n"


def record(name: str, metadata: str, extra: str = "") -> str:
    return (
        f"Name: {name}, LayerType: kgen, Inputs: [ {tensor('a', 'Float')}, {tensor('b', 'Int8')}], "
        f"Constants: [ {tensor('k', 'Half')}], Outputs: [ {tensor('c', 'BFloat16')}], TacticName: t_0x1, "
        f"StreamId: 0, {extra}Metadata: {metadata}"
    )


def test_dtypes_and_nodes_of_a_kernel() -> None:
    text = dump(record("k0", "[ONNX Layer: conv]\x1f[ONNX Layer: node_of_y]"), record("k1", ""))
    assert parse_layers(text, {"conv": "conv", "node_of_y": "Relu(y)"}) == (
        FusedLayer("k0", "kgen", ("float32", "int8"), ("bfloat16",), ("conv", "Relu(y)")),
        FusedLayer("k1", "kgen", ("float32", "int8"), ("bfloat16",), ()),
    )


def test_nodes_inside_bodies_and_jumps() -> None:
    text = dump(record("k", "[ONNX Layer: node_of_t | body (then_branch) | node_of_y (If)]", "JumpTarget: k, "))
    (layer,) = parse_layers(text, {"node_of_t": "Relu(t)", "node_of_y": "If(y)"})
    assert layer.onnx_nodes == ("Relu(t) | body (then_branch) | If(y) (If)",)


@pytest.mark.parametrize("name", ["a]b", "a[ONNX Layer: b]", "a, Name: b", "a}, b", "a\nb", "a\n\nLayers:"])
def test_names_that_look_like_the_dump(name: str) -> None:
    text = dump(record("k0", f"[ONNX Layer: {name}]\x1f[ONNX Layer: next]"), record("k1", "[ONNX Layer: last]"))
    assert [layer.onnx_nodes for layer in parse_layers(text, {})] == [(name, "next"), ("last",)]


def test_no_dump_is_no_layers() -> None:
    assert parse_layers("", {}) == ()


HEADER = b"vtrt" + bytes(12) + struct.pack("<Q", 4096) + bytes([1, 7, 1, 116]) + bytes(4) + struct.pack("<I", 6)
HEAD = HEADER.ljust(64, b"\0")


def test_header() -> None:
    assert plan_header.read(HEAD) == PlanHeader("vtrt", 4096, "1.7.1.116", 6)
    assert plan_header.fault(HEAD, magic="vtrt", size=4096, version="1.7.1.116", mask=6) is None


@pytest.mark.parametrize(
    ("head", "size", "mask", "fault"),
    [
        (HEAD[:40], 4096, 6, "it has 40 bytes, fewer than its header"),
        (b"ftrt" + HEAD[4:], 4096, 6, "its header says magic 'ftrt', not 'vtrt'"),
        (HEAD, 4095, 6, "its header says size 4096, not 4095"),
        (HEAD, 4096, 2, "its header says compute capabilities 0x6, not 0x2"),
    ],
)
def test_header_of_another_engine(head: bytes, size: int, mask: int, fault: str) -> None:
    assert plan_header.fault(head, magic="vtrt", size=size, version="1.7.1.116", mask=mask) == fault
