"""Where the sample is kept changes what it takes and no number."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from user_files import subject_in

from landscape_audit.errors import DataError
from landscape_audit.measure import audit
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.data import store
from landscape_audit.subject.data.batch import Batch, joined
from landscape_audit.subject.data.nested import tensors
from landscape_audit.subject.data.store import Store

CPU = torch.device("cpu")


def numbers(*shape: int) -> Tensor:
    return torch.arange(float(torch.Size(shape).numel())).view(shape)


def stored(batches: list[Batch]) -> tuple[tuple[Batch, ...], str]:
    with contextlib.closing(Store("loader", CPU, torch.float32)) as kept:
        for batch in batches:
            kept.add(batch)
        return kept.kept()


BATCHES = {
    "plain": [Batch(numbers(7, 3), torch.arange(7)), Batch(-numbers(2, 3), torch.arange(2))],
    "padded by batch": [Batch({"ids": torch.arange(2 * n).view(2, n)}, torch.arange(2) + n) for n in (5, 9, 9, 2)],
    "of several types": [
        Batch((numbers(3, 5).bfloat16(), numbers(3, 1) > 1, numbers(3, 2).double()), numbers(3, 0)) for _ in range(3)
    ],
    "more and fewer tensors": [Batch(numbers(2, 2), numbers(2)), Batch((numbers(3), numbers(3)), numbers(3, 1))],
}


@pytest.mark.parametrize("limit", [2**24, 100, 0], ids=["memory", "first memory, then a file", "a file"])
@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
def test_what_was_kept_comes_back(batches: list[Batch], limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_memory", lambda _: limit)
    found, place = stored(batches)
    assert place == ("device" if sum(batch.nbytes for batch in batches) <= store.SHARE * limit else "file")
    for before, after in zip(batches, found, strict=True):
        expected = dict(before.to(CPU, torch.float32).named())
        assert dict(after.named()).keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in after.named())
        assert all(tensor.dtype == expected[name].dtype for name, tensor in after.named())


@pytest.mark.parametrize("limit", [2**24, 0], ids=["memory", "a file"])
def test_joining_neighbours_copies_nothing(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_memory", lambda _: limit)
    batches, _ = stored([Batch((numbers(n, 4) + n, numbers(n, 2, 2)), torch.arange(n)) for n in (2, 3, 1)])
    whole = joined(batches[1:])
    for one, first, second in zip(*(tensors(batch.inputs) for batch in (whole, *batches[1:])), strict=True):
        assert torch.equal(one, torch.cat([first, second]))
        assert one.data_ptr() == first.data_ptr()
    apart = joined([batches[2], batches[0]])
    assert torch.equal(tensors(apart.inputs)[0], torch.cat([tensors(batches[i].inputs)[0] for i in (2, 0)]))


def audited(folder: Path) -> dict[str, Any]:
    subject_in(folder)
    tables = {
        "model": {"factory": "model.py:build"},
        "data": {"loader": "data.py:batches"},
        "protocol": {"preset": "quick", "device": "cpu", "max_memory": "1GiB"},
        "checks": {"only": ["sharpness", "data", "flatness", "ggn"]},
    }
    found = audit(AuditSpec.model_validate(tables), folder / "model.safetensors", folder)
    assert not found.partial
    return found.model_dump(mode="json")


def test_an_audit_from_a_file_has_the_same_numbers_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = audited(tmp_path)
    monkeypatch.setattr(store, "free_memory", lambda _: 0)
    from_file = audited(tmp_path)
    assert (in_memory["data"].pop("kept"), from_file["data"].pop("kept")) == ("device", "file")
    assert from_file["data"] == in_memory["data"]
    assert from_file["checks"] == in_memory["checks"]
    assert set(from_file["protocol"]["adjustments"]) - set(in_memory["protocol"]["adjustments"]) == {
        "The sample is kept in a temporary file, and each batch moved when it is used."
    }


def test_a_batch_in_host_memory_has_the_loss_of_one_on_the_device(tmp_path: Path) -> None:
    subject = subject_in(tmp_path)
    there = replace(subject.in_dtype(torch.float64), sample=subject.sample)
    views = there.layout.views(there.theta)
    for batch in subject.sample.batches:
        cast = batch.to(CPU, torch.float64)
        assert torch.equal(there.batch_loss(views, batch).total, there.batch_loss(views, cast).total)


def test_what_is_too_much_for_the_device_stays_with_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("meta")  # stands for one with memory of its own
    free = {"cpu": 2**24, "meta": 100}
    monkeypatch.setattr(store, "free_memory", lambda where: free[where.type])
    for n, expected in ((1, ("device", "meta")), (7, ("host", "cpu"))):
        with contextlib.closing(Store("loader", device, torch.float32)) as kept:
            kept.add(Batch(numbers(n, 3), numbers(n)))
            (batch,), place = kept.kept()
        assert (place, tensors(batch.inputs)[0].device.type) == expected


def test_no_file_is_left_and_none_is_ever_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(store, "free_memory", lambda _: 0)
    with contextlib.closing(Store("loader", CPU, torch.float32)) as kept:
        kept.add(Batch(numbers(5, 2), numbers(5)))
        assert not list(tmp_path.iterdir())
        (batch,), place = kept.kept()
    assert place == "file"
    assert torch.equal(tensors(batch.inputs)[0], numbers(5, 2))


def test_a_full_disk_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")
    monkeypatch.setattr(store, "free_memory", lambda _: 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "wb", buffering=0))  # noqa: SIM115, PTH123 - a file as it wants one
    with pytest.raises(DataError, match=r"^loader: the sample does not fit into memory.*No space left") as caught:
        stored([Batch(numbers(5, 2), numbers(5))])
    assert "TMPDIR" in (caught.value.remedy or "")


BIG = """
import sys, torch
from pathlib import Path
from torch import nn
from landscape_audit.probes.evaluation import evaluate, passes
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.data import store
from landscape_audit.subject.loading import load_subject

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024

seen = []

def build():
    return Model()

class Model(nn.Linear):
    def __init__(self):
        super().__init__(1 << 17, 1, bias=False)
    def forward(self, x):
        seen.append(anonymous())
        return super().forward(x)

def batches():
    for index in range(48):
        seen.append(anonymous())
        yield torch.full((8, 1 << 17), index / 48), torch.arange(8.0).view(8, 1)

if __name__ == "__main__":
    import big
    from safetensors.torch import save_file
    torch.manual_seed(0)
    save_file(build().state_dict(), "model.safetensors")
    store.free_memory = lambda device: 32 << 20
    spec = {"model": {"factory": "big:build"}, "data": {"loader": "big:batches"}, "loss": {"name": "mse"}}
    before = anonymous()
    found = load_subject(AuditSpec.model_validate(spec), Path("model.safetensors"), Path("."), torch.device("cpu"))
    evaluate(found, found.theta, passes(found.sample.batches, range(48), 16))
    print(found.data.kept, len(big.seen), max(big.seen) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_sample_larger_than_memory_takes_no_more_of_it_than_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text(textwrap.dedent(BIG))
    run = subprocess.run(
        [sys.executable, "big.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(tmp_path)]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    kept, seen, grown = run.stdout.split()
    assert kept == "file"
    assert int(seen) >= 4 * 48 - 24  # two passes of the loader and two of the model, once by batch and once by two
    assert int(grown) < 96  # MiB, of a sample of 192: in memory are 8, copies of a batch, and what torch loads late
