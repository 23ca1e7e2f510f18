"""Intervals of skewed means cover more often than Student's, and are Student's where nothing is skewed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from subjects import bench, half_square, measured, subject
from torch import nn

from landscape_audit.checks.loss import loss
from landscape_audit.comparison.comparison import absolute_change
from landscape_audit.estimate import Estimate, reaching
from landscape_audit.skewness import asymmetry, reach
from landscape_audit.statistics import weighted_mean

REPEATS = 1000


def intervals(rows, level=0.95):
    """The end below and the end above of every row's mean."""
    means = [weighted_mean(row, np.ones(len(row))) for row in rows]
    return np.array([(mean.value - mean.reach(level)[0], mean.value + mean.reach(level)[1]) for mean in means]).T


def misses(ends, truth):
    return np.mean((truth < ends[0]) | (truth > ends[1]))


@pytest.mark.parametrize("skewed", [0.05, 0.4, 1.0, -0.4])
@pytest.mark.parametrize("quantile", [1.7, 2.0, 3.3])
def test_the_long_side_is_where_halls_cubic_reaches_the_quantile(skewed, quantile):
    def cubic(t):
        return t + skewed * t**2 / 3 + skewed**2 * t**3 / 27 + skewed / 6

    sides = [side * optimize.brentq(lambda t, side=side: cubic(t) - side * quantile, -100, 100) for side in (1, -1)]
    assert reach(quantile, skewed) == pytest.approx([max(quantile, side) for side in sides])
    assert sum(each > quantile for each in reach(quantile, skewed)) == 1  # the tail's side alone


@pytest.mark.parametrize("n", [8, 64])
def test_normal_numbers_have_students_interval(n):
    rows = np.random.default_rng(n).normal(size=(REPEATS, n))
    assert np.mean([asymmetry(row) != 0 for row in rows]) < 0.06
    assert misses(intervals(rows), 0.0) == pytest.approx(0.05, abs=0.021)  # three standard errors


@pytest.mark.parametrize(("n", "sigma"), [(64, 1.0), (450, 1.5), (450, 2.0)])
def test_skewed_losses_are_missed_at_most_half_as_often_beyond_what_the_level_allows(n, sigma):
    rows = np.random.default_rng(n).lognormal(0, sigma, (REPEATS, n))
    student = np.stack([rows.mean(1) - 1.97 * stats.sem(rows, axis=1), rows.mean(1) + 1.97 * stats.sem(rows, axis=1)])
    truth = np.exp(sigma**2 / 2)
    assert misses(intervals(rows), truth) - 0.05 < (misses(student, truth) - 0.05) / 2


def test_a_change_of_skewed_losses_covers_more_often_than_students_interval():
    normal = np.random.default_rng(3).normal(size=(2, 600, 450))
    there = np.exp(2 * normal[0])
    here = 1.1 * there * np.exp(0.05 * normal[1])
    truth, found, student = (1.1 * np.exp(0.05**2 / 2) - 1) * np.exp(2), [], []
    for a, b in zip(here, there, strict=True):
        estimates = []
        for mean in (weighted_mean(a, np.ones(450)), weighted_mean(b, np.ones(450))):
            part = reaching("sampling", mean.value, mean.reach(0.95), mean.folded)
            estimates.append(Estimate.within(mean.value, (part,), level=0.95))
        change = absolute_change(*estimates, ("sampling",))
        half = stats.t.ppf(0.975, 63) * stats.sem(np.subtract(*(each.parts[0].pieces for each in estimates)))
        found.append((change.low, change.high))
        student.append((change.value - half, change.value + half))
    assert misses(np.array(found).T, truth) < misses(np.array(student).T, truth) - 0.02


def test_what_is_too_few_alike_or_too_large_has_no_tail():
    for pieces in ([1.0], [0.0, 9.0], [2.0] * 9, [1e300, 0.0, 0.0, 0.0], [float("inf"), 0.0, 0.0]):
        assert asymmetry(pieces) == 0.0


@pytest.mark.parametrize(("sigma", "told"), [(0.5, 0), (2.0, 1)])
def test_a_loss_that_few_examples_carry_says_so(sigma, told):
    generator = torch.Generator().manual_seed(0)
    targets = torch.exp(sigma / 2 * torch.randn(450, 1, generator=generator, dtype=torch.float64))
    still = subject(nn.Linear(1, 1, bias=False), half_square, torch.zeros(450, 1), targets)
    assert sum("Few examples carry" in caveat for caveat in measured(bench(still), loss).caveats) == told


@pytest.mark.parametrize(("name", "bounded"), [("mse", True), ("a_loss_of_mine", False)])
def test_the_interval_of_a_loss_that_cannot_be_negative_ends_at_zero(name, bounded):
    targets = torch.tensor([[0.0]] * 8 + [[6.0]], dtype=torch.float64)
    on = bench(subject(nn.Linear(1, 1, bias=False), half_square, torch.zeros(9, 1), targets))
    sample, facts = (on.take(probe) for probe in loss.probes)
    found = loss.measure(replace(sample, loss_name=name), facts).estimates["value"]
    plain = loss.measure(replace(sample, loss_name="a_loss_of_mine"), facts).estimates["value"]
    assert plain.low < 0
    assert found.low == (0 if bounded else plain.low)
    assert found.high == plain.high
