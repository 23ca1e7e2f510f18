"""The Gauss-Newton part of the Hessian, at its own top and along the Hessian's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


@dataclass(frozen=True)
class GaussNewtonSample:
    """λ_max(G) from a short Lanczos run, and yᵢᵀGyᵢ beside yᵢᵀHyᵢ at the Hessian's Ritz vectors yᵢ."""

    lambda_max: float
    residual: float
    steps: int
    lambda_min: float
    forms: tuple[float, ...]
    """yᵢᵀ G yᵢ, from the largest Ritz vector down."""
    by_batch: tuple[float, ...]
    """y₁ᵀ G_b y₁ of every batch's own mean loss."""
    weights: tuple[float, ...]


@dataclass(frozen=True)
class NoGaussNewton:
    """That there is no Gauss-Newton part to measure, and why."""

    reason: str


@dataclass(frozen=True)
class GaussNewtonKrylov:
    """Lanczos on G from the Hessian's top Ritz vector, where the two hardly differ; then a product a Ritz vector."""

    name: str = "gauss_newton"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    FOLLOWS: ClassVar = (HessianKrylov,)
    TOLERANCE = 1e-2

    def cost(self, size: Size) -> Cost:
        """At most `ggn_steps` products, and one for each of the top k; about as dear as the Hessian's."""
        budgets = size.budgets
        steps = min(budgets.ggn_steps or 0, size.parameters)
        return Cost(hvps=steps + min(budgets.top_k or 0, size.parameters))

    def take(self, bench: Bench) -> GaussNewtonSample | NoGaussNewton:
        """A reason where the outputs are not one tensor or have no second derivative: G is then not known here."""
        from landscape_audit.curvature.lanczos import lanczos
        from landscape_audit.curvature.vectors import dot

        space, landscape = bench.take(HessianKrylov()), bench.landscape
        if landscape.no_gauss_newton:
            return NoGaussNewton(landscape.no_gauss_newton)
        steps, first = bench.budgets.ggn_steps or 1, space.ritz_vector(space.top(1))
        own = lanczos(
            bench.ggn,
            first,
            steps,
            bench.generator(self.name),
            stop=lambda found: bench.ranks.agree(
                bool(found.residuals[-1] <= self.TOLERANCE * abs(found.ritz_values[-1]))
            ),
            storage=bench.room.storage,
        )
        told = landscape.gauss_newton_by_batch(first, lambda u: [dot(first, u)])
        bench.spend(Cost(hvps=1))
        count = min(bench.budgets.top_k or 1, space.steps)
        others = [space.ritz_vector(space.top(rank)) for rank in range(2, count + 1)]
        return GaussNewtonSample(
            lambda_max=float(own.ritz_values[-1]),
            residual=float(own.residuals[-1]),
            steps=own.steps,
            lambda_min=float(own.ritz_values[0]),
            forms=(dot(first, told.product), *(dot(y, bench.ggn(y)) for y in others)),
            by_batch=tuple(told.read[:, 0].tolist()),
            weights=tuple(told.weights.tolist()),
        )
