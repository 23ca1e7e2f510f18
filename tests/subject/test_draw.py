"""The draw is a function of seed, length and labels alone, anybody can repeat it, and within a class it is fair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape_audit.subject.data.draw import drawn, shares

LABELS = np.repeat([3, 1, 7], [50, 30, 20])[np.random.PCG64(5).random_raw(100).argsort()].astype(np.int64)
MASK = 2**128 - 1
GOLDEN = [1, 2, 3, 11, 13, 15, 18, 20, 21, 32]
GOLDEN_BY_CLASS = [0, 4, 20, 28, 31, 59, 65, 74, 76, 89]


def pcg64(seed: int, size: int) -> list[int]:
    """O'Neill's XSL-RR generator in integers; numpy's own seeding gives where it begins."""
    start = np.random.PCG64(seed).state["state"]
    state, increment, found = start["state"], start["inc"], []
    for _ in range(size):
        state = (state * 0x2360ED051FC65DA44385DF649FCCF645 + increment) & MASK
        mixed, turn = (state >> 64) ^ (state & (2**64 - 1)), state >> 122
        found.append(((mixed >> turn) | (mixed << (64 - turn))) & (2**64 - 1))
    return found


def test_the_draw_never_changes() -> None:
    assert drawn(40, 10, seed=0).tolist() == GOLDEN
    assert drawn(100, 10, seed=3, labels=LABELS).tolist() == GOLDEN_BY_CLASS


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_anybody_can_repeat_the_draw(seed: int) -> None:
    keys, n = pcg64(seed, 100), 10
    assert drawn(100, n, seed).tolist() == sorted(sorted(range(100), key=keys.__getitem__)[:n])
    members = {label: [i for i in range(100) if LABELS[i] == label] for label in (3, 1, 7)}
    expected = [i for label, k in {3: 5, 1: 3, 7: 2}.items() for i in sorted(members[label], key=keys.__getitem__)[:k]]
    assert drawn(100, n, seed, LABELS).tolist() == sorted(expected)


def test_within_a_class_every_example_is_drawn_equally_often() -> None:
    seeds, n = 4000, 12  # of the classes 6, 4 and 2: each example with probability 0.12, 4/30 and 0.1
    times = np.zeros(100)
    for seed in range(seeds):
        times[drawn(100, n, seed, LABELS)] += 1
    for label, taken in {3: 6, 1: 4, 7: 2}.items():
        mine, p = times[label == LABELS], taken / np.sum(label == LABELS)
        assert mine.sum() == seeds * taken
        z = (mine - seeds * p) / np.sqrt(seeds * p * (1 - p))
        assert np.abs(z).max() < 5
        assert abs(np.sum(z**2) - (len(z) - 1)) < 5 * np.sqrt(2 * len(z))  # chi-squared: their sum is fixed


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40), st.data())
def test_every_class_has_its_share_to_within_one_and_never_nothing(counts: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(len(counts), sum(counts)))
    found, quota = shares(np.array(counts), n), n * np.array(counts) / sum(counts)
    assert found.sum() == n
    assert (found >= 1).all()
    assert (found <= counts).all()
    if (quota >= 1).all():
        assert (np.abs(found - quota) < 1 + 1e-9).all()


def test_with_fewer_draws_than_classes_all_examples_are_equal() -> None:
    assert drawn(100, 2, 0, LABELS).tolist() == drawn(100, 2, 0).tolist()


def test_a_smaller_draw_is_part_of_a_larger_one() -> None:
    assert set(drawn(500, 20, 1)) < set(drawn(500, 60, 1))
