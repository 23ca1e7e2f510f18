"""Checkpoints that are none, or not what they claim: exit code 4 and one message that names the file and a remedy."""

from __future__ import annotations

import json
import os
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import outcome
from safetensors.torch import save_file

M = "bad.safetensors"
INDEX = "bad.safetensors.index.json"
F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
Make = Callable[[], object]


def raw(header: str | bytes | dict[str, object], data: bytes = b"", length: int | None = None) -> None:
    text = json.dumps(header) if isinstance(header, dict) else header
    words = text.encode() if isinstance(text, str) else text
    Path(M).write_bytes(struct.pack("<Q", len(words) if length is None else length) + words + data)


def entry(data: bytes = bytes(4), name: str = "a", **changed: object) -> Make:
    return lambda: raw({name: F32 | changed}, data)


def header(text: str | bytes, data: bytes = bytes(4), length: int | None = None) -> Make:
    return lambda: raw(text, data, length)


def content(data: bytes) -> Make:
    return lambda: Path(M).write_bytes(data)


def state(**changed: torch.Tensor) -> Make:
    def write() -> None:
        from safetensors.torch import load_file

        save_file({**load_file("model.safetensors"), **{key.replace("_", "."): t for key, t in changed.items()}}, M)

    return write


def index(**weight_map: object) -> Make:
    return lambda: Path(INDEX).write_text(json.dumps({"weight_map": weight_map}))


def huge() -> None:
    with Path(M).open("wb") as file:
        file.write(struct.pack("<Q", 1 << 30) + b"{")
        file.truncate(2 << 30)


def huge_data() -> None:
    size = 1 << 42
    with Path(M).open("wb") as file:
        words = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
        file.write(struct.pack("<Q", len(words)) + words)
        try:
            file.truncate(8 + len(words) + size)
        except OSError:
            pytest.skip("this file system holds no file of 4 TiB")


def huge_index() -> None:
    with Path(INDEX).open("wb") as file:
        file.truncate(1 << 33)


def loop() -> None:
    Path(M).symlink_to(M)


def device() -> None:
    Path(M).symlink_to("/dev/zero")


def folder() -> None:
    Path(M).mkdir()


def pipe() -> None:
    os.mkfifo(M)


def twice_in_shards() -> None:
    save_file({"a": torch.ones(1)}, "one.safetensors")
    Path("two.safetensors").symlink_to("one.safetensors")
    index(a="one.safetensors", b="two.safetensors")()


def pipe_as_shard() -> None:
    os.mkfifo("one.safetensors")
    index(a="one.safetensors")()


def lacking_shard() -> None:
    save_file({"a": torch.ones(1)}, "one.safetensors")
    index(a="one.safetensors", b="one.safetensors")()


