"""What the sidecar of an engine holds, out of what the builder told. docs/targets.md says how to read it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from graphopt.backends import plan_header
from graphopt.backends.base import BuildOptions, FusedLayer, ProfileShape
from graphopt.backends.child_process import Event
from graphopt.backends.messages import plain_text
from graphopt.backends.profiles import Profiles
from graphopt.errors import BackendError
from graphopt.graph.interface import Interface
from graphopt.targets import Plan, Target

Json = dict[str, Any]

DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
"""Our names for the element types that inputs and outputs can have in the API."""


def engine_details(
    target: Target,
    options: BuildOptions,
    engine: Path,
    built: Event,
    version: str,
    interface: Interface,
    profiles: Profiles,
    layers: tuple[FusedLayer, ...],
) -> Json:
    """The engine's part of the sidecar.

    Raises:
        BackendError: the engine's header contradicts what was asked for.
    """
    header = _header(target, options, engine, version)
    return {
        "compute_capabilities": _capabilities(target, options, header),
        "engine": {
            "file": engine.name,
            "bytes": built["bytes"],
            "sha256": built["sha256"],
            "header": asdict(header) if header else None,
        },
        "inputs": [{**_tensor(tensor), **_profile(tensor["name"], profiles)} for tensor in built["inputs"]],
        "outputs": [_tensor(tensor) for tensor in built["outputs"]],
        "layers": [asdict(layer) for layer in layers],
        "warnings": _warnings(target, built, interface),
    }


def _header(target: Target, options: BuildOptions, engine: Path, version: str) -> plan_header.PlanHeader | None:
    """The header, if this version's is known."""
    plan = target.plan
    if plan is None or not version.startswith(plan.version):
        return None
    with engine.open("rb") as stream:
        head = stream.read(plan_header.SIZE)
    mask = _mask(target, plan, options)
    fault = plan_header.fault(head, magic=plan.magic, size=engine.stat().st_size, version=version, mask=mask)
    if fault:
        raise BackendError(
            f"{target.title} made an engine that is not what was asked for: {fault}",
            help=f"this is a fault of {target.title}; another version of it may do",
        )
    return plan_header.read(head)


def _mask(target: Target, plan: Plan, options: BuildOptions) -> int:
    if not options.compute_capabilities:
        return plan.default_mask
    return sum(1 << target.capabilities[name].bit for name in set(options.compute_capabilities))


def _capabilities(target: Target, options: BuildOptions, header: plan_header.PlanHeader | None) -> list[str]:
    """By name; "later" stands for bits that have none."""
    if header is None:
        return list(options.compute_capabilities)
    named = {fact.bit: name for name, fact in target.capabilities.items()}
    found = [name for bit, name in sorted(named.items()) if header.mask >> bit & 1]
    unnamed = header.mask & ~sum(1 << bit for bit in named)
    return [*found, *(["later"] if unnamed else [])]


def _tensor(tensor: Event) -> Json:
    return {"name": tensor["name"], "dtype": _dtype(tensor), "shape": tensor["shape"]}


def _dtype(tensor: Event) -> str:
    name: str = tensor["dtype"]
    return DTYPES.get(name, name)


def _profile(name: str, profiles: Profiles) -> Json:
    if name in profiles.shapes:
        return {"profile": {**_three(profiles.shapes[name]), "default": name in profiles.defaulted}}
    if name in profiles.values:
        return {"values": _three(profiles.values[name])}
    return {}


def _three(shape: ProfileShape) -> Json:
    return {"min": list(shape.min), "opt": list(shape.opt), "max": list(shape.max)}


def _warnings(target: Target, built: Event, interface: Interface) -> list[str]:
    found = [plain_text(warning) for warning in built["warnings"]]
    specs = {spec.name: spec.dtype for spec in (*interface.inputs, *interface.outputs)}
    for tensor in (*built["inputs"], *built["outputs"]):
        dtype = specs.get(tensor["name"])
        if dtype is not None and dtype.name != _dtype(tensor):
            found.append(f"{tensor['name']} is {dtype.name} in the model and {_dtype(tensor)} in the engine")
    for name in built["unused_values"]:
        found.append(f"the values given for {name} were not needed: {target.title} computes no sizes with them")
    return found
