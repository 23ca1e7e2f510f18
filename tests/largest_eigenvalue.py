"""An eigenvalue that owes nothing to the audit: scipy's Lanczos on double backward through the module itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor


def largest_eigenvalue(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> float:
    """λ_max of the Hessian of `loss()` in `parameters`, which are float64, to 1e-10 of itself."""
    sizes = [parameter.numel() for parameter in parameters]
    grads = torch.autograd.grad(loss(), parameters, create_graph=True)

    def product(v: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(v.reshape(-1).copy()).split(sizes)
        slope = sum((grad * part.view_as(grad)).sum() for grad, part in zip(grads, parts, strict=True))
        found = torch.autograd.grad(slope, parameters, retain_graph=True, materialize_grads=True)
        return torch.cat([part.reshape(-1) for part in found]).numpy()

    operator = LinearOperator((sum(sizes),) * 2, matvec=product, dtype="float64")
    start = np.random.default_rng(0).standard_normal(sum(sizes))
    return float(eigsh(operator, k=1, which="LA", tol=1e-10, v0=start, return_eigenvectors=False)[0])
