"""Whatever gives the examples, they are those of the same data given as plain tensors; only what is drawn is read."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from results_factory import an_audit
from torch import Tensor
from user_files import DATA, subject_in, write

from landscape_audit.errors import DataError, ModelError
from landscape_audit.report.provenance import identity_of
from landscape_audit.spec import DataSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.draw import drawn
from landscape_audit.subject.data.intake import Intake
from landscape_audit.subject.data.nested import tensors
from landscape_audit.subject.data.sample import Sample, read_sample

N = 90
HEAD = """
import dataclasses, typing, numpy as np, torch
from collections import UserDict
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

x, y = torch.arange(180.).view(90, 2), torch.arange(90) % 3
pairs = TensorDataset(x, y)
read = []

class Counted(Dataset):
    targets = y.tolist()
    def __len__(self):
        return 90
    def __getitem__(self, index):
        read.append(index)
        return x[index], y[index]

class Flowing(IterableDataset):
    def __iter__(self):
        yield from pairs

class Named(typing.NamedTuple):
    x: torch.Tensor
    labels: torch.Tensor

class Pair(typing.NamedTuple):
    image: torch.Tensor
    y: torch.Tensor

@dataclasses.dataclass
class Item:
    labels: torch.Tensor
    x: torch.Tensor

def padded(examples):
    parts = [part for part, _ in examples]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), torch.stack([label for _, label in examples])

