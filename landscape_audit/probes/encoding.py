"""What probes find, as JSON and tensors and back, exactly. Nothing is executed or imported that a file names.

Floats keep their bits, tensors and arrays their dtype and layout, and Krylov bases that share memory share it again.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from landscape_audit import curvature, probes, results, spec, statistics
from landscape_audit.curvature.basis import Basis, Storage

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What the safetensors format calls them."""
_PLAIN = (bool, int, float, str, type(None))


class UnsaveableError(Exception):
    """A value of a type that has no encoding."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """A tensor on its way into a file: in pieces, so that a basis is never there twice."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    pieces: Iterable[Tensor]

    @property
    def bytes(self) -> int:
        """The size of it all."""
        return math.prod(self.shape) * self.dtype.itemsize


class Encoder:
    """Values to JSON, with the tensors in `tensors` and their bases in `bases`, by name.

    `known` are bases that other files hold, by a name of their own: what is shared with one of them is only named.
    """

    def __init__(self, known: Mapping[str, Basis]) -> None:
        self.tensors: dict[str, Stored] = {}
        self.bases: dict[str, Basis] = {}
        self._known = known
        self._names: dict[int, tuple[Tensor, str]] = {}

    def encode(self, value: Any) -> Any:
        """The value in lists, and in objects that say what they are by the name of their first entry."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if encode := self._ways.get(kind):
            return encode(value)
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.array(value))}
        if isinstance(value, Path):
            return {"path": str(value)}
        if kind in types().values():
            return {"new": _name(kind), "with": {name: self.encode(getattr(value, name)) for name in _fields(kind)}}
        raise UnsaveableError(f"a {type(value).__module__}.{type(value).__qualname__}")

    @property
    def _ways(self) -> dict[type, Callable[[Any], Any]]:
        return {
            tuple: lambda value: {"tuple": [self.encode(each) for each in value]},
            list: lambda value: [self.encode(each) for each in value],
            dict: lambda value: {"dict": [[self.encode(key), self.encode(each)] for key, each in value.items()]},
            Tensor: lambda value: {"tensor": self._tensor(value), "host": value.device.type == "cpu"},
            np.ndarray: self._array,
            Basis: self._basis,
        }

    def _tensor(self, value: Tensor) -> str:
        if id(value) not in self._names:
            name = self._add(Stored(value.dtype, tuple(value.shape), (value.detach(),)))
            self._names[id(value)] = (value, name)  # held, as an id is only unique among the living
        return self._names[id(value)][1]

    def _array(self, value: np.ndarray[Any, Any]) -> Any:
        by_columns = value.flags.f_contiguous and not value.flags.c_contiguous
        if value.dtype.kind not in "biuf":
            raise UnsaveableError(f"an array of {value.dtype}")
        rows = np.array(value.T if by_columns else value, order="C")
        return {"array": self._tensor(torch.from_numpy(rows)), "by_columns": by_columns}

    def _basis(self, value: Basis) -> Any:
        known = {**self._known, **self.bases}
        after = max(known, key=lambda name: value.shared(known[name]), default=None)
        shared = value.shared(known[after]) if after is not None else 0
        name = str(len(self.bases))
        self.bases[name] = value
        rows = Stored(value.storage.dtype, (len(value) - shared, value.size), value.stored(shared))
        return {
            "basis": name,
            "rows": self._add(rows),
            "after": after if shared else None,
            "shared": shared,
            "size": value.size,
            "like": self._tensor(value.like),
            "host": value.like.device.type == "cpu",
            "stored_on_host": value.storage.device.type == "cpu",
        }

    def _add(self, stored: Stored) -> str:
        if stored.dtype not in DTYPES:
            raise UnsaveableError(f"a tensor of {stored.dtype}")
        name = f"t{len(self.tensors)}"
        self.tensors[name] = stored
        return name


class Decoder:
    """JSON and the tensors of an open file back to values; `bases` are those it finds, by name."""

    def __init__(self, file: Any, known: Mapping[str, Basis], device: torch.device) -> None:
        self.bases: dict[str, Basis] = {}
        self._file, self._known, self._device = file, known, device
        self._tensors: dict[tuple[str, bool], Tensor] = {}

    def decode(self, told: Any) -> Any:
        """The value. Whatever is not as `Encoder` writes it is some exception."""
        if type(told) in _PLAIN:
            return told
        if isinstance(told, list):
            return [self.decode(each) for each in told]
        ways: dict[str, Callable[[Any], Any]] = {
            "tuple": lambda told: tuple(self.decode(each) for each in told["tuple"]),
            "dict": lambda told: {self.decode(key): self.decode(each) for key, each in told["dict"]},
            "path": lambda told: Path(told["path"]),
            "tensor": lambda told: self._tensor(told["tensor"], host=told["host"]),
            "array": lambda told: self._array(told["array"], by_columns=told["by_columns"]),
            "scalar": lambda told: self.decode(told["scalar"])[()],
            "basis": self._basis,
            "new": self._new,
        }
        return ways[next(iter(told))](told)

    def _new(self, told: Any) -> Any:
        return types()[told["new"]](**{name: self.decode(each) for name, each in told["with"].items()})

    def _tensor(self, name: str, *, host: bool) -> Tensor:
        if (name, host) not in self._tensors:
            found = self._file.get_tensor(name)  # lies in the file, and anyhow: a copy is aligned as products like it
            self._tensors[name, host] = found.to("cpu" if host else self._device, copy=True)
        return self._tensors[name, host]

    def _array(self, name: str, *, by_columns: bool) -> np.ndarray[Any, Any]:
        found = self._tensor(name, host=True).numpy()
        return found.T if by_columns else found

    def _basis(self, told: Any) -> Basis:
        rows = self._file.get_slice(told["rows"])
        if told["after"] is None:
            place = torch.device("cpu") if told["stored_on_host"] else self._device
            like = self._tensor(told["like"], host=told["host"])
            basis = Basis(like, Storage(rows[0:1].dtype, place), told["size"])
        else:
            basis = {**self._known, **self.bases}[told["after"]].first(told["shared"])
        for index in range(rows.get_shape()[0]):
            basis = basis.with_stored(rows[index])
        self.bases[told["basis"]] = basis
        return basis


@functools.cache
def types() -> dict[str, type]:
    """Every type that a probe may find, by name: the frozen records of this package, and of no other."""
    homes = [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for package in (curvature, probes)
        for module in pkgutil.iter_modules(package.__path__)
    ]
    named = [each for module in (*homes, results, spec, statistics) for each in vars(module).values()]
    ours = [each for each in named if isinstance(each, type) and each.__module__.startswith("landscape_audit.")]
    return {_name(each): each for each in ours if _is_record(each)}


def _is_record(kind: type) -> bool:
    frozen = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return frozen or (issubclass(kind, BaseModel) and bool(kind.model_config.get("frozen")))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _fields(kind: type) -> Iterable[str]:
    if issubclass(kind, BaseModel):
        return kind.model_fields
    return kind.__dataclass_fields__  # type: ignore[attr-defined,no-any-return] # it is a record
