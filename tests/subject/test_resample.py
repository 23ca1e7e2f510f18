from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from user_files import subject_in

from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.data.draw import with_replacement
from landscape_audit.subject.data.resample import bootstrapped, unit_of
from landscape_audit.subject.data.sample import Sample

CPU = torch.device("cpu")


def sample(*sizes: int, width: int = 3) -> Sample:
    """Examples numbered from 0, each with its number as input and as target."""
    x = torch.arange(sum(sizes)).float()
    parts = x.split(list(sizes))
    return Sample(tuple(Batch(part[:, None].expand(-1, width).contiguous(), part.long()) for part in parts), "f", "t")


def numbers(found: Sample) -> torch.Tensor:
    return torch.cat([batch.targets for batch in found.batches])


def test_each_example_is_drawn_equally_often_and_with_replacement() -> None:
    n, draws = 20, 2000
    counts = sum(np.bincount(with_replacement(n, seed), minlength=n) for seed in range(draws))
    expected, spread = draws, (draws * (1 - 1 / n)) ** 0.5
    assert np.abs(counts - expected).max() < 4.5 * spread
    repeats = [n - len(set(with_replacement(n, seed))) for seed in range(draws)]
    assert np.mean(repeats) == pytest.approx(n * (1 - 1 / n) ** n, abs=0.2)


def test_a_bootstrap_has_the_draws_in_their_order_in_batches_as_large_as_they_were() -> None:
    whole = sample(8, 8, 5)
    found = bootstrapped(whole, 7, CPU, torch.float32)
    assert [batch.size for batch in found.batches] == [8, 8, 5]
    assert numbers(found).tolist() == with_replacement(21, 7).tolist()
    assert all(torch.equal(batch.inputs[:, 0].long(), batch.targets) for batch in found.batches)


def test_a_bootstrap_is_the_same_for_a_seed_and_another_for_another() -> None:
    whole = sample(8, 8, 5)
    prints = [bootstrapped(whole, seed, CPU, torch.float32).fingerprint for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


def test_batches_of_examples_of_several_shapes_are_drawn_whole() -> None:
    short, long = sample(4, 4, width=2), sample(3, 3, width=5)
    ragged = Sample((*short.batches, *long.batches), "f", "t", cuts=(2, 2))
    found = bootstrapped(ragged, 3, CPU, torch.float32)
    assert unit_of(ragged) == "batches"
    picked = [ragged.batches[number] for number in with_replacement(4, 3)]
    assert [batch.shape for batch in found.batches] == [batch.shape for batch in picked]
    assert torch.equal(numbers(found), torch.cat([batch.targets for batch in picked]))
    assert not found.is_cut


def test_the_sample_itself_is_left_as_it_was(tmp_path: Path) -> None:
    whole = subject_in(tmp_path).sample
    before = [batch.inputs.clone() for batch in whole.batches]
    found = bootstrapped(whole, 1, CPU, torch.float32)
    for batch in found.batches:
        batch.inputs.zero_()
    assert all(torch.equal(batch.inputs, kept) for batch, kept in zip(whole.batches, before, strict=True))
