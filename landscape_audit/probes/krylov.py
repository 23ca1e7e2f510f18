"""The Krylov spaces that every curvature figure is read off, and what other data would do to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.evaluation import terms
from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.lanczos import KrylovSpace
    from landscape_audit.probes.bench import Bench, Probe, Size


@dataclass(frozen=True)
class HessianKrylov:
    """One Lanczos run from a random start: λ_max, the top k, λ_min, and one quadrature of the whole spectrum."""

    name: str = "hessian_krylov"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """At most `lanczos_steps` products."""
        return Cost(hvps=min(size.budgets.lanczos_steps or 0, size.parameters))

    def take(self, bench: Bench) -> KrylovSpace:
        """Until the top k and the bottom are converged, or the budget is spent."""
        from landscape_audit.curvature.lanczos import converged, lanczos
        from landscape_audit.curvature.vectors import unit_gaussian

        budgets, theta = bench.budgets, bench.subject.theta
        generator = bench.generator(self.name)
        return lanczos(
            bench.hvp,
            unit_gaussian(theta.numel(), generator, theta),
            budgets.lanczos_steps or 1,
            generator,
            stop=converged(budgets.top_k or 1, budgets.eigen_tolerance or 0.0),
        )


@dataclass(frozen=True)
class GradientKrylov:
    """A short Lanczos run from the gradient: the space on which a trust-region step is exact. None where g = 0."""

    name: str = "gradient_krylov"
    needs: tuple[Probe[object], ...] = (BatchGradients(),)

    def cost(self, size: Size) -> Cost:
        """`trust_region_steps` products."""
        return Cost(hvps=min(size.budgets.trust_region_steps or 0, size.parameters))

    def take(self, bench: Bench) -> KrylovSpace | None:
        """Start at g."""
        from landscape_audit.curvature.lanczos import lanczos
        from landscape_audit.curvature.vectors import norm

        gradient = bench.take(BatchGradients()).mean
        if norm(gradient) == 0.0:
            return None
        return lanczos(bench.hvp, gradient, bench.budgets.trust_region_steps or 1, bench.generator(self.name))


@dataclass(frozen=True)
class RayleighQuotients:
    """vᵀ H_b v of every batch b at one fixed Ritz vector, and how far rounding may have moved it."""

    ritz_value: float
    residual: float
    forms: tuple[float, ...]
    weights: tuple[float, ...]
    rounding: float


@dataclass(frozen=True)
class RayleighSample:
    """The quotients at the largest Ritz vectors, largest first, and at the smallest."""

    top: tuple[RayleighQuotients, ...]
    bottom: RayleighQuotients


@dataclass(frozen=True)
class RitzRayleigh:
    """One more product for each Ritz vector of interest: what is certain of it, and how other data would move it."""

    name: str = "ritz_rayleigh"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    def cost(self, size: Size) -> Cost:
        """One product for each of the top k and the bottom, and on one batch twice, in both precisions."""
        vectors = min((size.budgets.top_k or 0) + 1, size.parameters)
        return Cost(hvps=vectors * (1 + 2 / size.n_batches))

    def take(self, bench: Bench) -> RayleighSample:
        """Forms in the audit's dtype; rounding against float64 on the first batch."""
        space = bench.take(HessianKrylov())
        count = min(bench.budgets.top_k or 1, space.steps)
        top = tuple(_quotients(bench, space, space.top(rank)) for rank in range(1, count + 1))
        return RayleighSample(top, top[-1] if space.steps == 1 else _quotients(bench, space, 0))


def _quotients(bench: Bench, space: KrylovSpace, index: int) -> RayleighQuotients:
    vector = space.ritz_vector(index)
    forms, weights = bench.hessian_by_batch.by_term(vector)
    bench.spend(Cost(hvps=1))
    return RayleighQuotients(
        ritz_value=float(space.ritz_values[index]),
        residual=float(space.residuals[index]),
        forms=tuple(forms),
        weights=tuple(weights),
        rounding=max(hvp_rounding(bench, vector), _arithmetic(bench, space)),
    )


def hvp_rounding(bench: Bench, vector: Tensor) -> float:
    """|H₃₂ v − H₆₄ v| on the first batch: what rounding may do to vᵀHv. Zero where float64 is what is audited.

    Where the model does not run in float64, √P ε |H₃₂ v|: rounding that does not cancel.
    """
    import torch

    from landscape_audit.curvature.hessian import Hessian
    from landscape_audit.curvature.vectors import norm

    subject, double = bench.subject, bench.double
    if subject.theta.dtype == torch.float64:
        return 0.0
    single = Hessian(subject.theta, subject.layout, terms(subject, subject.sample.batches[:1]), 0)(vector)
    bench.spend(Cost(hvps=1 / len(subject.sample.batches)))
    if double is None:
        return float(vector.numel() ** 0.5 * torch.finfo(vector.dtype).eps * norm(single))
    exact = Hessian(double.theta, double.layout, terms(double, double.sample.batches[:1]), 0)(vector.double())
    bench.spend(Cost(hvps=1 / len(subject.sample.batches)))
    return norm(single.double() - exact)


def _arithmetic(bench: Bench, space: KrylovSpace) -> float:
    """8 ε |λ|_max: rounding of the tridiagonal and of the Ritz vector itself, for a backward-stable process."""
    import torch

    return 8 * torch.finfo(bench.subject.theta.dtype).eps * float(abs(space.ritz_values).max())


@dataclass(frozen=True)
class TraceSample:
    """tr H = `inside` (exact on the Krylov space) plus the mean of `outside` (random signs on the rest)."""

    inside: float
    outside: tuple[float, ...]
    parameters: int
    complete: bool


@dataclass(frozen=True)
class KrylovTrace:
    """The trace, with everything that the Krylov space already knows taken out of the randomness."""

    name: str = "krylov_trace"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    def cost(self, size: Size) -> Cost:
        """`trace_probes` products."""
        return Cost(hvps=size.budgets.trace_probes or 0)

    def take(self, bench: Bench) -> TraceSample:
        """No product where the space is complete."""
        import math

        from landscape_audit.curvature.trace import complement_samples

        space = bench.take(HessianKrylov())
        probes = 0 if space.complete else bench.budgets.trace_probes or 0
        outside = complement_samples(bench.hvp, space.basis, probes, bench.generator(self.name))
        return TraceSample(math.fsum(space.alpha), tuple(outside), bench.subject.layout.size, space.complete)