FILES: list[tuple[str, Make, str]] = [
    # What is something else.
    ("zip", content(b"PK\x03\x04\x14\x00" + bytes(80)), "a zip archive, as `torch.save` writes"),
    ("pickle", content(b"\x80\x04\x95" + bytes(80)), "a pickle, which runs code when loaded"),
    ("gguf", content(b"GGUF\x03\x00\x00\x00" + bytes(80)), "is a GGUF file"),
    ("html", content(b"\n<html><script>{{7*7}}</script>"), "is a web page"),
    ("hdf5", content(b"\x89HDF\r\n\x1a\n" + bytes(80)), "is an HDF5 file"),
    ("gzip", content(b"\x1f\x8b\x08" + bytes(80)), "is gzip-compressed"),
    ("zeros", content(bytes(4096)), "is not a safetensors file"),
    ("empty", content(b""), "is empty (0 bytes)"),
    ("a-byte", content(b"\x07"), "is cut short: 1 byte"),
    ("length-alone", content(struct.pack("<Q", 2)), "is cut short: 8 bytes"),
    ("escapes", content(b"\x1b[2J\x1b]0;owned\x07 and more"), "is not a safetensors file"),
    # Headers.
    ("big-endian", lambda: Path(M).write_bytes(struct.pack(">Q", 2) + b"{}"), "claims a header of 144,115,188,"),
    ("longer-than-file", header("{}", length=200), "is cut short: its header says 208 bytes"),
    ("of-a-gigabyte", huge, "claims a header of 1,073,741,824 bytes"),
    ("of-2^64", header("{}", length=2**64 - 1), "claims a header of 18,446,744,073,709,551,615 bytes"),
    ("no-json", header("{nonsense"), "its header cannot be read"),
    ("no-text", header(b'{"\xff\xfe": 1}'), "its header cannot be read"),
    ("nested", header('{"a":' * 50_000), "its header cannot be read"),
    ("nan", header('{"a": NaN}'), "its header cannot be read"),
    ("many-digits", header('{"a": ' + "9" * 10_000 + "}"), "its header cannot be read"),
    ("trailing", header("{} {}"), "its header cannot be read"),
    ("twice", header('{"a": 1, "a": 2}'), "its header has 'a' twice"),
    ("twice-inside", header('{"a": {"dtype": "F32", "dtype": "F16"}}'), "its header has 'dtype' twice"),
    ("no-tensors", header("{}", b""), "has no tensors"),
    ("metadata-number", header('{"__metadata__": {"a": 3}}', b""), "its metadata are not pairs of words"),
    ("metadata-list", header('{"__metadata__": ["a"]}', b""), "its metadata are not pairs of words"),
    ("metadata-surrogate", header('{"__metadata__": {"a": "\\ud800"}}', b""), "its metadata are not pairs of words"),
    # Entries.
    ("number", header('{"a": 3}'), "has not just a dtype, a shape and offsets"),
    ("list", header('{"a": [1]}'), "has not just a dtype, a shape and offsets"),
    ("no-shape", header('{"a": {"dtype": "F32", "data_offsets": [0, 4]}}'), "has not just a dtype"),
    ("more", entry(extra=1), "has not just a dtype, a shape and offsets"),
    ("unknown-dtype", entry(dtype="F33"), "is stored as F33, which cannot be audited"),
    ("half-byte", entry(bytes(2), dtype="F4", shape=[4], data_offsets=[0, 2]), "is stored as F4, which cannot"),
    ("dtype-list", entry(dtype=["F32"]), "has a dtype that is no word"),
    ("hostile-dtype", entry(dtype="\x1b[31m\u202e" + "F" * 100_000), r"is stored as \x1b[31m\u202eFFF"),
    ("offset-float", entry(data_offsets=[0, 4.0]), "has a shape or offsets that are none"),
    ("offset-bool", entry(bytes(1), data_offsets=[False, True]), "has a shape or offsets that are none"),
    ("offset-word", entry(data_offsets=["0", "4"]), "has a shape or offsets that are none"),
    ("offset-negative", entry(data_offsets=[-4, 0]), "its header cannot be read"),
    ("offset-huge", entry(data_offsets=[0, 2**70]), "its header cannot be read"),
    ("offset-beyond", entry(data_offsets=[4, 8]), "leaves a hole before it"),
    ("offset-back", entry(data_offsets=[4, 0]), "has a shape or offsets that are none"),
    ("offset-one", entry(data_offsets=[4]), "has a shape or offsets that are none"),
    ("shape-word", entry(shape="1"), "has a shape or offsets that are none"),
    ("shape-float", entry(shape=[1.0]), "has a shape or offsets that are none"),
    ("shape-bool", entry(shape=[True]), "has a shape or offsets that are none"),
    ("shape-short", entry(shape=[2]), "needs 8 bytes by its shape and has 4"),
    ("shape-overflow", entry(shape=[2**32, 2**32, 1]), "has a shape beyond all bounds"),
    ("shape-wraps", entry(shape=[2**62, 2**62, 0], data_offsets=[0, 0]), "has a shape beyond all bounds"),
    ("shape-deep", entry(shape=[1] * 10_000), "has a shape beyond all bounds"),
    ("cut-data", entry(bytes(3)), "is cut short"),
    ("more-data", entry(bytes(5)), "has bytes that belong to no tensor"),
    ("overlap", lambda: raw({"a": F32, "b": F32}, bytes(4)), "overlaps the one before it"),
    ("hole", lambda: raw({"a": F32, "b": F32 | {"data_offsets": [8, 12]}}, bytes(12)), "leaves a hole before it"),
    ("data-beyond-memory", huge_data, "do not fit into memory"),
    # Names.
    ("surrogate", header(json.dumps({"\ud800": F32})), "has a name that is no text"),
    ("empty-name", entry(name=""), "''"),
    ("markup", entry(name="<script>{{7*7}}</script>"), "'<script>{{7*7}}</script>'"),
    ("escape", entry(name="\x1b[2J\u202e\x00"), r"'\x1b[2J\u202e\x00'"),
    ("line-break", entry(name="a\n::error::forged"), r"'a\n::error::forged'"),
    ("path", entry(name="../../etc/passwd"), "'../../etc/passwd'"),
    ("long", entry(name="x" * 100_000), "xxxx"),
    # Numbers.
    ("nan-weights", state(**{"0_bias": torch.full((8,), float("nan"))}), "the tensor '0.bias' has 8 NaN among 8"),
    ("inf-half", state(**{"0_bias": torch.full((8,), 1e9).half()}), "the tensor '0.bias' has 8 infinite among 8"),
    ("integers", state(**{"0_bias": torch.ones(8, dtype=torch.int8)}), "'0.bias' is stored in torch.int8"),
    ("shape", state(**{"0_bias": torch.ones(9)}), "'0.bias' has shape (9,)"),
    # Places.
    ("loop", loop, "cannot be read: "),
    ("dangling", lambda: Path(M).symlink_to("nowhere"), "no such file"),
    ("pipe", pipe, "it is a pipe, not a file"),
    ("device", device, "it is a device, not a file"),
    ("folder", folder, "is a folder without a .safetensors file"),
]

