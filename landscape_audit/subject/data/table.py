"""Data in a file that runs no code: `.safetensors`, of which only the drawn rows are read, or `.npz`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError  # noqa: N812 - an error that is named like a function

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from landscape_audit.errors import DataError
from landscape_audit.machine import free_memory
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.data.intake import Intake
from landscape_audit.text import did_you_mean

SHARE = 0.5
"""Of the host memory that is free: what the arrays of an .npz, which cannot be read by rows, may take."""
_PAIR = ("inputs", "targets")


def read_table(path: Path, intake: Intake) -> Batch:
    """All of the file as one batch: `inputs` and `targets`, or arrays named as the model's arguments.

    The tensors of a .safetensors are the file itself, mapped into memory.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file.", remedy="The path starts at the folder of audit.toml.")
    try:
        arrays = _arrays(path)
    except (
        SafetensorError,
        BadZipFile,
        ZlibError,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        KeyError,
        TypeError,
    ) as error:
        raise DataError(
            f"{path.name}: cannot be read as {path.suffix}: {error}.",
            remedy="Write it again: numpy.savez(path, inputs=…, targets=…), or safetensors.torch.save_file.",
        ) from None
    lacking = [side for side in _PAIR if side not in arrays]
    if len(lacking) == 1 and not intake.inputs:
        has = ", ".join(f"'{name}'" for name in sorted(arrays)) or "nothing"
        raise DataError(
            f"{path.name}: has no '{lacking[0]}'; it has {has}.",
            remedy=f"Store `inputs` and `targets`.{did_you_mean(lacking[0], arrays)}",
        )
    named = lacking or intake.inputs or intake.targets
    return intake.batch(arrays if named else tuple(arrays[side] for side in _PAIR), path.name)


def _arrays(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
    if path.suffix == ".npz":
        with ZipFile(path) as archive:
            _check_sizes(path, archive)
            _check_names(archive)
            return {info.filename.removesuffix(".npy"): _member(archive, info.filename) for info in archive.infolist()}
    raise DataError(f"{path.name}: is neither .safetensors nor .npz.", remedy="Store `inputs` and `targets` in one.")


def _check_sizes(path: Path, archive: ZipFile) -> None:
    """Before anything is unpacked: reading stops at the size that a member claims, so that the claims are the most."""
    claimed, free = sum(info.file_size for info in archive.infolist()), free_memory(torch.device("cpu"))
    if claimed > SHARE * free:
        raise DataError(
            f"{path.name}: claims {claimed / 2**30:.1f} GiB unpacked, and {free / 2**30:.1f} GiB of memory are free.",
            remedy="Store them as .safetensors, of which only the rows that are audited are read.",
        )


def _check_names(archive: ZipFile) -> None:
    names = archive.namelist()
    if len(set(names)) < len(names):
        message = f"'{next(name for name in names if names.count(name) > 1)}' is there twice"
        raise ValueError(message)


def _member(archive: ZipFile, name: str) -> Tensor:
    """One array, if its header claims as many bytes as there are. Objects, which are pickles, are refused."""
    with archive.open(name) as file:
        shape, dtype = _header(file)
        if dtype.hasobject:
            message = f"Object arrays cannot be loaded, and '{name}' is one"
            raise ValueError(message)
        there, claimed = archive.getinfo(name).file_size - file.tell(), math.prod(shape) * dtype.itemsize
        if there != claimed:
            message = f"'{name}' has {there:,} bytes, and its header claims {claimed:,}"
            raise ValueError(message)
    with archive.open(name) as file:
        return _as_tensor(np.lib.format.read_array(file, allow_pickle=False), name)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        message = f"version {version} of the .npy format is not known"
        raise ValueError(message)
    shape, _, dtype = read(file)
    return shape, dtype


def _as_tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], name: str) -> Tensor:
    try:
        return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)))
    except TypeError:
        message = f"'{name}' is an array of {array.dtype}, which is no tensor's type"
        raise ValueError(message) from None
