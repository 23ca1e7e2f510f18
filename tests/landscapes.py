"""Small landscapes with a chosen Hessian, and what the battery finds on them."""

from __future__ import annotations

import torch
from matrices import symmetric
from subjects import Landscape, bench, half_square, measured, output, subject
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from landscape_audit.checks.sharpness import sharpness

DOUBLE = {"dtype": "float64"}


def landscape(function, theta, dtype=torch.float64):
    points = torch.zeros(32, 1)
    return subject(Landscape(function, torch.tensor(theta)), output, points, points, dtype=dtype)


def quadratic(spectrum, *, dtype=torch.float64):
    """1 + θᵀAθ/2 at its critical point, where A has the chosen spectrum."""
    matrix = symmetric(spectrum)
    return landscape(lambda t: 1 + 0.5 * t @ matrix.to(t) @ t, [0.0] * len(spectrum), dtype)


def regression(sizes, n=64):
    x, noise = torch.randn(n, 6, generator=torch.Generator().manual_seed(0)).split((5, 1), 1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))
    return subject(model, half_square, x, noise, sizes=sizes, dtype=torch.float64)


def found(on, *checks):
    """The estimates of some checks, by their short names."""
    return {name: estimate for check in checks for name, estimate in measured(on, check).estimates.items()}


def top(estimates, count):
    """The values of the largest eigenvalues that were reported, in their order."""
    return [estimates["lambda_max" if rank == 1 else f"lambda_{rank}"].value for rank in range(1, count + 1)]


def spectrum_of(audited, **protocol):
    """All eigenvalues of a small subject, ascending: Lanczos with as many steps as there are parameters."""
    size = audited.layout.size
    on = bench(audited, **protocol, budgets={"lanczos_steps": max(2, size), "top_k": size, "eigen_tolerance": 1e-300})
    values = on.take(sharpness.probes[0]).ritz_values
    assert len(values) == size
    return values


def whole_loss(audited, **kwargs):
    """The mean loss of the sample by torch's own means, as a function of θ, and through the model itself."""
    x = torch.cat([batch.inputs for batch in audited.sample.batches])
    y = torch.cat([batch.targets for batch in audited.sample.batches])

    def own(theta):
        parameters = dict(zip(audited.layout.names, views(audited, theta), strict=True))
        return functional.cross_entropy(functional_call(audited.model, parameters, x), y, **kwargs)

    return own


def views(audited, theta):
    """The flat vector cut into the model's own parameters, by their shapes and in their order."""
    shapes = [parameter.shape for parameter in audited.model.parameters() if parameter.requires_grad]
    return [part.view(shape) for part, shape in zip(theta.split([s.numel() for s in shapes]), shapes, strict=True)]