lengths = [(torch.full((1 + i % 5,), float(i)), y[i]) for i in range(90)]
"""


def sample_of(folder: Path, body: str, accepted: frozenset[str] | None = None, **settings: Any) -> Sample:
    write(folder, "data.py", f"{HEAD}\n{body}\n")
    intake = Intake(accepted=accepted)
    spec = DataSpec(loader="data.py:loader", **settings)
    return read_sample(spec, UserCode(folder), torch.device("cpu"), torch.float32, intake)


def inputs(sample: Sample) -> Tensor:
    return torch.cat([tensors(batch.inputs)[0] for batch in sample.batches])


def targets(sample: Sample) -> Tensor:
    return torch.cat([tensors(batch.targets)[0] for batch in sample.batches])


X, Y = torch.arange(180.0).view(N, 2), torch.arange(N) % 3
BODIES = {
    "data set": "def loader(): return pairs",
    "data set by name": "loader = pairs",
    "class": "loader = Counted",
    "loader by name": "loader = DataLoader(pairs, 16)",
    "loader with workers": "loader = DataLoader(pairs, 16, num_workers=2)",
    "list by name": "loader = list(DataLoader(pairs, 16))",
    "iterable data set": "loader = Flowing()",
    "generator function": "def loader(): yield from DataLoader(pairs, 16)",
    "named tuples": "loader = [Named(a, b) for a, b in DataLoader(pairs, 16)]",
    "named tuples of other names": "loader = [Pair(a, b) for a, b in DataLoader(pairs, 16)]",
    "dataclasses": "loader = [Item(b, a) for a, b in DataLoader(pairs, 16)]",
    "user dicts of numpy": "loader = [UserDict(x=a.numpy(), label=b.numpy()) for a, b in DataLoader(pairs, 16)]",
    "nested": "loader = [({'x': a}, b) for a, b in DataLoader(pairs, 16)]",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_source_gives_the_plain_tensors(tmp_path: Path, body: str) -> None:
    sample = sample_of(tmp_path, body, frozenset({"x"}))
    assert torch.equal(inputs(sample), X)
    assert torch.equal(targets(sample), Y)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_every_source_is_drawn_alike(tmp_path: Path, body: str, batch_size: int | None) -> None:
    sample = sample_of(tmp_path, body, frozenset({"x"}), n_samples=20, draw="random", seed=4, batch_size=batch_size)
    index = torch.from_numpy(drawn(N, 20, 4, Y.numpy()))
    assert torch.equal(inputs(sample), X[index])
    assert torch.equal(targets(sample), Y[index])
    assert (sample.draw.kind, sample.draw.seed, sample.draw.of) == ("stratified", 4, N)


@pytest.mark.parametrize("body", ["loader = Counted()", "loader = DataLoader(Counted(), 8)"])
@pytest.mark.parametrize("draw", ["auto", "first"])
def test_of_a_data_set_only_what_is_drawn_is_read(tmp_path: Path, body: str, draw: str) -> None:
    code = UserCode(tmp_path)
    write(tmp_path, "data.py", f"{HEAD}\n{body}\n")
    spec = DataSpec.model_validate({"loader": "data.py:loader", "n_samples": 16, "draw": draw})
    read_sample(spec, code, torch.device("cpu"), torch.float32)
    read = code.find("data.py:read", DataError)
    expected = list(range(16)) if draw == "first" else drawn(N, 16, 0, Y.numpy()).tolist()
    assert read == 2 * expected  # a second time to see that they are the same


@pytest.mark.parametrize(
    ("body", "settings", "kind", "why"),
    [
        ("loader = DataLoader(pairs, 16)", {}, "stratified", ""),
        ("loader = [(x, x)]", {}, "random", ""),
        ("loader = [(x, y)]", {"n_samples": 2}, "random", ""),
        ("def loader(): yield x, y", {}, "first", "the loader does not say how long it is"),
        ("def loader(): yield x, y", {"draw": "first"}, "first", ""),
        ("def loader(): yield x, y", {"n_samples": 91}, "all", ""),
        ("loader = pairs", {"n_samples": 90}, "all", ""),
    ],
)
def test_how_it_was_drawn_is_told(tmp_path: Path, body: str, settings: dict[str, Any], kind: str, why: str) -> None:
    sample = sample_of(tmp_path, body, **{"n_samples": 9, **settings})
    assert (sample.draw.kind, sample.draw.why) == (kind, why)
    assert sample.size == min(N, settings.get("n_samples", 9))


@pytest.mark.parametrize("draw", ["first", "random"])
def test_batches_padded_to_lengths_of_their_own_are_drawn_and_kept_apart(tmp_path: Path, draw: str) -> None:
    body = "loader = [padded(lengths[i:i + 5 + i % 2]) for i in range(0, 90, 6)]"
    sample = sample_of(tmp_path, body, n_samples=30, draw=draw)
    assert sample.size == 30
    whole = sample_of(tmp_path, body)
    rows = [row for batch in whole.batches for row in tensors(batch.inputs)[0]]
    index = range(30) if draw == "first" else drawn(len(rows), 30, 0, targets(whole).numpy())
    found = [row for batch in sample.batches for row in tensors(batch.inputs)[0]]
    assert all(torch.equal(row, rows[i]) for row, i in zip(found, index, strict=True))


def test_a_stream_that_changes_between_the_passes_of_a_draw_is_refused(tmp_path: Path) -> None:
    body = "def loader(): return DataLoader(pairs, 16, shuffle=True)"
    with pytest.raises(DataError, match="the second pass gave other batches"):
        sample_of(tmp_path, body, n_samples=20)


def test_workers_are_gone_when_the_sample_is_read_or_interrupted(tmp_path: Path) -> None:
    sample_of(tmp_path, "def loader(): return DataLoader(pairs, 16, num_workers=2)", n_samples=20, draw="first")
    assert not multiprocessing.active_children()
    interrupted = """
def loader():
    for index, batch in enumerate(DataLoader(pairs, 16, num_workers=2)):
        if index == 2:
            raise KeyboardInterrupt
        yield batch
