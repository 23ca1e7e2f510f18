from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from user_files import write

from landscape_audit.errors import ConfigError, DataError
from landscape_audit.spec import DataSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.batch import Batch, fingerprint
from landscape_audit.subject.data.sample import Sample, read_sample

CPU = torch.device("cpu")
HEAD = """
import itertools, numpy as np, torch
from torch.utils.data import DataLoader, TensorDataset
x, y = torch.arange(60.).view(30, 2), torch.arange(30)
pairs = TensorDataset(x, y)
def batches(**kwargs):
"""


def sample_of(folder: Path, body: str, dtype: torch.dtype = torch.float32, **settings: Any) -> Sample:
    write(folder, "data.py", HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    return read_sample(DataSpec(loader="data.py:batches", **settings), UserCode(folder), CPU, dtype)


def inputs(sample: Sample) -> torch.Tensor:
    return torch.cat([batch.inputs for batch in sample.batches])


def refusal(folder: Path, body: str, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        sample_of(folder, body, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "return DataLoader(pairs, 7)",
        "return [(x[:20], y[:20]), [x[20:], y[20:]]]",
        "yield from zip(x.split(4), y.split(4))",
        "return ((a.numpy(), b.numpy()) for a, b in zip(x.split(4), y.split(4)))",
        "return map(lambda pair: pair, [(x, y)])",
    ],
    ids=["DataLoader", "list", "generator", "numpy generator", "map"],
)
def test_every_kind_of_loader_gives_the_examples_in_order(tmp_path: Path, body: str) -> None:
    sample = sample_of(tmp_path, body)
    assert torch.equal(inputs(sample), torch.arange(60.0).view(30, 2))
    assert torch.equal(torch.cat([batch.targets for batch in sample.batches]), torch.arange(30))
    assert sample.fingerprint == sample_of(tmp_path, "return [(x, y)]").fingerprint


def test_a_shuffling_loader_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, "return DataLoader(pairs, 5, shuffle=True)")
    assert told.startswith("data.py:batches: the second pass gave other batches than the first.")
    assert "shuffle=False" in told


@pytest.mark.parametrize(
    "body",
    [
        "yield from DataLoader(pairs, 5, shuffle=True)",
        "yield x + np.random.rand(), y",
        "return DataLoader(TensorDataset(x, y), 5, shuffle=True, generator=torch.Generator().manual_seed(0))",
    ],
    ids=["one-shot", "augmenting", "with a generator of its own"],
)
def test_whatever_changes_between_passes_is_refused(tmp_path: Path, body: str) -> None:
    assert "the second pass gave other batches" in refusal(tmp_path, body)


def test_a_loader_that_seeds_itself_for_each_pass_is_accepted(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, "torch.manual_seed(0)\nyield from DataLoader(pairs, 5, shuffle=True)")
    assert sample.size == 30


def test_a_buffer_filled_again_and_again_does_not_change_earlier_batches(tmp_path: Path) -> None:
    body = "b = torch.empty(5, 2)\nfor i in range(6):\n    b.copy_(x[5 * i:5 * i + 5])\n    yield b, y[:5]"
    assert torch.equal(inputs(sample_of(tmp_path, body)), torch.arange(60.0).view(30, 2))


@pytest.mark.parametrize("n", [1, 7, 12, 30])
def test_the_first_n_samples_are_taken_in_order(tmp_path: Path, n: int) -> None:
    sample = sample_of(tmp_path, "return DataLoader(pairs, 5)", n_samples=n, draw="first")
    assert torch.equal(inputs(sample), torch.arange(60.0).view(30, 2)[:n])


def test_an_endless_loader_needs_n_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "return itertools.cycle([(x, y)])"
    assert sample_of(tmp_path, body, n_samples=100).size == 100
    monkeypatch.setattr("landscape_audit.subject.data.sample.MAX_EXAMPLES", 1000)
    told = refusal(tmp_path, body)
    assert "still went on after 1,020 examples" in told
    assert "n_samples" in told
    monkeypatch.setattr("landscape_audit.subject.data.sample.MAX_BYTES", 5000)
    assert "still went on after 330 examples" in refusal(tmp_path, body)


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        ("return DataLoader(pairs, 30)", None),
        ("return DataLoader(pairs, 13)", None),
        ("return DataLoader(pairs, 1)", [1] * 30),
        ("return [(x[:9], y[:9])]", [1] * 9),
        ("return [(x[:0], y[:0]), (x[:3], y[:3])]", [1] * 3),
    ],
)
def test_there_are_sixteen_batches_where_there_are_examples_for_them(
    tmp_path: Path, body: str, sizes: list[int] | None
) -> None:
    found = [batch.size for batch in sample_of(tmp_path, body).batches]
    assert len(found) >= min(16, sum(found))
    assert sizes is None or found == sizes


def test_batch_size_is_exact_but_for_the_last(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, "return DataLoader(pairs, 4)", batch_size=7)
    assert [batch.size for batch in sample.batches] == [7, 7, 7, 7, 2]
    assert torch.equal(inputs(sample), torch.arange(60.0).view(30, 2))


