"""The trace of a symmetric matrix from products."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from landscape_audit.curvature.hessian import Matvec
from landscape_audit.curvature.vectors import dot


def complement_samples(matvec: Matvec, basis: Tensor, probes: int, generator: Generator) -> list[float]:
    """Independent, unbiased samples of tr(A) − tr(V A Vᵀ) for an orthonormal basis V of shape (m, P).

    Each is z'ᵀ A z' for random signs z and z' = z − Vᵀ V z. With V holding the largest eigenvectors, the variance
    is 2(|B|_F² − Σ B_ii²) of the deflated B alone, so that a few probes do where plain signs need hundreds.

    Cost: one product a sample. Source: Hutchinson 1989; deflation: Meyer, Musco, Musco & Woodruff 2021;
    variance: Avron & Toledo 2011.
    """
    samples = []
    for _ in range(probes):
        signs = torch.randint(0, 2, (basis.shape[1],), generator=generator, dtype=torch.int8) * 2 - 1
        z = signs.to(basis)
        for _ in range(2):
            z.addmv_(basis.T, basis @ z, alpha=-1)
        samples.append(dot(z, matvec(z)))
    return samples
