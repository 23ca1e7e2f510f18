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

from landscape_audit.curvature.basis import Basis, Storage
from landscape_audit.curvature.hessian import Matvec
from landscape_audit.curvature.vectors import dot, norm, unit_gaussian

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KrylovSpace:
    """An orthonormal basis V of m rows of length P, and T = V A Vᵀ, tridiagonal, in float64.

    `beta[j]` couples row j with row j + 1; the last is the norm of what the space does not contain. A zero inside
    marks a restart: an invariant subspace was full, and the run went on from a fresh direction orthogonal to it.
    """

    basis: Basis
    alpha: Floats
    beta: Floats
    rest: Tensor
    """What the last product left outside the space, shape (P,), of length `beta[-1]`: H Vᵀ = Vᵀ T + rest e_mᵀ."""

    @property
    def steps(self) -> int:
        """m, the number of products that were spent."""
        return len(self.alpha)

    @property
    def complete(self) -> bool:
        """Whether the space is everything: the Ritz values are then all the eigenvalues."""
        return self.steps == self.basis.size

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

        Source: Bai, Demmel, Dongarra, Ruhe & van der Vorst 2000, Templates for the Solution of Algebraic Eigenvalue
        Problems, on the Lanczos method.
        """
        residuals: Floats = np.abs(self.beta[-1] * self.eigen[1][-1])
        return residuals

    def ritz_vector(self, index: int) -> Tensor:
        """The unit Ritz vector that belongs to `ritz_values[index]`, shape (P,)."""
        vector = self.basis.combine(torch.from_numpy(self.eigen[1][:, index].copy()))
        return vector / norm(vector)

    def top(self, rank: int) -> int:
        """The index of the rank-th largest Ritz value, rank counted from 1."""
        return self.steps - rank

    def reach(self, failure: float) -> Reach:
        """How far the spectrum may go beyond the outermost Ritz values: at each end with probability 1 − `failure`.

        The Lanczos vectors are v_{j+1} = p_j(A) v_1 with the orthonormal polynomials of T. So an eigenvector x of
        eigenvalue λ has |p_j(λ)| |⟨x, v_1⟩| = |⟨x, v_{j+1}⟩| ≤ 1 for every j, and beyond the Ritz values all |p_j| only
        grow. For v_1 drawn uniformly from the sphere |⟨x, v_1⟩| < δ has a probability of at most δ √(2P/π). λ_max is
        therefore no further out than where the first |p_j| reaches 1/δ, δ = `failure` √(π/2P): a statement on λ_max
        itself, where a residual only says that some eigenvalue is near. Only for a run that began at random.

        Source: van Dorsselaer, Hochstenbach & van der Vorst 2000, whose bounds these are.
        """
        if self._is_invariant:
            return Reach(0.0, 0.0)
        limit = self._limit(failure)
        return Reach(self._beyond(-1, limit), self._beyond(1, limit))

    def reaches_no_further(self, below: float, above: float, failure: float) -> bool:
        """Whether `reach` is at most these distances: one evaluation, for a rule that asks after every step."""
        if self._is_invariant:
            return True
        points = np.array([self.ritz_values[0] - below, self.ritz_values[-1] + above])
        return bool(np.all(self._log_polynomials(points) >= self._limit(failure)))

    def floor(self, failure: float) -> float:
        """What λ_min is not below, with probability 1 − `failure`; the residual makes room for inexact products."""
        return float(self.ritz_values[0] - self.residuals[0]) - self.reach(failure).below

    def has_none_below(self, bound: float, failure: float) -> bool:
        """Whether `floor` is at least `bound`: one evaluation, for a rule that asks after every step.

        Asked a thousandth of the way above, as `floor` is found by a search that rounds down by less.
        """
        room = float(self.ritz_values[0] - self.residuals[0]) - bound
        if room < 0 or self._is_invariant:
            return room >= 0
        point = np.array([self.ritz_values[0] - 0.999 * room])
        return bool(self._log_polynomials(point)[0] >= self._limit(failure))

    @property
    def _is_invariant(self) -> bool:
        """Whether the space holds every eigenvector that its start touches."""
        return self.complete or 0.0 in self.beta

    def _limit(self, failure: float) -> float:
        return -math.log(failure * math.sqrt(math.pi / (2 * self.basis.size)))

    def _beyond(self, side: int, limit: float) -> float:
        """The first distance on one side of the Ritz values at which some log |p_j| exceeds `limit`."""
        end = float(self.ritz_values[-1 if side > 0 else 0])
        scale = max(float(np.ptp(self.ritz_values)), float(self.beta.max()))
        exponents = np.linspace(-16.0, 12.0, 57)
        for _ in range(4):
            growth = self._log_polynomials(end + side * scale * 10.0**exponents)
            first = int(np.argmax(growth >= limit))
            if growth[first] < limit:
                return math.inf
            exponents = np.linspace(exponents[max(0, first - 1)], exponents[first], 15)
        return float(scale * 10.0 ** exponents[-1])

    def _log_polynomials(self, points: Floats) -> Floats:
        """max over j of log |p_j| at each point, by the three-term recurrence, rescaled so that nothing overflows."""
        before, here = np.zeros_like(points), np.ones_like(points)
        logs, largest = np.zeros_like(points), np.full_like(points, -np.inf)
        for step, (a, b) in enumerate(zip(self.alpha, self.beta, strict=True)):
            coupling = self.beta[step - 1] if step else 0.0
            before, here = here, ((points - a) * here - coupling * before) / b
            size = np.maximum(np.abs(here), np.abs(before))
            before, here, logs = before / size, here / size, logs + np.log(size)
            largest = np.maximum(largest, logs + np.log(np.maximum(np.abs(here), 1e-300)))
        return largest


@dataclass(frozen=True)
class Reach:
    """How far below the smallest and above the largest Ritz value an eigenvalue may still lie."""

    below: float
    above: float


def converged(top: int, tolerance: float, failure: float) -> Callable[[KrylovSpace], bool]:
    """A stopping rule: λ_max is certain to `tolerance` of itself, the next `top` − 1 and λ_min to ten times that.

    The ends by `reach`, λ_min relative to |λ|_max, as it may be zero; the others by residuals, relative to themselves.
    Two successive values that agree prove nothing. Nor does a breakdown, where every residual is zero and the copies
    of a repeated eigenvalue are still to be found: such a run goes on to its budget.
    """

    def rule(space: KrylovSpace) -> bool:
        if space.steps <= top + 1 or 0.0 in space.beta:
            return False
        values, size = space.ritz_values, float(np.abs(space.ritz_values).max())
        if np.any(space.residuals[-top:] > 10 * tolerance * np.abs(values[-top:])):
            return False
        return space.reaches_no_further(10 * tolerance * size, tolerance * abs(float(values[-1])), failure)

    return rule


def lanczos(
    matvec: Matvec,
    start: Tensor | KrylovSpace,
    steps: int,
    generator: Generator,
    *,
    stop: Callable[[KrylovSpace], bool] = lambda _: False,
    storage: Storage | None = None,
) -> KrylovSpace:
    """Lanczos with full reorthogonalisation, twice, from the unit vector along `start` of shape (P,).

    Runs until `stop` or `steps` or the space is full. Given a space, goes on from it in the same memory, and leaves it
    what it is. Where the space becomes invariant, goes on from a fresh random direction orthogonal to it, so that
    repeated eigenvalues and untouched subspaces are found as well.

    Cost: a product for every step that is new; memory (steps + 2)·P numbers as `storage` keeps them. Reorthogonalising
    twice keeps the basis orthonormal to rounding, so that no Ritz value is a ghost of another.
    """
    space = (
        start if isinstance(start, KrylovSpace) else _step(matvec, Basis(start, storage), start / norm(start), [], [])
    )
    while space.steps < min(steps, space.basis.size) and not stop(space):
        row, length = space.rest, float(space.beta[-1])
        if length == 0.0:
            row = space.basis.project_out(unit_gaussian(space.basis.size, generator, row))
            length = norm(row)
        space = _step(matvec, space.basis, row / length, [*space.alpha], [*space.beta])
    return space


def _step(matvec: Matvec, before: Basis, row: Tensor, alpha: list[float], beta: list[float]) -> KrylovSpace:
    """The space with one row more, which is what the basis makes of `row`."""
    basis = before.with_row(row)
    row = basis[len(before)]
    vector = matvec(row)
    alpha.append(dot(vector, row))
    if not math.isfinite(alpha[-1]):
        message = f"product {len(alpha)} is not finite: the loss has no curvature here"
        raise FloatingPointError(message)
    basis.project_out(vector)
    length = norm(vector)
    beta.append(length if length > _negligible(alpha, beta, vector.dtype) else 0.0)
    return KrylovSpace(basis, np.array(alpha), np.array(beta), vector)


def _negligible(alpha: list[float], beta: list[float], dtype: torch.dtype) -> float:
    """Relative breakdown: what rounding leaves of a vector of the size of A."""
    scale = max(map(abs, [*alpha, *beta]))
    return 8 * torch.finfo(dtype).eps * scale
