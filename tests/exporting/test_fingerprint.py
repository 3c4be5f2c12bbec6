"""What changes the key of an export, what does not, and what no key can be made of."""

from __future__ import annotations

import collections
import dataclasses
import functools
import importlib
import os
import random
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from graphopt.exporting import Exportable
from graphopt.exporting.call import flatten
from graphopt.exporting.fingerprint import CannotTell, Fingerprint
from graphopt.exporting.key import export_key
from graphopt.exporting.sources import Sources

ROOT = Path(__file__).parents[2]

HELPER = """
SCALE = 2
def twice(x):
    return x * 2
"""

CODE = """
import dataclasses, enum, functools, logging, random
import torch
from torch import nn
import helper
from helper import twice

LIMIT = 4
TABLE = {"a": [1, 2.5], "b": torch.ones(2)}
log = logging.getLogger(__name__)

class Kind(enum.Enum):
    A = 1

@dataclasses.dataclass
class Settings:
    width: int = 3
    kind: Kind = Kind.A

class Part(nn.Module):
    slope = 0.5
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2), persistent=False)
        self.settings = Settings()
    def forward(self, x):
        return twice(x) * self.slope

def closed(limit):
    class Inner(nn.Module):
        def forward(self, x):
            return x.clamp(max=limit)
    return Inner()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.part = Part()
        self.lin = nn.Linear(2, 2)
        self.lstm = nn.LSTM(2, 2)
        self.inner = closed(LIMIT)
        self.act = lambda x: x + 1
        self.bound = functools.partial(torch.add, alpha=2)
        self.names = {"q", "r", "s"}
    def forward(self, x):
        import helper as late
        log.debug("run")
        return self.act(self.lin(self.part(x))) * helper.SCALE + TABLE["b"].sum() + late.SCALE

def make():
    return Net().eval(), (torch.ones(1, 2),), {}
"""

PRINT_KEY = """
import sys
from graphopt.exporting.factory import from_factory
from graphopt.exporting.call import flatten
from graphopt.exporting.dynamic import checked
from graphopt.exporting.key import export_key
exportable = from_factory("user_net:make")
call = flatten(exportable)
print(export_key(exportable, call, checked(exportable.dynamic_shapes, call), ("dynamo",), ["user_net"]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "user_net.py").write_text(CODE)
    (tmp_path / "helper.py").write_text(HELPER)
    return tmp_path


def keys(*folders: Path) -> list[str]:
    """Keys as processes of their own find them, two at a time, each with another seed for its hashes."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT_KEY],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
                "PYTHONHASHSEED": str(random.randrange(99)),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    found = [process.communicate()[0].strip() for process in running]
    assert all(process.returncode == 0 for process in running)
    return found


def test_processes_agree_on_a_key(project: Path) -> None:
    first, second = keys(project, project)
    assert len(first) == 64
    assert first == second