INDICES: list[tuple[str, Make, str]] = [
    ("huge", huge_index, "it has more than 100,000,000 bytes"),
    ("no-json", lambda: Path(INDEX).write_text("{"), "is not the index"),
    ("nested", lambda: Path(INDEX).write_text("[" * 100_000), "is not the index"),
    ("no-text", lambda: Path(INDEX).write_bytes(b"\xff\xfe{}"), "is not the index"),
    ("no-map", lambda: Path(INDEX).write_text("{}"), "is not the index"),
    ("no-files", index(a=3), "is not the index"),
    ("empty", index(), "has no tensors"),
    ("twice", lambda: Path(INDEX).write_text('{"weight_map": {"a": "x", "a": "y"}}'), "has 'a' twice"),
    ("upwards", index(a="../x.safetensors"), "lists '../x.safetensors', which is not a .safetensors file beside it"),
    ("absolute", index(a="/etc/passwd"), "lists '/etc/passwd'"),
    ("pickle", index(a="pytorch_model.bin"), "lists 'pytorch_model.bin'"),
    ("escape", index(a="\x1b[2J\u202e/x.safetensors"), r"lists '\x1b[2J\u202e/x.safetensors'"),
    ("nul", index(a="\x00.safetensors"), r"lists '\x00.safetensors'"),
    ("surrogate", index(a="\ud800.safetensors"), r"\ud800.safetensors: cannot be read"),
    ("long", index(a="x" * 300 + ".safetensors"), "cannot be read: File name too long"),
    ("gone", index(a="gone.safetensors"), "gone.safetensors: no such file"),
    ("alias", twice_in_shards, "two.safetensors: has no tensor 'b', which the index says is there"),
    ("lacking", lacking_shard, "one.safetensors: has no tensor 'b', which the index says is there"),
    ("pipe", pipe_as_shard, "one.safetensors: cannot be read: it is a pipe"),
]


def assert_refused(arguments: list[str], wanted: str, monkeypatch, capsys, expected: int = 4) -> None:
    started = time.perf_counter()
    code, out, err = outcome(arguments, monkeypatch, capsys)
    assert time.perf_counter() - started < 10
    assert code == expected, err
    assert wanted in err
    assert out == ""
    assert err.count("landscape-audit: error: ") == 1
    assert all(character.isprintable() or character == "\n" for character in err)
    assert len(err) < 5000
    assert "Traceback" not in err
    assert len(err.splitlines()) >= 3, "there is no remedy"
    assert re.fullmatch(rf"landscape-audit: ERROR  .+  \(exit {expected}\)", err.splitlines()[-1])
    assert not list(Path().glob("audit-*")), "something was left behind that looks like an audit"


RUN = ["run", "-c", "audit.toml", "--no-pdf"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("make", "wanted"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_a_bad_checkpoint_is_exit_code_4_and_one_message(make, wanted, monkeypatch, capsys):
    make()
    assert_refused([*RUN, M], wanted, monkeypatch, capsys)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("make", "wanted"), [row[1:] for row in INDICES], ids=[row[0] for row in INDICES])
def test_a_bad_index_is_exit_code_4_and_one_message(make, wanted, monkeypatch, capsys):
    make()
    assert_refused([*RUN, INDEX], wanted, monkeypatch, capsys)


@pytest.mark.usefixtures("folder")
def test_a_checkpoint_whose_name_is_too_long_is_exit_code_4(monkeypatch, capsys):
    assert_refused(["run", "x" * 300 + ".safetensors", "-c", "audit.toml"], "File name too long", monkeypatch, capsys)


@pytest.mark.usefixtures("folder")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_checkpoint_that_may_not_be_read_is_exit_code_4(monkeypatch, capsys):
    Path("model.safetensors").chmod(0)
    assert_refused([*RUN, "model.safetensors"], "Permission denied", monkeypatch, capsys)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "model.safetensors", "-c", "pipe"], 2),
        (["run", "model.safetensors", "--policy", "pipe"], 2),
        (["plan", "model.safetensors", "-c", "pipe"], 2),
        (["gate", "pipe"], 4),
        (["report", "pipe"], 4),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_pipe_is_refused_wherever_a_file_is_read(arguments, expected, monkeypatch, capsys):
    os.mkfifo("pipe")
    assert_refused(arguments, "it is a pipe, not a file", monkeypatch, capsys, expected)
