"""The best decrease of a quadratic model within a radius, on a Krylov space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscape_audit.curvature.lanczos import Floats, KrylovSpace


@dataclass(frozen=True)
class ModelStep:
    """A step s of shape (P,) with |s| at most the radius, and what the quadratic model promises for it."""

    step: Tensor
    decrease: float
    """−(gᵀs + ½ sᵀHs)."""
    slope_share: float
    """−gᵀs: the part of the decrease that the gradient alone gives."""


def model_step(space: KrylovSpace, gradient_norm: float, radius: float) -> ModelStep:
    """The minimiser of gᵀs + ½ sᵀHs over |s| ≤ `radius` within a Krylov space started at g.

    There the problem is tridiagonal, with g = |g| e₁: solved exactly through the eigenvalues of T and the one root of
    the secular equation |s(μ)| = radius, μ ≥ max(0, −θ_min). Where g has no part along the lowest eigenvector (the
    hard case) the step is filled up along it.

    Source: Gould, Lucidi, Roma & Toint 1999. Cost: no product.
    """
    values, vectors = space.eigen
    slope = gradient_norm * vectors[0]
    coefficients = _minimise(values, slope, radius)
    step = space.basis.combine(torch.from_numpy(vectors @ coefficients))
    decrease = -float(slope @ coefficients + 0.5 * values @ coefficients**2)
    return ModelStep(step, decrease, -float(slope @ coefficients))


def _minimise(values: Floats, slope: Floats, radius: float) -> Floats:
    """argmin of slope·c + ½ Σ values c² over |c| ≤ radius, in the eigenbasis."""
    lowest = float(values[0])
    size = max(float(np.abs(values).max()), float(np.linalg.norm(slope)) / radius)
    tiny = np.finfo(np.float64).eps * size
    floor = max(0.0, -lowest) + tiny
    if size == 0.0:
        return np.zeros_like(slope)
    free = -slope / (values + floor)
    if np.linalg.norm(free) <= radius:
        return free if lowest > tiny else _fill_up(free, radius)
    low, high = floor, floor + float(np.linalg.norm(slope)) / radius
    for _ in range(200):  # halving: each round gains a bit, and float64 has 53 and a wide exponent
        middle = 0.5 * (low + high)
        if np.linalg.norm(slope / (values + middle)) > radius:
            low = middle
        else:
            high = middle
    return -slope / (values + high)


def _fill_up(coefficients: Floats, radius: float) -> Floats:
    filled = coefficients.copy()
    missing = max(0.0, radius**2 - float(coefficients @ coefficients))
    filled[0] = np.copysign(np.sqrt(missing + filled[0] ** 2), filled[0] or 1.0)
    return filled