class Loaded:
    """The project's modules, imported anew from their files under the names that they always have."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("user_net", "helper"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(folder))
        self.module: Any = importlib.import_module("user_net")
        self.net, self.args, self.kwargs = self.module.make()

    def key(
        self, *, opset: int | None = None, exporters: tuple[str, ...] = ("dynamo",), **dynamic: dict[int, str]
    ) -> str:
        exportable = Exportable(self.net, self.args, self.kwargs, opset=opset)
        return export_key(exportable, flatten(exportable), dynamic, exporters, ["user_net"])


@pytest.fixture
def loaded(project: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    return Loaded(project, monkeypatch)


def changed(project: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str) -> Loaded:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    return Loaded(project, monkeypatch)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("user_net.py", "manual_seed(0)", "manual_seed(1)"),
        ("user_net.py", "LIMIT = 4", "LIMIT = 5"),
        ("user_net.py", "x.clamp(max=limit)", "x.clamp(min=limit)"),
        ("user_net.py", "slope = 0.5", "slope = 0.25"),
        ("user_net.py", "width: int = 3", "width: int = 4"),
        ("user_net.py", "alpha=2", "alpha=3"),
        ("user_net.py", '"b": torch.ones(2)', '"b": torch.zeros(2)'),
        ("user_net.py", "torch.zeros(2), persistent", "torch.ones(2), persistent"),
        ("user_net.py", '{"q", "r", "s"}', '{"q", "r"}'),
        ("user_net.py", "torch.ones(1, 2),), {}", "torch.zeros(1, 2),), {}"),
        ("user_net.py", "torch.ones(1, 2),), {}", "torch.ones(2, 2),), {}"),
        ("user_net.py", "torch.ones(1, 2),), {}", "torch.ones(1, 2).double(),), {}"),
        ("user_net.py", "def make():", "# never run\ndef make():"),
        ("helper.py", "SCALE = 2", "SCALE = 3"),
        ("helper.py", "x * 2", "x + x"),
    ],
)
def test_whatever_stands_in_the_files_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch, loaded: Loaded, file: str, old: str, new: str
) -> None:
    before = loaded.key()
    assert changed(project, monkeypatch, file, old, new).key() != before


def add_hook(net: Any) -> None:
    net.part.register_forward_hook(lambda module, args, result: result + 1)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda net: net.lin.bias.data.mul_(1.0000001), id="weight"),
        pytest.param(lambda net: net.part.mean.fill_(1e-30), id="buffer that is not saved"),
        pytest.param(lambda net: setattr(net.part.settings, "width", 4), id="attribute of an attribute"),
        pytest.param(lambda net: setattr(type(net.part), "slope", 0.75), id="attribute of a class"),
        pytest.param(lambda net: setattr(type(net.part), "forward", lambda self, x: x), id="method put in its place"),
        pytest.param(lambda net: setattr(net, "act", lambda x: x + 2), id="function"),
        pytest.param(lambda net: setattr(net, "act", lambda x, by=3: x), id="default of a function"),
        pytest.param(lambda net: setattr(sys.modules["user_net"], "LIMIT", 9), id="global"),
        pytest.param(lambda net: setattr(sys.modules["helper"], "SCALE", 9), id="global of another module"),
        pytest.param(lambda net: sys.modules["user_net"].TABLE["a"].append(3), id="content of a global"),
        pytest.param(lambda net: setattr(net.part, "forward", torch.neg), id="method of an object"),
        pytest.param(lambda net: net.lin.double(), id="dtype"),
        pytest.param(lambda net: net.add_module("more", nn.Identity()), id="module more"),
        pytest.param(add_hook, id="hook"),
    ],
)
def test_whatever_is_changed_at_run_time_counts(loaded: Loaded, change: Any) -> None:
    before = loaded.key()
    change(loaded.net)
    assert loaded.key() != before


def test_options_count(loaded: Loaded) -> None:
    keys = [
        loaded.key(),
        loaded.key(opset=18),
        loaded.key(exporters=("dynamo", "legacy")),
        loaded.key(x={0: "batch"}),
        loaded.key(x={0: "n"}),
    ]
    assert len(set(keys)) == len(keys)


def test_weights_that_share_memory_differ_from_equal_ones() -> None:
    shared, apart = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]), nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    for module in (*shared, *apart):
        nn.init.ones_(module.weight)
    shared[1].weight = shared[0].weight
    apart[1].weight = nn.Parameter(apart[0].weight.data.clone())
    for module in (shared, apart):
        for part in module:
            nn.init.zeros_(part.bias)
    assert digest(shared) != digest(apart)


def digest(value: object) -> str:
    found = Fingerprint()
    found.add("it", value)
    return found.digest()


def test_neither_the_folder_nor_the_mode_nor_a_gradient_counts(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, loaded: Loaded
) -> None:
    before = loaded.key()
    elsewhere = tmp_path_factory.mktemp("moved")
    for name in ("user_net.py", "helper.py"):
        (project / name).rename(elsewhere / name)
    moved = Loaded(elsewhere, monkeypatch)
    moved.net.train()
    moved.net.lin(torch.ones(2)).sum().backward()
    assert moved.key() == before


def test_calling_the_module_does_not_count(loaded: Loaded) -> None:
    before = loaded.key()
    loaded.net(*loaded.args)
    assert loaded.key() == before


def test_imports_are_followed_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative, inside functions, of submodules, and of what is not imported yet; installed packages are not."""
    files = {
        "pkg_a/__init__.py": "from . import first",
        "pkg_a/first.py": "import json, numpy\ndef f():\n    from .deep.second import g\n    import loose_b as l",
        "pkg_a/deep/__init__.py": "",
        "pkg_a/deep/second.py": "from ...pkg_a import third\nfrom .. import fourth as x",
        "pkg_a/third.py": "def (broken",
        "pkg_a/fourth.py": "import missing_c, loose_b.not_there",
        "pkg_a/unread.py": "",
        "loose_b.py": "import pkg_a.first",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    sources = Sources()
    sources.add("pkg_a.first")
    assert sorted(sources.files) == [
        *("loose_b", "pkg_a", "pkg_a.deep", "pkg_a.deep.second", "pkg_a.first", "pkg_a.fourth", "pkg_a.third")
    ]
    assert "pkg_a" not in sys.modules


class Opaque(nn.Module):
    def __init__(self, content: object) -> None:
        super().__init__()
        self.content = content


def tangled() -> list[Any]:
    loop: list[Any] = [1]
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: tangled(), id="cycle"),
        pytest.param(lambda: np.arange(3), id="array"),
        pytest.param(lambda: np.float32(3), id="numpy scalar"),
        pytest.param(lambda: Path("a"), id="path"),
        pytest.param(lambda: torch.float16, id="dtype"),
        pytest.param(lambda: collections.OrderedDict(a=1), id="ordered dict"),
        pytest.param(lambda: collections.defaultdict(list, a=[1]), id="defaultdict"),
        pytest.param(lambda: functools.cache(tangled), id="cached function"),
        pytest.param(lambda: torch.ops.aten.add.Tensor, id="operator"),
        pytest.param(lambda: np.exp, id="ufunc"),
        pytest.param(lambda: torch.Tensor.add, id="method of a type"),
        pytest.param(lambda: "text".upper, id="method of a value"),
        pytest.param(lambda: types.SimpleNamespace(a=1), id="namespace"),
        pytest.param(lambda: Settings(1), id="slots"),
        pytest.param(lambda: torch.zeros(0, 3), id="empty tensor"),
        pytest.param(lambda: torch.tensor(True), id="scalar tensor"),
        pytest.param(lambda: torch.arange(6.0).view(2, 3).T, id="transposed tensor"),
        pytest.param(lambda: torch.zeros(2).to(torch.float8_e4m3fn), id="float8"),
    ],
)
def test_contents_that_can_be_told_are_told_alike(content: Any) -> None:
    assert digest(Opaque(content())) == digest(Opaque(content()))
    assert digest(Opaque(content())) != digest(Opaque(None))


