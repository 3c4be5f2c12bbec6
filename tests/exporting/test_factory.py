"""What `package.module:factory` may be and give, and the exact words for all else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphopt.errors import GraphoptError
from graphopt.exporting.factory import from_factory

HEADER = """
import torch
from torch import nn
from graphopt.exporting import Exportable
x = torch.ones(2)
class Net(nn.Module):
    def forward(self, x, y=None):
        return x
"""

RETURNS = "return Exportable(module, args, ...), (module, args) or (module, args, kwargs)"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module of the user's into the current folder and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"user_{abs(hash(str(tmp_path)))}"

    def write(code: str) -> str:
        (tmp_path / f"{name}.py").write_text(HEADER + code)
        return name

    return write


def refusal(target: str, inputs: str | None = None) -> str:
    with pytest.raises(GraphoptError) as caught:
        from_factory(target, inputs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "args", "kwargs"),
    [
        ("def make(): return Net(), x", 1, []),
        ("def make(): return Net(), (x, x)", 2, []),
        ("def make(): return Net(), [x]", 1, []),
        ("def make(): return Net(), {'x': x}", 0, ["x"]),
        ("def make(): return Net(), (x,), {'y': x}", 1, ["y"]),
        ("def make(): return Exportable(Net(), (x,), {'y': x})", 1, ["y"]),
        ("make = (lambda: (Net(), x))", 1, []),
        ("class make(Net):\n    example_input_array = x", 1, []),
        ("make = Net()\nmake.example_input_array = {'x': x}", 0, ["x"]),
    ],
)
def test_a_factory_gives_a_module_and_a_call(write, code: str, args: int, kwargs: list[str]) -> None:
    found = from_factory(f"{write(code)}:make")
    assert type(found.module).__name__ in ("Net", "make")
    assert len(found.args) == args
    assert all(isinstance(arg, torch.Tensor) for arg in found.args)
    assert list(found.kwargs or ()) == kwargs


def test_the_name_may_be_dotted_and_the_inputs_come_from_a_second_factory(write) -> None:
    name = write("class box:\n    make = Net\ndef inputs(): return {'y': x, 'x': x}")
    found = from_factory(f"{name}:box.make", f"{name}:inputs")
    assert list(found.kwargs or ()) == ["y", "x"]


def test_what_a_factory_prints_goes_to_standard_error(write, capsys: pytest.CaptureFixture[str]) -> None:
    from_factory(f"{write('def make():' + chr(10) + '    print(1)' + chr(10) + '    return Net(), x')}:make")
    assert capsys.readouterr() == ("", "1\n")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nets", "'nets' names no factory\n  help: write package.module:factory, such as nets.small:make"),
        ("a b:c", "'a b:c' names no factory\n  help: write package.module:factory, such as nets.small:make"),
        ("nets:", "'nets:' names no factory\n  help: write package.module:factory, such as nets.small:make"),
        ("nets/small.py:make", "'nets/small.py:make' names a file, not a Python module\n  help: write nets.small:make"),
        ("small.py", "'small.py' names a file, not a Python module\n  help: write small:factory"),
    ],
)
def test_a_name_of_another_form(target: str, text: str) -> None:
    assert refusal(target) == text


def test_a_module_that_is_not_there(write) -> None:
    name = write("")
    assert refusal(f"{name}x:make") == f"there is no Python module '{name}x'\n  help: did you mean '{name}'?"
    assert (
        refusal("q.r:make")
        == "there is no Python module 'q'\n  at: q.r\n  help: run it in the folder that the module lies in"
    )
    assert (
        refusal("email.mime.texts:make")
        == "there is no Python module 'texts' in email.mime\n  help: did you mean 'text'?"
    )


def test_a_name_that_is_not_in_the_module(write) -> None:
    name = write("def make_small(): return Net(), x")
    assert refusal(f"{name}:make_smal") == f"{name} has no 'make_smal'\n  help: did you mean 'make_small'?"
    assert refusal(f"{name}:quite_other") == f"{name} has no 'quite_other'"
    assert refusal(f"{name}:Net.forwrd") == f"{name}.Net has no 'forwrd'\n  help: did you mean 'forward'?"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            "import not_installed",
            "importing {name} failed: ModuleNotFoundError: No module named 'not_installed'\n  at: {name}.py:9",
        ),
        ("def make(:", "importing {name} failed: SyntaxError: invalid syntax ({name}.py, line 9)\n  at: {name}.py:9"),
        ("raise SystemExit(3)", "importing {name} failed: SystemExit: 3\n  at: {name}.py:9"),
        ("def make(): raise KeyError", "the factory {name}:make failed: KeyError\n  at: {name}.py:9"),
        (
            "def make():\n    nn.Conv2d(3, 4, 1, groups=2)",
            "the factory {name}:make failed: ValueError: in_channels must be divisible by groups\n  at: {name}.py:10",
        ),
        (
            "def make(n): pass",
            "the factory {name}:make failed: TypeError: make() missing 1 required positional argument: 'n'",
        ),
        ("make = 3", "{name}:make is of type int, which is neither a factory nor a torch module"),
        ("def make(): pass", f"the factory {{name}}:make returned nothing\n  help: {RETURNS}"),
        ("def make(): return 3", f"the factory {{name}}:make returned int\n  help: {RETURNS}"),
        ("def make(): return (Net(),)", f"the factory {{name}}:make returned a tuple of 1\n  help: {RETURNS}"),
        (
            "def make(): return x, Net()",
            f"the factory {{name}}:make returned a tuple that begins with Tensor, not with a torch module\n"
            f"  help: {RETURNS}",
        ),
        (
            "def make(): return Exportable(3, ())",
            f"the factory {{name}}:make returned an Exportable whose module is of type int\n  help: {RETURNS}",
        ),
        (
            "make = Net",
            f"the factory {{name}}:make returned a module without example inputs\n"
            f"  help: {RETURNS}, or name a factory of inputs with --inputs",
        ),
        (
            "def make(): return Net(), 3",
            "the example inputs of {name}:make are of type int\n"
            "  help: give a tensor, a tuple of positional arguments, or a dict of keyword arguments",
        ),
        (
            "def make(): return Net(), {}, ()",
            "the example inputs of {name}:make are dict and tuple\n"
            "  help: give positional arguments as a tuple and keyword arguments as a dict",
        ),
    ],
)
def test_what_is_no_factory(write, code: str, text: str) -> None:
    name = write(code)
    assert refusal(f"{name}:make") == text.format(name=name)


def test_inputs_are_given_twice(write) -> None:
    name = write("def make(): return Net(), x\ndef inputs(): return x")
    assert refusal(f"{name}:make", f"{name}:inputs") == (
        f"{name}:make gives example inputs of its own, and --inputs names others\n"
        "  help: leave out --inputs, or let the factory return the module alone"
    )
