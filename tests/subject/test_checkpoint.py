from __future__ import annotations

import hashlib
import json
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from landscape_audit.errors import CheckpointError
from landscape_audit.subject.checkpoint.checkpoint import read_checkpoint, tensor_digest

TENSORS = {
    "a": torch.arange(6.0).view(2, 3),
    "b": torch.ones(4, dtype=torch.float16),
    "c": torch.tensor(7),
    "d": torch.zeros(0, 3),
}


def saved(path: Path, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    save_file(TENSORS if tensors is None else tensors, path, metadata={"by": "test"})
    return path


def raw(path: Path, header: str, data: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + data)
    return path


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    return caught.value


def test_tensors_come_back_as_stored_with_the_files_hash(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors")
    found = read_checkpoint(path)
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[name], TENSORS[name]) for name in TENSORS)
    (record,) = found.files
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.size_bytes == path.stat().st_size
    assert found.metadata == {"by": "test"}
    assert {group.dtype: (group.tensors, group.elements) for group in found.groups} == {
        "float16": (1, 4), "float32": (2, 6), "int64": (1, 1),
    }  # fmt: skip


def test_the_digest_does_not_depend_on_order_or_files_but_on_everything_else(tmp_path: Path) -> None:
    whole = read_checkpoint(saved(tmp_path / "m.safetensors")).digest
    assert read_checkpoint(sharded(tmp_path)).digest == whole
    assert tensor_digest(dict(reversed(TENSORS.items()))) == whole
    changed = [
        TENSORS | {"a": TENSORS["a"] + 1},
        TENSORS | {"a": TENSORS["a"].view(3, 2)},
        TENSORS | {"a": TENSORS["a"].view(torch.int32)},
        {name.replace("a", "e"): tensor for name, tensor in TENSORS.items()},
        {name: tensor for name, tensor in TENSORS.items() if name != "d"},
    ]
    assert whole not in {tensor_digest(tensors) for tensors in changed}


def sharded(folder: Path, **weight_map: str) -> Path:
    saved(folder / "m-1.safetensors", {name: TENSORS[name] for name in ("a", "c")})
    saved(folder / "m-2.safetensors", {name: TENSORS[name] for name in ("b", "d")})
    index = {"a": "m-1.safetensors", "c": "m-1.safetensors", "b": "m-2.safetensors", "d": "m-2.safetensors"}
    path = folder / "m.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": index | weight_map}))
    return path


def test_a_sharded_checkpoint_records_its_index_and_its_shards(tmp_path: Path) -> None:
    found = read_checkpoint(sharded(tmp_path))
    assert [file.name for file in found.files] == ["m.safetensors.index.json", "m-1.safetensors", "m-2.safetensors"]
    assert found.tensors.keys() == TENSORS.keys()


def test_one_shard_named_beside_its_index_is_told_the_index(tmp_path: Path) -> None:
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name, parts in zip(names, ("ac", "bd"), strict=True):
        saved(tmp_path / name, {part: TENSORS[part] for part in parts})
    assert read_checkpoint(tmp_path / names[0]).tensors.keys() == {
        "a",
        "c",
    }  # alone, it is all
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("acbd", [names[0]] * 2 + [names[1]] * 2, strict=True))}))
    told = refusal(tmp_path / names[0])
    assert "is one of several files of a checkpoint" in str(told)
    assert "Name their index, model.safetensors.index.json." in str(told)
    assert read_checkpoint(index).tensors.keys() == TENSORS.keys()


@pytest.mark.parametrize("place", ["../m-1.safetensors", "/etc/passwd", "sub/m.safetensors", "m.bin"])
def test_an_index_may_name_its_neighbours_only(tmp_path: Path, place: str) -> None:
    assert "is not a .safetensors file beside it" in str(refusal(sharded(tmp_path, e=place)))


def test_a_shard_that_lacks_a_listed_tensor_is_refused(tmp_path: Path) -> None:
    assert "m-1.safetensors: has no tensor 'e', which the index says" in str(
        refusal(sharded(tmp_path, e="m-1.safetensors"))
    )


def test_an_index_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors.index.json"
    for text in ("{", "[]", '{"weight_map": 3}'):
        path.write_text(text)
        assert "is not the index of a sharded checkpoint" in str(refusal(path))


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was run')",)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_refused_and_never_loaded(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    error = refusal(path)
    assert "is a pickle, which runs code when loaded" in error.what
    assert "safetensors.torch.save_file(model.state_dict()" in error.remedy


