"""Shares of the spectrum: what a run of products can and cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import symmetric
from subjects import Landscape, bench, measured, output, subject

from landscape_audit.checks.spectral_density import spectral_density
from landscape_audit.curvature.lanczos import lanczos
from landscape_audit.curvature.quadrature import mass_below

SPECTRUM = np.concatenate([[50.0, 20.0, 5.0], np.random.default_rng(0).normal(scale=0.5, size=297)])


@pytest.mark.parametrize("seed", range(10))
def test_the_mass_of_the_start_below_any_point_lies_between_what_is_told(seed):
    matrix = symmetric(SPECTRUM)
    values, vectors = torch.linalg.eigh(matrix)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(300, generator=generator, dtype=torch.float64)
    masses = ((vectors.T @ start) ** 2 / (start @ start)).numpy()
    widths = []
    for steps in (4, 12, 30):
        space = lanczos(lambda v: matrix @ v, start, steps, generator)
        told = [mass_below(space, point) for point in (-0.6, -0.1, 0.03, 0.9, 10.0, 60.0)]
        truth = [float(masses[values.numpy() < point].sum()) for point in (-0.6, -0.1, 0.03, 0.9, 10.0, 60.0)]
        assert all(low - 1e-9 <= true <= high + 1e-9 for (low, high), true in zip(told, truth, strict=True))
        widths.append(sum(high - low for low, high in told))
    assert widths[0] > 2 * widths[1] > 2 * widths[2]  # and it is told ever better


def test_where_the_run_ends_by_itself_the_mass_is_exact():
    matrix = symmetric([1.0, 1.0, 1.0, 4.0])
    start = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    space = lanczos(lambda v: matrix @ v, start, 2, torch.Generator())
    _, vectors = torch.linalg.eigh(matrix)
    truth = 1 - float((vectors[:, -1] @ start) ** 2 / (start @ start))
    assert mass_below(space, 2.0) == pytest.approx((truth, truth))


def test_the_intervals_of_the_shares_hold_the_shares_of_the_spectrum():
    size = 1500
    scales = torch.cat([torch.tensor([40.0, 9.0]), torch.linspace(-1.5, 3.0, size - 2) ** 3 / 3])
    truth = {
        "near_zero_share": float((scales.abs() <= 0.4).double().mean()),
        "negative_share": float((scales < -0.4).double().mean()),
    }
    covered = 0
    for seed in range(20):
        on = bench(subject(*diagonal(scales)), seed=seed, budgets={"lanczos_steps": 12, "eigen_tolerance": 1e-9})
        found = measured(on, spectral_density).estimates
        covered += sum(found[name].low <= value <= found[name].high for name, value in truth.items())
        assert all(found[name].high - found[name].low < 0.5 for name in truth)
    assert covered >= 38  # of 40, each at 95 % for the start alone, on top of what no run can tell


def test_an_eigenvalue_that_is_nearly_zero_does_not_stand_out_even_where_all_are_known():
    on = bench(subject(*diagonal(torch.tensor([40.0, 9.0, 0.3, -0.2, 0.1]))), budgets={"lanczos_steps": 5})
    (density,) = measured(on, spectral_density).details
    assert len(density.outliers) == 5
    assert density.finding == "About 60 % of the eigenvalues are smaller than 1 % of |λ|_max; 2 eigenvalues stand out."


def diagonal(scales):
    points = torch.zeros(4, 1)
    return Landscape(lambda t: 1 + 0.5 * (scales.to(t) * t * t).sum(), torch.zeros(len(scales))), output, points, points
