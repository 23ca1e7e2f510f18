"""The trace estimator: unbiased, and as uncertain as it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import run, symmetric

from landscape_audit.curvature.trace import complement_samples
from landscape_audit.statistics import weighted_mean

SPECTRUM = np.concatenate([[80.0, 30.0, 10.0], np.random.default_rng(0).normal(size=197)])


def samples(steps, probes, seed):
    matrix = symmetric(SPECTRUM)
    space = run(matrix, steps)
    generator = torch.Generator().manual_seed(seed)
    outside = complement_samples(lambda v: matrix @ v, space.basis, probes, generator)
    return float(space.alpha.sum()), outside


def test_the_mean_of_many_samples_is_the_trace():
    inside, outside = samples(20, 2000, 0)
    mean = weighted_mean(outside, [1.0] * 2000)
    assert abs(inside + mean.value - SPECTRUM.sum()) < 5 * mean.error


def test_the_claimed_interval_covers_the_trace_as_often_as_it_says():
    inside, outside = samples(20, 8 * 300, 1)
    covered = 0
    for repeat in range(300):
        mean = weighted_mean(outside[8 * repeat : 8 * repeat + 8], [1.0] * 8)
        covered += abs(inside + mean.value - SPECTRUM.sum()) <= mean.half_width(0.95)
    assert 0.91 <= covered / 300 <= 0.98  # binomial spread of 300 at 0.95 is 1.3 %


def test_taking_the_krylov_space_out_removes_the_spread_that_the_outliers_bring():
    _, with_space = samples(20, 200, 2)
    generator = torch.Generator().manual_seed(2)
    matrix = symmetric(SPECTRUM)
    plain = complement_samples(lambda v: matrix @ v, matrix[:0], 200, generator)
    assert np.std(with_space) < 0.5 * np.std(plain)


def test_nothing_is_left_to_sample_outside_a_full_space():
    matrix = symmetric([1.0, 2.0, 5.0])
    space = run(matrix, 3)
    outside = complement_samples(lambda v: matrix @ v, space.basis, 4, torch.Generator().manual_seed(0))
    assert outside == pytest.approx([0.0] * 4, abs=1e-12)
