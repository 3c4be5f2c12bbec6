"""Whether TensorRT builds a model, for each of some compute capabilities, and what it says where it does not."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from graphopt.backends.messages import meaning


class Builder:
    """One builder, used for one model after another."""

    def __init__(self) -> None:
        self.trt: Any = importlib.import_module("tensorrt_rtx")
        self.log = _log(self.trt)
        self.builder = self.trt.Builder(self.log)

    def build(
        self, model: onnx.ModelProto, values: Mapping[str, Any], capabilities: Sequence[str]
    ) -> dict[str, str | None]:
        """By compute capability, why the model does not build, None where it does.

        `values` are the inputs of a test, by name: they settle dynamic sizes and shape tensors.
        """
        self.log.errors.clear()
        network = self.builder.create_network(0)
        parser = self.trt.OnnxParser(network, self.log)
        if not parser.parse(model.SerializeToString()):
            errors = [parser.get_error(i) for i in range(parser.num_errors)]
            told = "; ".join(dict.fromkeys(f"{e.node_operator()}: {meaning(e.desc()).reason}" for e in errors))
            return dict.fromkeys(capabilities, told or "refused without a reason")
        whole = self._serialize(network, values, capabilities)
        if whole is None or len(capabilities) == 1:
            return dict.fromkeys(capabilities, whole)
        return {name: self._serialize(network, values, [name]) for name in capabilities}

    def _serialize(self, network: Any, values: Mapping[str, Any], capabilities: Sequence[str]) -> str | None:
        self.log.errors.clear()
        config = self.builder.create_builder_config()
        config.num_compute_capabilities = len(capabilities)
        for index, name in enumerate(capabilities):
            config.set_compute_capability(getattr(self.trt.ComputeCapability, name.upper()), index)
        profile = self.builder.create_optimization_profile()
        for tensor in (network.get_input(i) for i in range(network.num_inputs)):
            value = np.asarray(values[tensor.name]) if tensor.name in values else None
            if value is None:
                continue
            if tensor.is_shape_tensor:
                items = [int(i) for i in value.reshape(-1)]
                profile.set_shape_input(tensor.name, items, items, items)
            elif -1 in tuple(tensor.shape):
                profile.set_shape(tensor.name, value.shape, value.shape, value.shape)
        config.add_optimization_profile(profile)
        if self.builder.build_serialized_network(network, config) is not None:
            return None
        reasons = [meaning(text).reason for text in self.log.errors]
        return "; ".join(dict.fromkeys(r for r in reasons if r)) or "refused without a reason"


def _log(trt: Any) -> Any:
    severe = (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR)

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in severe:
                self.errors.append(message)

    return Log()