def test_what_torch_save_writes_is_refused_with_the_remedy(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pt")
    error = refusal(tmp_path / "m.pt")
    assert error.what.startswith("m.pt: is a zip archive, as `torch.save` writes")
    assert "save_file" in error.remedy


def test_a_header_whose_length_begins_like_a_pickle_is_still_safetensors(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(0x280)
    path = raw(tmp_path / "m.safetensors", header, struct.pack("<f", 2.5))
    assert path.read_bytes().startswith(b"\x80\x02")
    assert read_checkpoint(path).tensors["a"].item() == 2.5


@pytest.mark.parametrize(
    ("content", "told", "remedy"),
    [
        (b"", "is empty", "Fetch"),
        (b"abc", "is cut short: 3 bytes", "Fetch"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>Not found</html>", "is a web page", "Fetch"),
        (b"GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00", "is a GGUF file", "safetensors"),
        (b"\x00\x01\x02\x03\x1b[31m and so on", r"it begins with b'\x00\x01\x02\x03\x1b[31'", "save_file"),
    ],
)
def test_what_is_no_safetensors_is_called_what_it_is(tmp_path: Path, content: bytes, told: str, remedy: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    error = refusal(path)
    assert error.what.startswith("m.safetensors: ")
    assert told in error.what
    assert remedy in error.remedy


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    assert "no such file" in str(refusal(tmp_path / "gone.safetensors"))
    assert "is a folder without a .safetensors file" in str(refusal(tmp_path))


def test_a_folder_stands_for_the_only_checkpoint_in_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors")
    assert list(read_checkpoint(tmp_path).sources) == [path]
    saved(tmp_path / "n.safetensors")
    assert refusal(tmp_path).remedy == "Name one of them: m.safetensors, n.safetensors."


def test_a_folder_of_shards_stands_for_their_index(tmp_path: Path) -> None:
    assert read_checkpoint(sharded(tmp_path).parent).files[0].name == "m.safetensors.index.json"


@pytest.mark.parametrize("kept", [9, 100, -1])
def test_a_file_cut_short_tells_both_sizes(tmp_path: Path, kept: int) -> None:
    path = saved(tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    assert "is cut short: its header says" in str(refusal(path))
    assert f"the file has {path.stat().st_size:,}" in str(refusal(path))


def test_bytes_after_the_last_tensor_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes() + b"more")
    assert "has bytes that belong to no tensor" in str(refusal(path))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ('{"a": 3}', "is damaged"),
        ("{nonsense", "is damaged"),
        ('{"a": {"dtype": "F9", "shape": [1], "data_offsets": [0, 4]}}', "is stored as F9, which cannot be audited"),
        ("{}", "has no tensors"),
        (
            (
                '{"a": {"dtype": "I32", "shape": [1], "data_offsets": [0, 4]},'
                ' "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
            ),
            "its header has 'a' twice",
        ),
    ],
)
def test_a_header_without_one_meaning_is_refused(tmp_path: Path, header: str, told: str) -> None:
    data = b"\0\0\0\0" if "data_offsets" in header else b""
    assert told in str(refusal(raw(tmp_path / "m.safetensors", header, data)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2])
def test_numbers_that_are_none_are_refused_with_their_tensor_and_count(tmp_path: Path, dtype: torch.dtype) -> None:
    bad = torch.tensor([1.0, float("nan"), float("inf"), float("-inf")]).to(dtype)
    error = refusal(saved(tmp_path / "m.safetensors", {"fine": torch.ones(2), "head.weight": bad}))
    assert "'head.weight' has 1 NaN and 2 infinite among 4 numbers" in error.what
    assert "earlier checkpoint" in error.remedy


def test_hostile_names_are_printed_harmlessly(tmp_path: Path) -> None:
    name = "a\x1b[2J\u202eb"
    shown = str(refusal(saved(tmp_path / "m.safetensors", {name: torch.tensor([float("nan")])})))
    assert r"'a\x1b[2J\u202eb'" in shown
    assert "\x1b" not in shown


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from there")
def test_a_checkpoint_is_read_into_its_own_memory_and_no_more(tmp_path: Path) -> None:
    size = 1 << 28
    header = {"a": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    path = raw(tmp_path / "m.safetensors", json.dumps(header))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)  # zeros that take no room on the disk
    script = (
        "import sys; from pathlib import Path\n"
        "from landscape_audit.subject.checkpoint.checkpoint import read_checkpoint\n"
        "status = Path('/proc/self/status')\n"
        "peak = lambda: 1024 * int(status.read_text().split('VmHWM:')[1].split()[0])\n"
        "before = peak(); read_checkpoint(Path(sys.argv[1])); print(peak() - before)"
    )
    used = int(subprocess.run([sys.executable, "-c", script, path], check=True, capture_output=True).stdout)
    assert size * 0.9 < used < size * 1.5  # the file, 16 MiB of it that are looked at together, and PyTorch's kernels


def test_what_is_written_to_the_file_later_does_not_reach_the_tensors(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors")
    found = read_checkpoint(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert tensor_digest(found.tensors) == found.digest


def test_tensors_that_do_not_begin_at_a_multiple_of_their_size_are_read(tmp_path: Path) -> None:
    header = {
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "F64", "shape": [1], "data_offsets": [1, 9]},
    }
    path = raw(tmp_path / "m.safetensors", json.dumps(header), b"\7" + struct.pack("<d", 2.5))
    assert read_checkpoint(path).tensors["b"].item() == 2.5


def test_shards_may_be_links_as_in_a_hub_cache(tmp_path: Path) -> None:
    whole = read_checkpoint(sharded(tmp_path))
    (tmp_path / "blobs").mkdir()
    (tmp_path / "m-1.safetensors").rename(tmp_path / "blobs" / "0f3e")
    (tmp_path / "m-1.safetensors").symlink_to("blobs/0f3e")
    assert read_checkpoint(tmp_path).files == whole.files
