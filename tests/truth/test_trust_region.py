"""The best step of a quadratic model, against brute force on small problems."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matrices import symmetric

from landscape_audit.curvature.lanczos import lanczos
from landscape_audit.curvature.trust_region import model_step


def solve(matrix, gradient, radius):
    generator = torch.Generator().manual_seed(0)
    space = lanczos(lambda v: matrix @ v, gradient, len(gradient), generator)
    return model_step(space, float(gradient.norm()), radius)


def model(matrix, gradient, step):
    return float(gradient @ step + 0.5 * step @ matrix @ step)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("spectrum", [[1.0, 2.0, 3.0, 4.0], [-2.0, 0.5, 1.0, 3.0], [-3.0, -2.0, -1.0, -0.5]])
def test_no_step_within_the_radius_does_better(spectrum, radius):
    matrix = symmetric(spectrum)
    gradient = torch.tensor([1.0, -0.5, 0.3, 0.2], dtype=torch.float64)
    found = solve(matrix, gradient, radius)
    assert float(found.step.norm()) <= radius * (1 + 1e-9)
    assert found.decrease == pytest.approx(-model(matrix, gradient, found.step), rel=1e-9)
    assert found.slope_share == pytest.approx(-float(gradient @ found.step), rel=1e-9)
    others = torch.randn(20000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    others *= radius * torch.rand(20000, 1, dtype=torch.float64) ** 0.25 / others.norm(dim=1, keepdim=True)
    values = others @ gradient + 0.5 * torch.einsum("ni,ij,nj->n", others, matrix, others)
    assert found.decrease >= -float(values.min()) - 1e-12


def test_far_from_the_boundary_the_step_is_newtons():
    matrix = symmetric([1.0, 2.0, 5.0])
    gradient = torch.tensor([0.1, 0.2, -0.3], dtype=torch.float64)
    step = solve(matrix, gradient, 100.0).step
    assert torch.allclose(step, -torch.linalg.solve(matrix, gradient), atol=1e-10)


def test_the_hard_case_fills_the_step_up_along_the_lowest_eigenvector():
    matrix = torch.diag(torch.tensor([-1.0, 2.0], dtype=torch.float64))
    gradient = torch.tensor([0.0, 1.0], dtype=torch.float64)  # nothing along the negative direction
    found = solve(matrix, gradient, 1.0)
    # μ = −θ_min = 1, so c₂ = −1/3, c₁² = 8/9, and the model there is −1/3 + 1/9 − 4/9.
    assert found.decrease == pytest.approx(2 / 3, rel=1e-6)


def test_a_flat_model_gives_no_step():
    found = solve(torch.zeros(3, 3, dtype=torch.float64), torch.tensor([1e-3, 0, 0], dtype=torch.float64), 2.0)
    assert found.decrease == pytest.approx(2e-3)
    assert np.isfinite(found.decrease)