"""
    with pytest.raises(KeyboardInterrupt):
        sample_of(tmp_path, interrupted)
    assert not multiprocessing.active_children()


HUGGING_FACE = """
import datasets
columns = {"input_ids": [[i, i + 1] for i in range(90)], "label": y.tolist(), "text": ["a"] * 90}
plain = datasets.Dataset.from_dict(columns)
"""


@pytest.mark.parametrize(
    "body",
    ["loader = plain", "def loader(): return plain.to_iterable_dataset()", "loader = plain.with_format('numpy')"],
)
@pytest.mark.parametrize("n", [None, 20])
def test_a_hugging_face_data_set_gives_its_columns_of_numbers(tmp_path: Path, body: str, n: int | None) -> None:
    pytest.importorskip("datasets")
    sample = sample_of(tmp_path, HUGGING_FACE + body, frozenset({"input_ids"}), n_samples=n, draw="random")
    index = torch.arange(N) if n is None else torch.from_numpy(drawn(N, n, 0, Y.numpy()))
    assert torch.equal(inputs(sample), torch.stack([index, index + 1], 1))
    assert torch.equal(targets(sample), Y[index])
    assert sample.left_out == ("text",)


def test_the_encoding_of_a_tokenizer_is_a_dict() -> None:
    transformers = pytest.importorskip("transformers")
    encoding = transformers.BatchEncoding({"input_ids": X.long(), "attention_mask": (X > 3).long(), "labels": Y})
    batch = Intake().batch(encoding, "loader")
    assert isinstance(batch.inputs, dict)
    assert list(batch.inputs) == ["input_ids", "attention_mask"]
    assert torch.equal(tensors(batch.targets)[0], Y)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("loader = (batch for batch in DataLoader(pairs, 16))", "is a generator, which one pass spends"),
        ("loader = iter([(x, y)])", "is a list_iterator, which one pass spends"),
        ("loader = 3", "int, which cannot be iterated"),
        ("class Endless(Dataset):\n    def __getitem__(self, i): return x[0], 1\nloader = Endless", "has no length"),
        ("class Ragged(Counted):\n    def __getitem__(self, i): return x[:i, 0], 1\nloader = Ragged", "stacked: stack"),
        ("class Odd(Counted):\n    def __getitem__(self, i): return range(2), None\nloader = Odd", "NoneType"),
        ("loader = [([object()], y)]", "are of type object, not a tensor"),
    ],
)
def test_what_gives_no_examples_is_told_with_a_remedy(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        sample_of(tmp_path, body)
    assert caught.value.remedy
    assert str(caught.value).startswith("data.py:loader")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("loader = datasets.DatasetDict(train=plain, test=plain)", "is a DatasetDict of 'train', 'test'"),
        (
            "loader = plain.map(lambda row: {'input_ids': [0] * (1 + row['label'])})",
            "the rows of 'input_ids' have different lengths",
        ),
    ],
)
def test_what_is_no_hugging_face_data_set_of_examples_is_told_with_a_remedy(
    tmp_path: Path, body: str, told: str
) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DataError, match=told) as caught:
        sample_of(tmp_path, HUGGING_FACE + body)
    assert caught.value.remedy


def test_a_users_own_module_may_be_called_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    write(tmp_path, "datasets.py", "import torch\nx, y = torch.ones(4, 2), torch.arange(4)\n")
    write(tmp_path, "data.py", "import datasets\nloader = [(datasets.x, datasets.y)]\n")
    spec = DataSpec(loader="data.py:loader")
    assert read_sample(spec, UserCode(tmp_path), torch.device("cpu"), torch.float32).size == 4


def test_settings_for_what_is_no_function_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no function that could be given"):
        sample_of(tmp_path, "loader = pairs", kwargs={"split": "test"})


def test_the_results_and_the_report_say_how_the_sample_was_drawn(tmp_path: Path) -> None:
    subject = subject_in(tmp_path, data={"n_samples": 20, "seed": 5})
    found = subject.data
    assert (found.draw, found.draw_seed, found.drawn_from, found.n_samples) == ("stratified", 5, 50, 20)
    told = dict(identity_of(an_audit(data=found)))["Data"]
    assert told.startswith("data.py:batches, 20 of 50 examples, drawn with seed 5, every class in proportion (")
    streamed = DATA.replace("return list(zip(x.split(12), y.split(12)))", "yield from zip(x.split(12), y.split(12))")
    subject = subject_in(tmp_path, loader=streamed, data={"n_samples": 20})
    assert subject.data.draw == "first"
    told = "The first 20 examples, not a random draw: the loader does not say how long it is."
    assert told in subject.adjustments


def test_a_model_that_cannot_take_bytes_is_told_to_scale_images(tmp_path: Path) -> None:
    in_bytes = DATA.replace("x.split(12)", "x.byte().split(12)")
    with pytest.raises(ModelError, match="forward: raised") as caught:
        subject_in(tmp_path, loader=in_bytes)
    assert "scaled floats" in caught.value.remedy
