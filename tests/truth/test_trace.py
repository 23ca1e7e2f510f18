"""The trace estimator: unbiased, and as uncertain as it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import run, symmetric

from landscape_audit.curvature.lanczos import lanczos
from landscape_audit.curvature.trace import inside, outside, taken_in
from landscape_audit.statistics import weighted_mean

SPECTRUM = np.concatenate([[80.0, 30.0, 10.0], np.random.default_rng(0).normal(size=197)])


def samples(steps, probes, seed):
    matrix = symmetric(SPECTRUM)
    space = run(matrix, steps)
    generator = torch.Generator().manual_seed(seed)
    found = [outside(lambda v: matrix @ v, space, generator).sample().whole for _ in range(probes)]
    return inside(space).whole, found


def test_the_mean_of_many_samples_is_the_trace():
    known, sampled = samples(20, 2000, 0)
    mean = weighted_mean(sampled, [1.0] * 2000)
    assert abs(known + mean.value - SPECTRUM.sum()) < 5 * mean.error


def test_the_traces_of_the_blocks_are_unbiased_too_and_add_up_to_the_whole():
    matrix, blocks = symmetric(SPECTRUM), [slice(0, 30), slice(30, 150), slice(150, 200)]
    space, generator = run(matrix, 20), torch.Generator().manual_seed(4)
    known = inside(space, blocks)
    assert sum(known.blocks) == pytest.approx(known.whole, rel=1e-10)
    found = [outside(lambda v: matrix @ v, space, generator).sample(blocks) for _ in range(1000)]
    assert all(sum(sample.blocks) == pytest.approx(sample.whole, rel=1e-8) for sample in found)
    for index, block in enumerate(blocks):
        mean = weighted_mean([sample.blocks[index] for sample in found], [1.0] * 1000)
        assert abs(known.blocks[index] + mean.value - float(matrix[block, block].trace())) < 5 * mean.error


def test_the_claimed_interval_covers_the_trace_as_often_as_it_says():
    known, sampled = samples(20, 8 * 300, 1)
    covered = 0
    for repeat in range(300):
        mean = weighted_mean(sampled[8 * repeat : 8 * repeat + 8], [1.0] * 8)
        covered += abs(known + mean.value - SPECTRUM.sum()) <= mean.half_width(0.95)
    assert 0.91 <= covered / 300 <= 0.98  # binomial spread of 300 at 0.95 is 1.3 %


def test_taking_the_krylov_space_out_removes_the_spread_that_the_outliers_bring():
    _, with_space = samples(20, 200, 2)
    generator = torch.Generator().manual_seed(2)
    matrix = symmetric(SPECTRUM)
    plain = []
    for _ in range(200):
        z = (torch.randint(0, 2, (len(matrix),), generator=generator) * 2 - 1).double()
        plain.append(float(z @ matrix @ z))
    assert np.std(with_space) < 0.5 * np.std(plain)


def test_nothing_is_left_to_sample_outside_a_full_space():
    matrix = symmetric([1.0, 2.0, 5.0])
    space = run(matrix, 3)
    left = outside(lambda v: matrix @ v, space, torch.Generator().manual_seed(0))
    assert left.sample().whole == pytest.approx(0.0, abs=1e-12)


def test_a_sample_follows_a_space_that_grows_without_a_product():
    matrix, blocks = symmetric(SPECTRUM), [slice(0, 90), slice(90, 200)]
    space = run(matrix, 10)
    followed = outside(lambda v: matrix @ v, space, torch.Generator().manual_seed(3))
    for steps in range(11, 30):
        space = lanczos(lambda v: matrix @ v, space, steps, torch.Generator())
        followed = followed.after(space)
    fresh = outside(lambda v: matrix @ v, space, torch.Generator().manual_seed(3))
    assert torch.allclose(followed.product, fresh.product, atol=1e-10)
    assert followed.sample(blocks).blocks == pytest.approx(fresh.sample(blocks).blocks)


def test_what_a_step_takes_in_is_what_the_part_outside_loses():
    matrix = symmetric(SPECTRUM)

    def outside_of(space):
        left = torch.eye(len(matrix), dtype=matrix.dtype) - (v := torch.stack(list(space.basis))).T @ v
        return float(torch.linalg.matrix_norm(left @ matrix @ left) ** 2)

    before, after = run(matrix, 12), run(matrix, 13)
    assert taken_in(after, 1) == pytest.approx(outside_of(before) - outside_of(after), rel=1e-10)


def test_the_size_of_a_sample_is_unbiased_for_the_frobenius_norm_outside():
    matrix, generator = symmetric(SPECTRUM), torch.Generator().manual_seed(5)
    space = run(matrix, 12)
    left = torch.eye(len(matrix), dtype=matrix.dtype) - (v := torch.stack(list(space.basis))).T @ v
    truth = float(torch.linalg.matrix_norm(left @ matrix @ left) ** 2)
    mean = weighted_mean([outside(lambda v: matrix @ v, space, generator).size for _ in range(500)], [1.0] * 500)
    assert abs(mean.value - truth) < 5 * mean.error
