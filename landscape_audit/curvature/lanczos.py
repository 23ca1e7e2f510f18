"""The Lanczos process: one run gives both ends of a spectrum, the largest eigenvalues and a quadrature of the whole."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from landscape_audit.curvature.hessian import Matvec
from landscape_audit.curvature.vectors import dot, norm, unit_gaussian

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KrylovSpace:
    """An orthonormal basis V of shape (m, P), and T = V A Vᵀ, tridiagonal, in float64.

    `beta[j]` couples row j with row j + 1; the last is the norm of what the space does not contain. A zero inside
    marks a restart: an invariant subspace was full, and the run went on from a fresh direction orthogonal to it.
    """

    basis: Tensor
    alpha: Floats
    beta: Floats

    @property
    def steps(self) -> int:
        """m, the number of products that were spent."""
        return len(self.alpha)

    @property
    def complete(self) -> bool:
        """Whether the space is everything: the Ritz values are then all the eigenvalues."""
        return self.steps == self.basis.shape[1]

    @functools.cached_property
    def eigen(self) -> tuple[Floats, Floats]:
        """Eigenvalues of T, ascending, and its eigenvectors as columns."""
        tridiagonal = np.diag(self.alpha) + np.diag(self.beta[:-1], 1) + np.diag(self.beta[:-1], -1)
        values, vectors = np.linalg.eigh(tridiagonal)
        return values, vectors

    @property
    def ritz_values(self) -> Floats:
        """Approximate eigenvalues of A, ascending: inside the true spectrum up to rounding."""
        return self.eigen[0]

    @property
    def residuals(self) -> Floats:
        """|A y − θ y| = |β_m s_mi| for each Ritz pair: an eigenvalue of A lies within this distance of θ.

        Source: Saad 2011, Numerical Methods for Large Eigenvalue Problems.
        """
        residuals: Floats = np.abs(self.beta[-1] * self.eigen[1][-1])
        return residuals

    def ritz_vector(self, index: int) -> Tensor:
        """The unit Ritz vector that belongs to `ritz_values[index]`, shape (P,)."""
        weights = torch.from_numpy(self.eigen[1][:, index].copy()).to(self.basis)
        vector = weights @ self.basis
        return vector / norm(vector)

    def top(self, rank: int) -> int:
        """The index of the rank-th largest Ritz value, rank counted from 1."""
        return self.steps - rank

    def unseen(self, failure: float) -> float:
        """How far beyond the outermost Ritz values the spectrum may still reach, with probability 1 − `failure`.

        For a start drawn uniformly from the sphere, (λ_max − θ_max)/(λ_max − λ_min) exceeds ε with probability at
        most 1.648 √P e^{−√ε (2m − 1)}. The spread is replaced by the Ritz spread over 1 − 2ε, as both ends may
        be short by ε. Infinite where the bound says nothing, zero where the space is complete.

        Source: Kuczyński & Woźniakowski 1992, for A − λ_min I. The rate is in its abstract; a test holds the whole.
        """
        if self.complete:
            return 0.0
        reached = np.flatnonzero(self.beta[:-1] == 0.0)
        steps = int(reached[0]) + 1 if len(reached) else self.steps
        epsilon = (math.log(1.648 * math.sqrt(self.basis.shape[1]) / failure) / (2 * steps - 1)) ** 2
        if epsilon >= 1 / 2:
            return math.inf
        return float(epsilon * np.ptp(self.ritz_values) / (1 - 2 * epsilon))


def converged(top: int, tolerance: float) -> Callable[[KrylovSpace], bool]:
    """A stopping rule: the `top` largest Ritz values and the smallest have residuals below `tolerance`·|λ|_max.

    Residuals only: two successive values that agree prove nothing. Nor does a breakdown, where every residual is
    zero and the copies of a repeated eigenvalue are still to be found.
    """

    def rule(space: KrylovSpace) -> bool:
        if space.steps <= top + 1 or space.beta[-1] == 0.0:
            return False
        wanted = [0, *range(space.steps - top, space.steps)]
        return bool(np.all(space.residuals[wanted] <= tolerance * np.abs(space.ritz_values).max()))

    return rule


def lanczos(
    matvec: Matvec,
    start: Tensor,
    steps: int,
    generator: Generator,
    *,
    stop: Callable[[KrylovSpace], bool] = lambda _: False,
) -> KrylovSpace:
    """Lanczos with full reorthogonalisation, twice, from the unit vector along `start` of shape (P,).

    Runs until `stop` or `steps` or the space is full. Where the space becomes invariant, goes on from a fresh random
    direction orthogonal to it, so that repeated eigenvalues and untouched subspaces are found as well.

    Cost: `steps` products; memory (steps + 2)·P numbers. Reorthogonalising twice keeps the basis orthonormal to
    rounding, so that no Ritz value is a ghost of another (Parlett 1998).
    """
    size = start.numel()
    limit = min(steps, size)
    basis = torch.empty(limit, size, dtype=start.dtype, device=start.device)
    basis[0] = start / norm(start)
    alpha: list[float] = []
    beta: list[float] = []
    for step in range(limit):
        vector = matvec(basis[step])
        alpha.append(dot(vector, basis[step]))
        _orthogonalise(vector, basis[: step + 1])
        length = norm(vector)
        beta.append(length if length > _negligible(alpha, beta, start.dtype) else 0.0)
        space = KrylovSpace(basis[: step + 1], np.array(alpha), np.array(beta))
        if step + 1 == limit or stop(space):
            break
        if beta[-1] == 0.0:
            vector = unit_gaussian(size, generator, start)
            _orthogonalise(vector, basis[: step + 1])
            length = norm(vector)
        torch.div(vector, length, out=basis[step + 1])
    return space


def _orthogonalise(vector: Tensor, basis: Tensor) -> None:
    for _ in range(2):
        vector.addmv_(basis.T, basis @ vector, alpha=-1)


def _negligible(alpha: list[float], beta: list[float], dtype: torch.dtype) -> float:
    """Relative breakdown: what rounding leaves of a vector of the size of A."""
    scale = max(map(abs, [*alpha, *beta]))
    return 8 * torch.finfo(dtype).eps * scale
