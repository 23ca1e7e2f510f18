"""Headers are read without torch, within bounds, and say what the safetensors library says."""

from __future__ import annotations

import contextlib
import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from landscape_audit.errors import CheckpointError
from landscape_audit.subject.checkpoint.header import Stored, read_header


def with_header(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(shape=(2,), begin=0, end=8, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_a_header_says_what_the_library_says(tmp_path):
    path = tmp_path / "model.safetensors"
    tensors = {"a.weight": torch.zeros(3, 4), "b": torch.zeros((), dtype=torch.float16), "c": torch.ones(0, 5).long()}
    save_file(tensors, path, metadata={"format": "pt", "step": "7"})
    header = read_header(path)
    with safe_open(path, framework="pt") as file:
        truth = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    assert {name: stored.shape for name, stored in header.tensors.items()} == truth
    assert header.tensors["b"] == Stored("F16", ())
    assert header.metadata == {"format": "pt", "step": "7"}


def test_the_headers_of_all_shards_are_one(tmp_path):
    for number in (1, 2):
        save_file({f"layer{number}.weight": torch.zeros(number)}, tmp_path / f"part-{number}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    files = {f"layer{number}.weight": f"part-{number}.safetensors" for number in (1, 2)}
    index.write_text(json.dumps({"weight_map": files}))
    header = read_header(index)
    assert sorted(header.tensors) == ["layer1.weight", "layer2.weight"]
    assert header.files == 2


@pytest.mark.parametrize("name", ["../part-1.safetensors", "/etc/passwd", "a\0b.safetensors", "sub/x.safetensors", ""])
def test_an_index_names_its_neighbours_and_nothing_else(tmp_path, name):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(CheckpointError, match=r"which is not a \.safetensors file beside it"):
        read_header(index)


@pytest.mark.parametrize(
    ("header", "length", "wanted"),
    [
        ({"x": entry()}, 2**40, "is damaged: it claims a header of 1,099,511,627,776 bytes"),
        ({"x": entry()}, 90_000_000, "is cut short"),
        ({"x": entry(end=9)}, None, "is cut short"),
        ({"x": entry(shape=(10**15,))}, None, "is damaged"),
        ({"x": entry(shape=(-1,))}, None, "is damaged"),
        ({"x": entry(shape=(True,))}, None, "is damaged"),
        ({"x": entry(begin=8, end=0)}, None, "is damaged"),
        ({"x": {}}, None, "is damaged"),
        ({"x": 3}, None, "is damaged"),
        ({"x": entry(dtype=3)}, None, "is damaged"),
        ({"x": entry(shape=(17,), dtype="F4")}, None, "more numbers by its shape than bytes"),
        (b'{"x": 1, "x": 2}', None, "its header has 'x' twice"),
        (b'{"x": ' + b"[" * 100_000, None, "is damaged"),
        (b"{\xff", None, "is damaged"),
        ({"__metadata__": 3, "x": entry()}, None, "is damaged"),
        ({}, None, "has bytes that belong to no tensor"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header, length, wanted):
    path = with_header(tmp_path / "model.safetensors", header, b"\0" * 8, length)
    with pytest.raises(CheckpointError, match=wanted):
        read_header(path)


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="it is a pipe, not a file"):
        read_header(tmp_path / "model.safetensors")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 250))
def test_any_bytes_are_a_header_or_one_error(tmp_path_factory, text, length):
    path = with_header(tmp_path_factory.getbasetemp() / "any.safetensors", b"{" + text, b"", length)
    with contextlib.suppress(CheckpointError):
        assert read_header(path).tensors
