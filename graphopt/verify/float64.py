"""What a model computes in float64, whatever its tensors are declared as.

Every floating tensor is widened, weights and inputs as well, and nothing is rounded in between: a Cast between floating
types is the identity, and what overflows in a narrow type is finite here. Integers, bools and text keep their types.
It is onnx's reference evaluator, with the operators done again that it computes in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from graphopt.graph.schemas import is_pure
from graphopt.verify.float64_operators import REPLACED
from graphopt.verify.float64_widen import (
    NARROW,
    Array,
    Fails,
    NotComputable,
    is_array,
    widen_array,
    widen_model,
    widen_nodes,
)

__all__ = ["Arrays", "Fails", "NotComputable", "Program", "evaluate", "program"]

Arrays = dict[str, Array]


class Alter(Protocol):
    """Sees what a run computes with and what it computes, and may put something else in its place."""

    def constant(self, name: str, value: Any) -> Any:
        """An initializer, or what a Constant makes."""

    def given(self, value: Any) -> Any:
        """An input."""

    def attribute(self, value: float) -> float:
        """A float attribute of a node of the main graph."""
        ...

    def result(self, node: Any, inputs: Sequence[Any], value: Any) -> Any:
        """An output of a node of the main graph (which has `op_type`, `input` and `output`)."""


_REFUSED = {
    "BitCast": "reads the bits of a number",
    "MaxUnpool": "is not what the standard says, in the reference evaluator",
}


class Program:
    """A model ready to be run in float64 many times.

    Raises:
        NotComputable: it holds an operator without a value in float64.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.outputs = [o.name for o in model.graph.output]
        try:
            self._evaluator: Any = _Wide(widen_model(model))
        except NotComputable:
            raise
        except Exception as error:  # the evaluator's errors share no base
            raise NotComputable(_first_line(error)) from None
        self.constants: Arrays = dict(self._evaluator.rt_inits_)

    def run(self, feeds: Mapping[str, Any], alter: Alter | None = None) -> Arrays:
        """The outputs, by name, on inputs of any floating type; an initializer may be overridden.

        Raises:
            NotComputable: an operator fails, or what it computes is no float64.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results: dict[str, Any] = {"": None, **self.constants}
            given = {name: widen_array(v) if is_array(v) else v for name, v in feeds.items()}
            if alter is not None:
                results.update((name, alter.constant(name, value)) for name, value in self.constants.items())
                given = {name: alter.given(value) for name, value in given.items()}
            results.update(given)
            for node in self._evaluator.rt_nodes_:
                self._step(node, results, alter)
        missing = [name for name in self.outputs if name not in results]
        if missing:
            raise NotComputable(f"nothing makes the output {missing[0]}")
        return {name: results[name] for name in self.outputs}

    def _step(self, node: Any, results: dict[str, Any], alter: Alter | None) -> None:
        inputs = [results[name] for name in node.input]
        found = _run(node, inputs, results) if alter is None else _run_altered(node, inputs, results, alter)
        for name, value in zip(node.output, found, strict=False):
            if is_array(value) and value.dtype.name in NARROW:
                raise NotComputable(f"{node.op_type} is computed in {value.dtype.name}")
            if name and alter is not None:
                constant = node.op_type == "Constant"
                value = alter.constant(name, value) if constant else alter.result(node, inputs, value)
            if name:
                results[name] = value


def _run(node: Any, inputs: Sequence[Any], results: dict[str, Any]) -> Sequence[Any]:
    try:
        return node.run(*inputs, **({"context": results} if node.need_context() else {}))
    except NotComputable:
        raise
    except NotImplementedError as error:
        raise NotComputable(f"{node.op_type}: {_first_line(error)}") from None
    except Exception as error:  # the evaluator's errors share no base
        raise Fails(f"{node.op_type}: {_first_line(error)}") from None


def _run_altered(node: Any, inputs: Sequence[Any], results: dict[str, Any], alter: Alter) -> Sequence[Any]:
    own = {name: getattr(node, name) for name in node.attributes_names_ if isinstance(getattr(node, name), float)}
    try:
        for name, value in own.items():
            setattr(node, name, alter.attribute(value))
        return _run(node, inputs, results)
    finally:
        for name, value in own.items():
            setattr(node, name, value)


def evaluate(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> Arrays:
    """The outputs of a model in float64, by name; integers, bools and text in their own types.

    Raises:
        NotComputable: there is no such value; says the operator and why.
    """
    return program(model).run(feeds)


def program(model: onnx.ModelProto) -> Program:
    """The program of a model; the last ones are kept, since an instance is run on more than one set of inputs."""
    return _program(model.SerializeToString(deterministic=True))


@lru_cache(maxsize=32)
def _program(data: bytes) -> Program:
    return Program(onnx.ModelProto.FromString(data))


class _Wide(ReferenceEvaluator):
    """The reference evaluator, which widens the definitions of functions that it comes upon as well."""

    def __init__(self, proto: Any, **options: Any) -> None:
        if isinstance(proto, onnx.FunctionProto):
            copy = onnx.FunctionProto()
            copy.CopyFrom(proto)
            widen_nodes(copy.node, {o.domain: o.version for o in copy.opset_import})
            del copy.value_info[:]
            proto = copy
        options["new_ops"] = list(REPLACED)
        super().__init__(proto, **options)
        loaded: Any = self
        for node in loaded.rt_nodes_:
            for name in node.attributes_names_:
                if isinstance(getattr(node, name), np.floating):  # which would round what it is computed with
                    setattr(node, name, float(getattr(node, name)))

    def _load_impl(self, node: onnx.NodeProto, input_types: Any = None) -> Any:
        if not is_pure(node.op_type, node.domain):
            raise NotComputable(f"{node.op_type} is random")
        if node.op_type in _REFUSED:
            raise NotComputable(f"{node.op_type} {_REFUSED[node.op_type]}")
        return super()._load_impl(node, input_types)


def _first_line(error: Exception) -> str:
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0]
