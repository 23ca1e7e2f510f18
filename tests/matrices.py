"""Symmetric matrices with chosen spectra, and a Lanczos run on one."""

from __future__ import annotations

import torch

from landscape_audit.curvature.lanczos import lanczos
from landscape_audit.curvature.vectors import unit_gaussian


def symmetric(spectrum, seed=0, dtype=torch.float64):
    values = torch.tensor(spectrum, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64)).Q
    return (basis @ torch.diag(values) @ basis.T).to(dtype)


def run(matrix, steps, seed=0, stop=lambda _: False):
    generator = torch.Generator().manual_seed(seed)
    start = unit_gaussian(len(matrix), generator, matrix)
    return lanczos(lambda v: matrix @ v, start, steps, generator, stop=stop)
