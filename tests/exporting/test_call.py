"""Calls of modules made flat: names of inputs and outputs, and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from graphopt.errors import GraphoptError, UsageError
from graphopt.exporting import Exportable
from graphopt.exporting.call import example_outputs, flat_forward, flatten, run
from graphopt.exporting.evaluation import evaluation
from tests.exporting import nets

ONE = torch.ones(1)


def names(module: nn.Module, *args: Any, chosen: list[str] | None = None, **kwargs: Any) -> tuple[str, ...]:
    return flatten(Exportable(module, args, kwargs, input_names=chosen)).names


def refusal(exportable: Exportable) -> str:
    with pytest.raises(GraphoptError) as caught:
        example_outputs(flatten(exportable), exportable.output_names)
    return str(caught.value)


class Gather(nn.Module):
    def forward(self, first: Any, *rest: Any, flag: bool = False, **named: Any) -> torch.Tensor:
        return torch.zeros(1)


class Give(nn.Module):
    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    def forward(self, x: torch.Tensor) -> Any:
        return self.result


def test_inputs_are_named_by_parameter_and_the_way_below_it() -> None:
    assert names(Gather(), ONE) == ("first",)
    assert names(Gather(), ONE, ONE, (ONE, 3, ONE)) == ("first", "rest_0", "rest_1_0", "rest_1_2")
    assert names(Gather(), {"b": ONE, "a": [ONE]}, flag=True) == ("first_b", "first_a_0")
    assert names(Gather(), ONE, mask=ONE, deep={"k": ONE}) == ("first", "mask", "deep_k")


def test_names_stay_distinct() -> None:
    assert names(Gather(), {"a": ONE}, first_a=ONE) == ("first_a", "first_a_2")


def test_inputs_follow_the_parameters_whatever_order_keywords_have() -> None:
    assert flatten(nets.many()).names == ("x", "state_right", "state_left", "unread")
    assert names(nets.Many(), unread=ONE, state={"left": ONE}, x=ONE) == ("x", "state_left", "unread")


def test_inputs_may_be_named() -> None:
    assert names(Gather(), ONE, ONE, chosen=["p", "q"]) == ("p", "q")


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (ONE, ["output"]),
        ((ONE, ONE), ["output_0", "output_1"]),
        ([ONE], ["output_0"]),
        ({"b": ONE, "a": (ONE, ONE)}, ["b", "a_0", "a_1"]),
        ((ONE, None, {"k": ONE}), ["output_0", "output_2_k"]),
        ({"x": ONE}, ["x_2"]),
    ],
)
def test_outputs_are_named_by_the_way_to_them(result: Any, found: list[str]) -> None:
    call = flatten(Exportable(Give(result), (ONE,)))
    assert list(example_outputs(call, None)) == found


@pytest.mark.parametrize(
    ("exportable", "text"),
    [
        (
            Exportable(nets.Block(), (ONE, ONE)),
            "the example inputs do not fit Block.forward(picture: 'torch.Tensor') -> 'torch.Tensor': too many "
            "positional arguments",
        ),
        (Exportable(Gather(), (3,)), "the example inputs of Gather hold no tensor"),
        (
            Exportable(Gather(), (ONE,), input_names=["a", "b"]),
            "2 input names for 1 input tensors\n  help: give one for each, or no input_names",
        ),
        (Exportable(Gather(), (ONE, ONE), input_names=["a", "a"]), "input names are empty or not distinct: 'a', 'a'"),
        (
            Exportable(Gather(), (ONE,), output_names=["first"]),
            "'first' names an input and an output\n  help: choose another name for one of them",
        ),
        (
            Exportable(Give(3), (ONE,)),
            "forward returned int, which no model can give\n  help: return tensors, or tuples, lists and dicts of them",
        ),
        (
            Exportable(Give({"a": [ONE, "b"]}), (ONE,)),
            "forward returned str at a.1, which no model can give\n"
            "  help: return tensors, or tuples, lists and dicts of them",
        ),
        (Exportable(Give(None), (ONE,)), "forward returned no tensor"),
        (
            Exportable(nets.Block(), (torch.ones(1, 4, 8, 8),)),
            "Block fails on its own example inputs: RuntimeError: Given groups=1, weight of size [8, 3, 3, 3], "
            "expected "
            "input[1, 4, 8, 8] to have 3 channels, but got 4 channels instead\n  at: tests/exporting/nets.py:24",
        ),
    ],
)
def test_calls_that_cannot_be_meant(exportable: Exportable, text: str) -> None:
    assert refusal(exportable) == text


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # torch.jit.script goes; modules made by it will be met for long
def test_torchscript_is_refused() -> None:
    assert refusal(Exportable(torch.jit.script(nets.Add()), (ONE,))) == (
        "Add is TorchScript\n  help: export the torch.nn.Module that it was made from"
    )


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("args", ONE, "args is of type Tensor\n  help: give a tuple of positional arguments"),
        ("kwargs", (ONE,), "kwargs is of type tuple\n  help: give a dict of keyword arguments"),
        (
            "dynamic_shapes",
            ({0: "n"},),
            "dynamic_shapes is of type tuple\n  help: give a dict such as {'x': {0: 'batch'}}",
        ),
        (
            "dynamic_shapes",
            {"x": [0]},
            "dynamic_shapes['x'] is of type list\n  help: give a dict such as {0: 'batch'}",
        ),
        ("input_names", "x", "input_names is of type str\n  help: give a list of names"),
        ("opset", "18", "opset is of type str\n  help: give a number"),
    ],
)
def test_fields_of_another_type(field: str, value: Any, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Exportable(nets.Add(), **{"args": (ONE,), field: value})
    assert str(caught.value) == text


def test_what_is_no_module_is_refused() -> None:
    assert refusal(Exportable(torch.relu, (ONE,))) == (  # type: ignore[arg-type]
        "the module is of type builtin_function_or_method\n  help: give a torch.nn.Module"
    )


def test_parameters_without_a_size_are_refused() -> None:
    assert refusal(Exportable(nn.Sequential(nn.LazyLinear(3)), (ONE,))) == (
        "Sequential has parameters without a size\n"
        "  help: call the module once on its example inputs before it is exported"
    )


def test_a_run_leaves_module_and_example_as_they_were() -> None:
    module, example = nets.writer()
    call = flatten(Exportable(module.train(), (example,)))
    first, second = run(call)[1][0], run(call)[1][0]
    assert torch.equal(first, second)  # the buffer that counts calls is what it was
    assert torch.equal(first, torch.full((2, 3), 2.0))
    assert torch.equal(example, torch.ones(2, 3))
    assert module.training


def test_random_numbers_follow_from_the_seed_and_leave_torch_alone() -> None:
    class Noise(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.rand(4)

    call = flatten(Exportable(Noise(), (ONE,)))
    before = torch.random.get_rng_state()
    assert torch.equal(run(call)[1][0], run(call)[1][0])
    assert not torch.equal(run(call)[1][0], run(call, seed=1)[1][0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_evaluation_puts_back_each_mode_and_whatever_was_replaced() -> None:
    module = nets.Block().train()
    module.norm.eval()
    weight, mean = module.head.weight, module.norm.running_mean
    with evaluation(module):
        assert not module.training
        module.head.weight = nn.Parameter(torch.zeros(4, 8))
        module.norm.running_mean = torch.zeros(8)
        module.note = "new"
    assert (module.training, module.conv.training, module.norm.training) == (True, True, False)
    assert module.head.weight is weight
    assert module.norm.running_mean is mean
    assert not hasattr(module, "note")


def test_a_flat_forward_is_there_only_for_the_block() -> None:
    call = flatten(nets.many())
    own = lambda x, state, *, times, unread: x  # noqa: E731
    for forward in (None, own):
        if forward is not None:
            call.module.forward = forward
        with flat_forward(call) as module:
            assert isinstance(module(*call.tensors), tuple)
        assert vars(call.module).get("forward") is forward