@dataclasses.dataclass(slots=True)
class Settings:
    value: int


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (lambda: torch.Generator(), "it.content is of type torch._C.Generator"),
        (lambda: threading.Lock(), "it.content is of type _thread.lock"),
        (lambda: {"rng": [random.Random(0)]}, "it.content.rng.0 is of type random.Random"),
        (lambda: iter([1]), "it.content is of type list_iterator"),
        (lambda: np.array([object()]), "it.content is of type numpy.ndarray"),
        (lambda: torch.zeros(2, device="meta"), "it.content is of type torch.Tensor"),
        (lambda: torch.eye(2).to_sparse(), "it.content is of type torch.Tensor"),
        (lambda: {1, "a"}, "it.content is of type set"),
        (lambda: np.random.default_rng(0), "it.content is of type numpy.random._generator.Generator"),
    ],
)
def test_contents_that_cannot_be_told(content: Any, text: str) -> None:
    with pytest.raises(CannotTell) as caught:
        digest(Opaque(content()))
    assert str(caught.value) == f"{text}, whose content cannot be told"


def test_code_without_a_file_cannot_be_told() -> None:
    scope: dict[str, Any] = {"__name__": "typed_in"}
    exec("from torch import nn\nclass Net(nn.Module):\n    def forward(self, x): return x", scope)
    with pytest.raises(CannotTell) as caught:
        digest(scope["Net"]())
    assert str(caught.value) == "it is defined in 'typed_in', which has no source file"


def test_what_is_nested_too_deeply_cannot_be_told() -> None:
    module = nn.Identity()
    for _ in range(400):
        module = nn.Sequential(module)
    exportable = Exportable(module, (torch.ones(1),))
    with pytest.raises(CannotTell) as caught:
        export_key(exportable, flatten(exportable), {}, ("dynamo",), [])
    assert str(caught.value) == "Sequential is nested too deeply"
