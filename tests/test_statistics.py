"""Intervals cover, and tests reject, as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from landscape_audit.quantiles import normal_quantile, t_quantile
from landscape_audit.statistics import jackknife, ratio, sign_flip_p, weighted_mean


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 15, 31, 100, 101, 1000])
def test_student_quantiles_are_scipys(level, freedom):
    assert t_quantile(level, freedom) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-7)


def test_normal_quantiles_are_scipys():
    assert normal_quantile(0.95) == pytest.approx(stats.norm.ppf(0.975))


def test_the_weighted_mean_of_ragged_batches_is_the_mean_of_all_examples():
    examples = np.random.default_rng(0).normal(size=100)
    parts = np.split(examples, [60, 90])
    mean = weighted_mean([part.mean() for part in parts], [len(part) for part in parts])
    assert mean.value == pytest.approx(examples.mean())


def test_an_interval_over_batches_covers_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        sizes = generator.integers(5, 20, size=16)
        means = [generator.exponential(size=size).mean() for size in sizes]
        mean = weighted_mean(means, sizes)
        covered += abs(mean.value - 1.0) <= mean.half_width(0.95)
    assert 0.92 <= covered / 1000 <= 0.97


def test_one_piece_has_no_standard_error():
    assert weighted_mean([1.0], [4.0]).half_width(0.95) == math.inf


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(2).normal(size=40)
    mean = jackknife(lambda kept: float(kept @ values / kept.sum()), 40)
    assert mean.value == pytest.approx(values.mean())
    assert mean.error == pytest.approx(values.std(ddof=1) / math.sqrt(40))


def test_sign_flips_reject_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(3)
    hits = 0
    for seed in range(300):
        vectors = generator.standard_t(3, size=(12, 30))
        hits += sign_flip_p(vectors @ vectors.T, seed, flips=199) <= 0.05
    assert hits / 300 <= 0.09  # five standard deviations above 5 %
    assert hits > 0


def test_sign_flips_find_a_common_direction():
    vectors = np.random.default_rng(4).normal(size=(16, 30)) + 0.5
    assert sign_flip_p(vectors @ vectors.T, 0) < 0.01


def test_a_gradient_of_zero_is_never_significant():
    assert sign_flip_p(np.zeros((8, 8)), 0) == 1.0


@pytest.mark.parametrize("sort", ["weighted_mean", "ratio", "jackknife"])
def test_the_pieces_of_a_mean_have_its_value_and_its_standard_error(sort):
    generator = np.random.default_rng(5)
    values, below, weights = generator.normal(3, 1, 20), generator.uniform(1, 2, 20), generator.integers(1, 9, 20)
    found = {
        "weighted_mean": lambda: weighted_mean(values, weights),
        "ratio": lambda: ratio(values, below, weights),
        "jackknife": lambda: jackknife(lambda kept: float(kept @ values / (kept @ below)), 20),
    }[sort]()
    assert np.mean(found.pieces) == pytest.approx(found.value)
    assert stats.sem(found.pieces) == pytest.approx(found.error)
    assert found.folded == found.pieces


def test_thousands_of_pieces_are_folded_without_a_change_of_value_or_error():
    here, there = np.random.default_rng(6).multivariate_normal([1, 2], [[1, 0.95], [0.95, 1]], 5003).T
    folded = [weighted_mean(values, np.ones(5003)).folded for values in (here, there)]
    assert len(folded[0]) == 64
    assert np.mean(folded[0]) == pytest.approx(here.mean())
    assert stats.sem(folded[0]) == pytest.approx(stats.sem(here))
    assert stats.sem(np.subtract(*folded)) == pytest.approx(stats.sem(here - there), rel=0.3)  # 64 pieces: 9 %, 3 sigma
