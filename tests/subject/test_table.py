"""A file runs no code, is read by rows where that can be, and costs no more than it says."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from landscape_audit.errors import DataError
from landscape_audit.spec import DataSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data import table
from landscape_audit.subject.data.draw import drawn
from landscape_audit.subject.data.intake import Intake
from landscape_audit.subject.data.nested import tensors
from landscape_audit.subject.data.sample import Sample, read_sample
from landscape_audit.subject.data.table import read_table

X, Y = torch.arange(180.0).view(90, 2), torch.arange(90) % 3


def sample_of(path: Path, **settings: Any) -> Sample:
    spec = DataSpec(file=Path(path.name), **settings)
    return read_sample(spec, UserCode(path.parent), torch.device("cpu"), torch.float32)


def saved(path: Path, **arrays: Tensor) -> Path:
    if path.suffix == ".npz":
        np.savez_compressed(path, **{name: tensor.numpy() for name, tensor in arrays.items()})
    else:
        save_file(arrays, path)
    return path


@pytest.mark.parametrize("name", ["d.npz", "d.safetensors"])
def test_a_file_is_drawn_from_as_a_loader_is(tmp_path: Path, name: str) -> None:
    sample = sample_of(saved(tmp_path / name, inputs=X, targets=Y), n_samples=20, seed=4)
    index = torch.from_numpy(drawn(90, 20, 4, Y.numpy()))
    assert torch.equal(torch.cat([tensors(batch.inputs)[0] for batch in sample.batches]), X[index])
    assert sample.draw.kind == "stratified"
    first = sample_of(tmp_path / name, n_samples=20, draw="first")
    assert torch.equal(torch.cat([tensors(batch.targets)[0] for batch in first.batches]), Y[:20])


@pytest.mark.parametrize("name", ["d.npz", "d.safetensors"])
def test_arrays_named_as_the_arguments_of_a_model_are_given_by_name(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, input_ids=X.long(), attention_mask=X > 3, labels=Y)
    batch = read_table(path, Intake())
    assert isinstance(batch.inputs, dict)
    assert {key: part.dtype for key, part in batch.named()} == {
        "inputs.input_ids": torch.int64,
        "inputs.attention_mask": torch.bool,
        "targets": torch.int64,
    }


def test_images_in_bytes_and_bfloat16_come_as_they_are(tmp_path: Path) -> None:
    path = saved(tmp_path / "d.safetensors", inputs=X.bfloat16(), targets=X.byte())
    batch = read_table(path, Intake())
    assert [tensor.dtype for _, tensor in batch.named()] == [torch.bfloat16, torch.uint8]


def test_only_the_drawn_rows_are_looked_at(tmp_path: Path) -> None:
    broken = X.clone()
    taken = drawn(90, 20, 0, Y.numpy())
    broken[[i for i in range(90) if i not in taken]] = torch.nan
    assert sample_of(saved(tmp_path / "d.safetensors", inputs=broken, targets=Y), n_samples=20).size == 20
    with pytest.raises(
        DataError, match=r"d.safetensors, examples 0 to 89: 140 numbers of 180 in the inputs not finite"
    ):
        sample_of(tmp_path / "d.safetensors")


def npy(shape: tuple[int, ...], data: bytes, descr: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


@pytest.mark.parametrize(
    ("member", "told"),
    [
        (npy((10**12,), b"abcd"), "'inputs.npy' has 4 bytes, and its header claims 4,000,000,000,000"),
        (npy((2**62, 2**62), b"abcd"), "its header claims"),
        (npy((-1,), b"abcd"), "its header claims"),
        (npy((1,), b"abcdefgh"), "'inputs.npy' has 8 bytes, and its header claims 4"),
        (npy((1,), b"abcdefgh", "|O"), "Object arrays cannot be loaded"),
        (npy((1,), b"abcd", "<U1"), "which is no tensor's type"),
        (npy((1,), b"12345678", "<M8[s]"), "which is no tensor's type"),
        (b"\x93NUMPY\x09\x00", "version"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "EOF"),
        (b"hello", "magic"),
        (b"", "magic|EOF"),
    ],
)
def test_an_array_that_is_not_what_it_claims_is_refused_before_it_is_read(
    tmp_path: Path, member: bytes, told: str
) -> None:
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("inputs.npy", member)
        archive.writestr("targets.npy", npy((1,), b"abcd"))
    with pytest.raises(DataError, match=rf"^d.npz: cannot be read as .npz: .*({told})") as caught:
        sample_of(tmp_path / "d.npz")
    assert caught.value.remedy


def test_a_zip_bomb_is_refused_by_what_it_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "d.npz", inputs=torch.zeros(2**20), targets=torch.zeros(2**20))
    assert path.stat().st_size < 2**20
    monkeypatch.setattr(table, "free_memory", lambda _: 2**22)
    with pytest.raises(DataError, match=r"d.npz: claims 0.0 GiB unpacked") as caught:
        sample_of(path)
    assert "safetensors" in (caught.value.remedy or "")


def test_numbers_in_the_other_byte_order_are_the_same_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", inputs=X.numpy().astype(">f4"), targets=np.asfortranarray(Y.numpy().astype(">i8")))
    batch = read_table(tmp_path / "d.npz", Intake())
    assert torch.equal(tensors(batch.inputs)[0], X)
    assert torch.equal(tensors(batch.targets)[0], Y)


@pytest.mark.parametrize("name", ["d.npz", "d.safetensors"])
@pytest.mark.parametrize("cut", [0, 1, 9, 100, -1])
def test_a_file_cut_short_is_told(tmp_path: Path, name: str, cut: int) -> None:
    path = saved(tmp_path / name, inputs=X, targets=Y)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=rf"{name}: cannot be read as"):
        sample_of(path)


def test_arrays_of_different_lengths_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 90 inputs but 89 targets"):
        sample_of(saved(tmp_path / "d.safetensors", inputs=X, targets=Y[:89]), n_samples=5)


def test_an_array_that_is_there_twice_is_refused_and_not_chosen_from(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.zeros((4, 2), np.float32))
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("inputs.npy", content.getvalue())
        archive.writestr("targets.npy", content.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("inputs.npy", content.getvalue())
    with pytest.raises(DataError, match=r"'inputs\.npy' is there twice"):
        read_table(tmp_path / "d.npz", Intake())


def test_a_shape_of_truth_values_is_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, 8)}"
    header += b" " * (64 - (11 + len(header)) % 64) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(32)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("inputs.npy", content)
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        read_table(tmp_path / "d.npz", Intake())