def test_only_floating_point_tensors_change_their_type(tmp_path: Path) -> None:
    sample = sample_of(tmp_path, "return [(x.half(), y.int())]", torch.float64)
    assert {batch.inputs.dtype for batch in sample.batches} == {torch.float64}
    assert {batch.targets.dtype for batch in sample.batches} == {torch.int32}
    sample = sample_of(tmp_path, "return [(y, x.double())]")
    assert {(batch.inputs.dtype, batch.targets.dtype) for batch in sample.batches} == {(torch.int64, torch.float32)}


def test_the_fingerprint_sees_everything_but_the_batches() -> None:
    x, y = torch.arange(12.0).view(6, 2), torch.arange(6)
    whole = fingerprint([Batch(x, y)])
    assert fingerprint(Batch(a, b) for a, b in zip(x.split(4), y.split(4), strict=True)) == whole
    changed = [(x + 1, y), (x, y + 1), (x.flip(0), y), (x.view(6, 1, 2), y), (x.view(torch.int32), y), (x[:5], y[:5])]
    assert whole not in {fingerprint([Batch(a, b)]) for a, b in changed}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return []", "data.py:batches: has no examples"),
        ("return [(x[:0], y[:0])]", "has no examples"),
        ("return 3", "returned int, which cannot be iterated"),
        ("return None", "returned NoneType, which cannot be iterated"),
        ("return [x]", "batch 0: is a Tensor, not a pair (inputs, targets)"),
        ("return [{'x': x}]", "batch 0: has nothing that is known to be targets among 'x'"),
        ("return [(x, y), ([['a'] * 2] * 30, y)]", "batch 1: inputs[0][0] are of type str, not a tensor"),
        ("return [(x, torch.tensor(1))]", "batch 0: targets are a single number"),
        ("return [(x, y[:29])]", "batch 0: has 30 inputs but 29 targets"),
        ("return [(np.array([{}]), y)]", "batch 0: inputs are a numpy array of object"),
        ("return [(x.to_sparse(), y)]", "batch 0: inputs are not a dense tensor"),
        ("return [(x, y), (x.clone().fill_(float('nan')), y)]", "batch 1: 60 numbers of 60 in the inputs not finite"),
        ("return [(y, torch.where(x > 58, torch.inf, x))]", "batch 0: 1 number of 60 in the targets not finite"),
        ("raise ValueError('gone')", "raised ValueError: gone (data.py, line 7)"),
        ("yield x, y\nraise ValueError('late')", "raised ValueError: late (data.py, line 8)"),
        ("yield x, y\nimport sys; sys.exit()", "raised SystemExit (data.py, line 8)"),
    ],
)
def test_what_is_no_sample_is_told_apart(tmp_path: Path, body: str, told: str) -> None:
    assert told in refusal(tmp_path, body)


def test_examples_of_different_shapes_cannot_be_batched_anew(tmp_path: Path) -> None:
    body = "return [(torch.ones(2, 3), y[:2]), (torch.ones(2, 4), y[:2])]"
    assert sample_of(tmp_path, body).size == 4
    assert "examples of different shapes, (3,) and (4,)" in refusal(tmp_path, body, batch_size=4)


def from_file(folder: Path, name: str, **settings: Any) -> Sample:
    return read_sample(DataSpec(file=Path(name), **settings), UserCode(folder), CPU, torch.float32)


def test_files_give_the_same_sample_as_a_loader(tmp_path: Path) -> None:
    x, y = torch.arange(60.0).view(30, 2), torch.arange(30)
    save_file({"inputs": x, "targets": y, "more": x + 1}, tmp_path / "d.safetensors")
    np.savez(tmp_path / "d.npz", inputs=x.numpy(), targets=y.numpy())
    expected = sample_of(tmp_path, "return [(x, y)]").fingerprint
    assert from_file(tmp_path, "d.safetensors").fingerprint == expected
    assert from_file(tmp_path, "d.npz").fingerprint == expected
    assert from_file(tmp_path, "d.npz", n_samples=4).size == 4


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was run')",)


def test_a_pickle_in_a_data_file_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", inputs=np.array([Bomb()], dtype=object), targets=np.ones(1))
    with pytest.raises(DataError, match=r"d.npz: cannot be read as .npz: Object arrays cannot be loaded"):
        from_file(tmp_path, "d.npz")
    (tmp_path / "e.npz").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"e.npz: cannot be read as .npz"):
        from_file(tmp_path, "e.npz")


def test_unusable_files_are_told_apart(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "d.safetensors")
    (tmp_path / "d.pt").write_bytes(b"PK")
    for name, told in (
        ("gone.npz", "gone.npz: no such file"),
        ("d.safetensors", "nothing that is known to be targets among 'x'"),
        ("d.pt", "is neither .safetensors nor .npz"),
    ):
        with pytest.raises(DataError, match=told):
            from_file(tmp_path, name)


@pytest.mark.parametrize("settings", [{}, {"loader": "data.py:batches", "file": Path("d.npz")}])
def test_data_come_from_one_place(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="either a loader or a file"):
        read_sample(DataSpec(**settings), UserCode(tmp_path), CPU, torch.float32)
