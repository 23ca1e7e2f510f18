"""Ritz vectors put to the test: one more product each, in full precision, told by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from landscape_audit.curvature.lanczos import Floats, KrylovSpace
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


@dataclass(frozen=True)
class RayleighQuotients:
    """yᵀHy at one fixed Ritz vector y, what every batch says of it, and how far y is from being an eigenvector.

    Both are measured on one product of the whole sample, so that they hold whatever the solver did: in half
    precision, on differences, or cut short.
    """

    value: float
    residual: float
    """|Hy − (yᵀHy) y|: an eigenvalue lies within this distance."""
    forms: tuple[float, ...]
    """yᵀ H_b y of every batch's own mean loss."""
    weights: tuple[float, ...]
    rounding: float
    """How far the arithmetic may have moved the value."""


@dataclass(frozen=True)
class RayleighSample:
    """The quotients at the largest Ritz vectors, largest first, and at the smallest."""

    top: tuple[RayleighQuotients, ...]
    bottom: RayleighQuotients
    bias: Mean
    """How far λ_max of a sample of this size lies above that of many such samples, by the jackknife."""
    exact: bool
    """False where products are differences, which prove no negative curvature."""
    certified: bool
    """False where the run saw another matrix than the one that is reported, so that its reach says nothing of that."""


@dataclass(frozen=True)
class RitzRayleigh:
    """One more product for each Ritz vector of interest: what is certain of it, and how other data would move it."""

    name: str = "ritz_rayleigh"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    FOLLOWS: ClassVar = (HessianKrylov,)

    def cost(self, size: Size) -> Cost:
        """One product for each of the top k and the bottom, and on one batch twice, in both precisions."""
        vectors = min((size.budgets.top_k or 0) + 1, size.parameters)
        return Cost(hvps=vectors * (1 + 2 / size.n_batches))

    def take(self, bench: Bench) -> RayleighSample:
        """Forms in the audit's dtype; rounding against float64 on the first batch."""
        space = bench.take(HessianKrylov())
        count = min(bench.budgets.top_k or 1, space.steps)
        first, coupled = quotients(bench, space, space.top(1), lambda u: _coupling(space, u))
        others = [quotients(bench, space, space.top(rank))[0] for rank in range(2, count + 1)]
        bottom = first if space.steps == 1 else quotients(bench, space, 0)[0]
        bias = jackknife_bias(space, coupled, first.weights)
        certified = bench.protocol.products == "full"
        return RayleighSample((first, *others), bottom, bias, bench.landscape.exact, certified)


def quotients(
    bench: Bench, space: KrylovSpace, index: int, more: Callable[[Tensor], list[float]] = lambda _: []
) -> tuple[RayleighQuotients, Floats]:
    """One Ritz vector of the run put to the test, and what `more` reads off every batch's product with it."""
    from landscape_audit.curvature.vectors import dot, norm

    vector, landscape = space.ritz_vector(index), bench.landscape
    found = landscape.hessian_by_batch(vector, lambda u: [dot(vector, u), *more(u)])
    bench.spend(Cost(hvps=1))
    value = dot(vector, found.product)
    residual = norm(found.product.sub_(vector, alpha=value))
    read, weights = found.read, found.weights
    del found  # a vector as long as θ, before float64 takes the room of many
    told = RayleighQuotients(
        value=value,
        residual=residual,
        forms=tuple(read[:, 0].tolist()),
        weights=tuple(weights.tolist()),
        rounding=bench.ranks.most(max(hvp_rounding(bench, vector), _arithmetic(bench, space))),
    )
    return told, read[:, 1:]


def _coupling(space: KrylovSpace, u: Tensor) -> list[float]:
    """Vu, and how long u is. Where a batch was cut for want of memory its pieces' lengths add up, to no less."""
    from landscape_audit.curvature.vectors import norm

    return [*space.basis.coefficients(u).tolist(), norm(u)]


def jackknife_bias(space: KrylovSpace, coupled: Floats, weights: tuple[float, ...]) -> Mean:
    """How far λ_max of the sample lies above what it would be with ever more data: the delete-one jackknife.

    Without batch b the matrix is H + E_b, E_b = −w_b/(W − w_b) (H_b − H). Its top eigenvalue is that of the arrow
    matrix that E_b y makes of the Ritz values at the top Ritz vector y, with everything outside the space gathered at
    the mean eigenvalue; the part of first order averages to nothing and is left out. (B − 1) times the mean change is
    the bias, B the number of batches. It is a lower estimate: the jackknife sees about half to all of the bias.

    `coupled` (B, m + 1) holds V H_b y and |H_b y| by batch. Source: Efron & Tibshirani 1993.
    """
    share = np.asarray(weights) / sum(weights)
    batches = len(share)
    if batches < 3 or share.max() == 1.0:
        return Mean(0.0, np.inf, batches)
    values, vectors = space.eigen
    inside = coupled[:, :-1] @ vectors
    outside = np.sqrt(np.maximum(0.0, coupled[:, -1] ** 2 - (inside**2).sum(1)))
    moved = -(share / (1 - share))[:, None] * np.column_stack([inside[:, :-1], outside])
    arrow = np.diag([*values[:-1], float(space.alpha[0]), values[-1]])
    seconds = []
    for row in moved:
        arrow[-1, :-1] = arrow[:-1, -1] = row
        seconds.append(np.linalg.eigvalsh(arrow)[-1] - values[-1])
    changes = (batches - 1) * np.array(seconds)
    error = float(changes.std(ddof=1) / np.sqrt(batches))
    return Mean(float(changes.mean()), error, batches, tuple(changes.tolist()))


def hvp_rounding(bench: Bench, vector: Tensor) -> float:
    """|H₃₂ v − H₆₄ v| on the first batch: what rounding may do to vᵀHv. Zero where float64 is what is audited.

    Where the model does not run in float64, √P ε |H₃₂ v|: rounding that does not cancel. Where products are
    differences, what they are off.
    """
    import torch

    from landscape_audit.curvature.vectors import norm

    subject, double, landscape = bench.subject, bench.double, bench.landscape
    if subject.theta.dtype == torch.float64 and landscape.exact:
        return 0.0
    single = landscape.on_first_batch(subject)(vector)
    bench.spend(Cost(hvps=1 / bench.size.n_batches))
    if not landscape.exact:
        return landscape.error * norm(single)
    if double is None:
        return float(vector.numel() ** 0.5 * torch.finfo(vector.dtype).eps * norm(single))
    exact = landscape.on_first_batch(double)(vector.double())
    bench.spend(Cost(hvps=1 / bench.size.n_batches))
    return norm(single.double() - exact)


def _arithmetic(bench: Bench, space: KrylovSpace) -> float:
    """8 ε |λ|_max: rounding of the tridiagonal and of the Ritz vector itself, for a backward-stable process."""
    return (8 * bench.eps + bench.landscape.error) * float(abs(space.ritz_values).max())
