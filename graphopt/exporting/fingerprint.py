"""A digest of live Python objects: the same for equal content, in any process, or a refusal.

It follows everything that a module's behaviour can hang on: attributes, buffers and hooks of every submodule,
the compiled code of functions with their defaults, closures and the globals that they name, the bodies of
classes. What it cannot see into makes the whole unknown; a wrong digest would be worse than none.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import logging
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, cast

import numpy as np
import torch

from graphopt.exporting.sources import Sources
from graphopt.exporting.user_code import is_user_file

_MODE = "training"
"""The one attribute that does not matter: everything is exported in evaluation mode."""

_PLAIN_TENSORS = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)

_OPERATORS: tuple[Any, ...] = (type(torch.ops.aten.add), type(torch.ops.aten.add.Tensor))

_BY_TEXT: tuple[Any, ...] = (
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size),
    *(np.dtype, PurePath, range, slice, *_OPERATORS),
)

_HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: set for whatever a class statement makes."""


class CannotTell(Exception):
    """Something has content that cannot be seen; the text says what, and where it hangs."""


class Fingerprint:
    """Feeds objects into one digest. `sources` gathers the user's files that they come from."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # an id is only good for as long as its object lives
        self._tensors: dict[tuple[Any, ...], int] = {}
        self._way: list[str] = []
        self.sources = Sources()
        self._takers: tuple[tuple[Any, Callable[[Any], None]], ...] = (
            (torch.Tensor, self._tensor),
            ((np.ndarray, np.generic), self._array),
            (enum.Enum, self._enum),
            ((list, tuple), self._sequence),
            ((set, frozenset), self._set),
            ((Mapping, types.MappingProxyType), self._mapping),
            (types.SimpleNamespace, self._namespace),
            (weakref.ref, self._weak),
            (logging.Logger, self._logger),
            (functools.partial, self._partial),
            (type(functools.cache(len)), self._cached),
            (types.MethodType, self._method),
            (types.ModuleType, self._module),
            (types.FunctionType, self._function),
            ((property, staticmethod, classmethod), self._descriptor),
            (type, self._class),
            ((types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType), self._native),
            ((types.MethodWrapperType, types.ClassMethodDescriptorType, np.ufunc), self._native),
        )

    def digest(self) -> str:
        """The digest of all that was added, and of the source files."""
        final = self._hash.copy()
        for name, content in self.sources.digests():
            final.update(name.encode() + b"\0" + content)
        return final.hexdigest()

    def add(self, name: str, value: object) -> None:
        """Take in a value under a name, which messages use.

        Raises:
            CannotTell: its content, or that of something that it refers to, cannot be seen.
        """
        self._way.append(name)
        self._put("name", name)
        self._value(value)
        self._way.pop()

    def _put(self, *parts: object) -> None:
        for part in parts:
            content = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
            self._hash.update(b"%d:" % len(content))
            self._hash.update(content)

    def _refused(self, value: object) -> CannotTell:
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        return CannotTell(f"{'.'.join(self._way)} is of type {kind}, whose content cannot be told")

    def _value(self, value: Any) -> None:
        if value is None or value is ... or isinstance(value, (bool, int, float, complex, str, bytes)):
            self._put(type(value).__qualname__, value if type(value) is bytes else repr(value))
        elif isinstance(value, _BY_TEXT):
            self._put(type(value).__qualname__, str(value))
        elif isinstance(value, (tuple, frozenset)):
            self._by_kind(value)  # of equal constants the compiler makes one object or two, as it likes
        elif self._is_new(value):
            self._by_kind(value)

    def _is_new(self, value: object) -> bool:
        """Whether an object is met for the first time; if not, its number is all that is taken in."""
        if id(value) in self._seen:
            self._put("again", self._seen[id(value)])
            return False
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        return True

    def _by_kind(self, value: Any) -> None:
        for kinds, take in self._takers:
            if isinstance(value, kinds):
                take(value)
                return
        self._object(value)

    # --- containers and numbers ---

    def _sequence(self, value: Any) -> None:
        self._type_of(value)
        self._put(len(value))
        for place, item in enumerate(value):
            self.add(str(place), item)
        self._attributes(getattr(value, "__dict__", {}))

    def _mapping(self, value: Mapping[Any, Any]) -> None:
        self._type_of(value)
        self._put(len(value))
        for place, (key, item) in enumerate(value.items()):
            self.add(f"key {place}", key)
            self.add(str(key), item)
        self._attributes(getattr(value, "__dict__", {}))

    def _set(self, value: Any) -> None:
        try:
            items = sorted(value)
        except TypeError:
            raise self._refused(value) from None
        self._type_of(value)
        for place, item in enumerate(items):
            self.add(str(place), item)

    def _tensor(self, value: torch.Tensor) -> None:
        plain = type(value) in _PLAIN_TENSORS and value.layout is torch.strided
        if not plain or value.is_quantized or value.is_meta:
            raise self._refused(value)
        self._put("tensor", type(value).__name__, value.dtype, tuple(value.shape), value.device, value.requires_grad)
        place = (value.untyped_storage().data_ptr(), value.storage_offset(), value.shape, value.stride(), value.dtype)
        if value.numel() and place in self._tensors:
            self._put("shared", self._tensors[place])
            return
        self._tensors[place] = len(self._tensors)
        content = value.detach().cpu().contiguous().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8)
        self._put(hashlib.sha256(content.numpy().data).digest())

    def _array(self, value: Any) -> None:
        if value.dtype.hasobject or type(value).__module__ != "numpy":
            raise self._refused(value)
        self._put("array", type(value).__qualname__, value.dtype.str, value.shape, np.asarray(value).tobytes())

    def _namespace(self, value: types.SimpleNamespace) -> None:
        self._type_of(value)
        self._attributes(vars(value))

    def _enum(self, value: enum.Enum) -> None:
        self._type_of(value)
        self._put(value.name)

    def _weak(self, value: Any) -> None:
        self._value(value())

    def _logger(self, value: logging.Logger) -> None:
        self._put("logger", value.name)

    # --- code ---

    def _is_own(self, module: str | None) -> bool:
        """Whether a Python module's code is the user's. What is not is known by the versions installed."""
        found = sys.modules.get(module or "")
        path = getattr(found, "__file__", None)
        if found is None or path is None:
            return found is None or module == "__main__"
        return is_user_file(path)

    def _has_source(self, module: str | None) -> None:
        found = sys.modules.get(module or "")
        if found is None or getattr(found, "__file__", None) is None:
            raise CannotTell(f"{'.'.join(self._way)} is defined in {module!r}, which has no source file")
        self.sources.add(cast("str", module))

    def _module(self, value: types.ModuleType) -> None:
        self._put("module", value.__name__)
        self.sources.add(value.__name__)

    def _function(self, value: types.FunctionType) -> None:
        self._put("function", value.__module__, value.__qualname__)
        own = self._is_own(value.__module__)
        if own:
            self._has_source(value.__module__)
        self.add("defaults", value.__defaults__)
        self.add("keyword defaults", value.__kwdefaults__)
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:  # a name that was not given a value yet
                continue
            self.add(name, content)
        self._code(value.__code__)
        if own:
            self._globals(value)

    def _code(self, code: types.CodeType) -> None:
        self._put("code", code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            elif isinstance(constant, frozenset):
                self._put(sorted(map(repr, cast("frozenset[Any]", constant))))
            else:
                self._put(type(constant).__name__, repr(constant))

    def _globals(self, value: types.FunctionType) -> None:
        """The globals that a function names, and what it names of the user's own modules among them."""
        names = _names(value.__code__)
        for name in sorted(names & value.__globals__.keys()):
            item = value.__globals__[name]
            self.add(name, item)
            if isinstance(item, types.ModuleType) and self._is_own(item.__name__):
                for attribute in sorted(names & vars(item).keys()):
                    self.add(f"{name}.{attribute}", vars(item)[attribute])

    def _method(self, value: types.MethodType) -> None:
        self.add("self", value.__self__)
        self.add(value.__name__, value.__func__)

    def _partial(self, value: functools.partial[Any]) -> None:
        self.add("function", value.func)
        self.add("arguments", value.args)
        self.add("keywords", value.keywords)

    def _cached(self, value: Any) -> None:
        self.add("function", value.__wrapped__)

    def _descriptor(self, value: Any) -> None:
        for name in ("fget", "fset", "fdel", "__func__"):
            self.add(name, getattr(value, name, None))

    def _native(self, value: Any) -> None:
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            self.add("self", owner)
        self._put("native", getattr(value, "__module__", None), value.__qualname__)

    # --- classes and their objects ---

    def _type_of(self, value: object) -> None:
        self._type(type(value))

    def _type(self, value: type) -> None:
        if self._is_new(value):
            self._class(value)

    def _class(self, value: type) -> None:
        self._put("class", value.__module__, value.__qualname__)
        if not self._is_own(value.__module__):
            return
        self._has_source(value.__module__)
        for base in value.__bases__:
            self._type(base)
        for name, item in sorted(vars(value).items()):
            if not _is_bookkeeping(name, item):
                self.add(name, item)

    def _object(self, value: object) -> None:
        """An object whose content is its attributes, as long as Python itself keeps them all."""
        kept = getattr(value, "__dict__", None)
        slots = [name for base in type(value).__mro__ for name in _slots(base)]
        self._type_of(value)
        if (kept is None and not slots) or not _is_python_class(type(value)):
            raise self._refused(value)
        self._attributes(kept or {})
        for name in slots:
            if hasattr(value, name):
                self.add(name, getattr(value, name))

    def _attributes(self, attributes: Mapping[str, Any]) -> None:
        for name, item in attributes.items():
            if name != _MODE:
                self.add(name, item)


def _names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*(_names(constant) for constant in inner))


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _is_bookkeeping(name: str, item: object) -> bool:
    """What Python itself puts into a class."""
    if isinstance(item, (types.MemberDescriptorType, types.GetSetDescriptorType)) or name == "_abc_impl":
        return True
    return name.startswith("__") and not isinstance(item, (types.FunctionType, property, staticmethod, classmethod))


def _is_python_class(kind: type) -> bool:
    """Whether Python keeps all of an object's state: each base comes from a class statement in a source file."""
    return all(base is object or (base.__flags__ & _HEAP_TYPE and _has_python_file(base)) for base in kind.__mro__)


def _has_python_file(kind: type) -> bool:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", "")).endswith(".py")
