"""Lanczos on matrices with chosen spectra: no ghosts, no false convergence, bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import run, symmetric

from landscape_audit.curvature.lanczos import converged


def test_both_ends_are_algebraic_whichever_is_larger_in_size():
    space = run(symmetric([5.0, -5.2, *np.linspace(-1, 1, 40)]), 42)
    assert space.ritz_values[-1] == pytest.approx(5.0, abs=1e-10)
    assert space.ritz_values[0] == pytest.approx(-5.2, abs=1e-10)


def test_a_spectrum_below_zero_has_a_negative_largest_eigenvalue():
    assert run(symmetric(np.linspace(-9, -1, 30)), 30).ritz_values[-1] == pytest.approx(-1.0, abs=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ritz_values_are_no_ghosts_long_after_the_top_has_converged(dtype):
    # Without reorthogonalisation 200 steps give a dozen copies of the outlier.
    spectrum = [100.0, 50.0, *np.linspace(0, 1, 400)]
    space = run(symmetric(spectrum, dtype=dtype), 200)
    assert np.sum(space.ritz_values > 60) == 1
    assert np.sum(space.ritz_values > 10) == 2
    rows = torch.stack(list(space.basis)).double()
    gram = rows @ rows.T
    assert float((gram - torch.eye(200)).abs().max()) < 100 * torch.finfo(dtype).eps


@pytest.mark.parametrize("steps", [5, 15, 30])
def test_every_residual_disc_holds_an_eigenvalue(steps):
    spectrum = np.random.default_rng(1).normal(size=80)
    space = run(symmetric(spectrum), steps)
    for value, residual in zip(space.ritz_values, space.residuals, strict=True):
        assert np.abs(spectrum - value).min() <= residual + 1e-12


def test_residuals_are_the_norms_they_claim_to_be():
    matrix = symmetric(np.random.default_rng(2).normal(size=60))
    space = run(matrix, 20)
    for index in (0, 10, 19):
        vector = space.ritz_vector(index)
        defect = matrix @ vector - float(space.ritz_values[index]) * vector
        assert float(defect.norm()) == pytest.approx(float(space.residuals[index]), abs=1e-12)


@pytest.mark.parametrize("steps", [2, 4, 8, 12])
def test_no_end_of_the_spectrum_lies_beyond_the_reach_more_often_than_the_reach_says(steps):
    spectrum = np.append(np.linspace(0, 1, 299), 1.2)
    matrix = symmetric(spectrum)
    missed = np.zeros(2)
    for seed in range(200):
        space = run(matrix, steps, seed=seed)
        reach = space.reach(0.2)
        missed += [space.ritz_values[0] - reach.below > 0.0, space.ritz_values[-1] + reach.above < 1.2]
    assert np.all(missed <= 40 + 3 * np.sqrt(200 * 0.2 * 0.8))


def test_the_reach_is_no_looser_than_it_must_be():
    # The bound is sharp for the eigenvector that the start happened to miss: at 20 % some of 200 starts come close.
    spectrum = np.append(np.linspace(0, 1, 299), 1.2)
    matrix = symmetric(spectrum)
    shares = []
    for seed in range(200):
        space = run(matrix, 8, seed=seed)
        shares.append((1.2 - space.ritz_values[-1]) / space.reach(0.2).above)
    assert max(shares) > 0.5


def test_the_reach_shrinks_to_nothing_as_the_ends_converge_and_is_zero_for_a_full_space():
    matrix = symmetric([*np.linspace(0, 1, 199), 3.0])
    reaches = [run(matrix, steps).reach(0.05).above for steps in (3, 6, 9, 12)]
    assert reaches == sorted(reaches, reverse=True)
    assert reaches[0] > 0.1
    assert reaches[-1] < 1e-3
    small = run(symmetric(np.linspace(-1, 1, 10)), 10).reach(0.05)
    assert (small.below, small.above) == (0.0, 0.0)


def test_a_budget_above_the_dimension_gives_the_whole_spectrum():
    spectrum = np.array([-2.0, 0.0, 0.5, 3.0])
    space = run(symmetric(spectrum), 50)
    assert space.complete
    assert np.allclose(space.ritz_values, spectrum, atol=1e-12)


def test_repeated_eigenvalues_are_found_again_after_a_breakdown():
    space = run(symmetric([3.0] * 4 + [1.0] * 20), 8)
    assert np.sum(np.abs(space.ritz_values - 3.0) < 1e-8) >= 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_zero_matrix_has_zeros_for_eigenvalues(dtype):
    space = run(torch.zeros(30, 30, dtype=dtype), 6)
    assert np.all(space.ritz_values == 0.0)
    assert np.all(space.residuals == 0.0)


def test_convergence_is_judged_by_residuals_and_not_by_two_values_that_agree():
    # Power iteration stalls here: two nearly equal values on top look converged long before they are.
    spectrum = [1.0, 0.9999, *np.linspace(0, 0.9, 300)]
    space = run(symmetric(spectrum), 300, stop=converged(2, 1e-8, 0.05))
    assert np.allclose(space.ritz_values[-2:], [0.9999, 1.0], atol=1e-7)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    matrix = symmetric(np.random.default_rng(3).normal(size=50))
    first, again, other = run(matrix, 10, seed=1), run(matrix, 10, seed=1), run(matrix, 10, seed=2)
    assert np.array_equal(first.ritz_values, again.ritz_values)
    assert not np.array_equal(first.ritz_values, other.ritz_values)


def test_the_copies_of_a_repeated_largest_eigenvalue_are_all_reported():
    space = run(symmetric([3.0] * 3 + [1.0] * 20), 23, stop=converged(3, 1e-6, 0.05))
    assert np.allclose(space.ritz_values[-3:], 3.0)
