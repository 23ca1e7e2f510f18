"""The Krylov spaces that every curvature figure is read off, and the trace that they make nearly exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from landscape_audit.probes.bench import Growth
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean, weighted_mean

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace
    from landscape_audit.curvature.trace import TraceSample
    from landscape_audit.probes.bench import Bench, Probe, Size


@dataclass(frozen=True)
class HessianKrylov:
    """One Lanczos run from a random start: λ_max, the top k, λ_min, and one quadrature of the whole spectrum."""

    name: str = "hessian_krylov"
    needs: tuple[Probe[object], ...] = ()

    ANYTIME: ClassVar = True
    GROWTH: ClassVar = Growth("residual", "lanczos_steps", "eigen_tolerance")

    def cost(self, size: Size) -> Cost:
        """At most `lanczos_steps` products."""
        return Cost(hvps=min(size.budgets.lanczos_steps or 0, size.parameters))

    def take(self, bench: Bench) -> KrylovSpace:
        """Until the top k and the bottom are converged, or the budget or the time is spent. Goes on where it was."""
        from landscape_audit.curvature.lanczos import converged, lanczos
        from landscape_audit.curvature.vectors import unit_gaussian

        budgets, theta = bench.budgets, bench.subject.theta
        before = bench.before(self)
        generator = bench.generator(f"{self.name}:{before.steps}" if before else self.name)
        done = converged(budgets.top_k or 1, budgets.eigen_tolerance or 0.0, 1 - bench.protocol.level)
        # Copies of a repeated eigenvalue come last: a space that the budget holds whole is filled.
        partial = theta.numel() > (budgets.lanczos_steps or 1)
        return lanczos(
            bench.hvp,
            before or unit_gaussian(theta.numel(), generator, theta),
            budgets.lanczos_steps or 1,
            generator,
            stop=lambda space: bench.out_of_time() or bench.ranks.agree(partial and done(space)),
            storage=bench.room.storage,
        )


@dataclass(frozen=True)
class TraceFound:
    """tr H = `inside` (exact on the Krylov space) plus the mean of `outside` (random signs on the rest).

    Both hold a number for the whole, one for each layer, and one weighted as filter-normalised directions weigh it.
    """

    inside: TraceSample
    outside: tuple[TraceSample, ...]
    layers: tuple[str, ...]
    steps: int
    parameters: int
    complete: bool

    @property
    def whole(self) -> Mean:
        """tr H with the standard error of the random signs."""
        return _with_inside(self.inside.whole, [sample.whole for sample in self.outside])

    @property
    def perturbed(self) -> Mean:
        """E dᵀHd over the filter-normalised directions d that the loss is perturbed along."""
        return _with_inside(self.inside.weighted, [sample.weighted for sample in self.outside])

    def layer(self, index: int) -> Mean:
        """The trace of one layer's diagonal block."""
        return _with_inside(self.inside.blocks[index], [sample.blocks[index] for sample in self.outside])


def _with_inside(inside: float, outside: list[float]) -> Mean:
    if not outside:  # nothing is left to sample where the space is complete
        return Mean(inside, 0.0, 2)
    mean = weighted_mean(outside, [1.0] * len(outside))
    return Mean(inside + mean.value, mean.error, mean.n)


@dataclass(frozen=True)
class KrylovTrace:
    """The trace, whole and by layer, with everything that the Krylov space already knows out of the randomness."""

    name: str = "krylov_trace"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    ANYTIME: ClassVar = True
    GROWTH: ClassVar = Growth("probe", "trace_probes", "trace_tolerance")
    LEAST: ClassVar = 6
    """Samples before their own standard error is believed."""

    def cost(self, size: Size) -> Cost:
        """At most `trace_probes` products."""
        return Cost(hvps=size.budgets.trace_probes or 0)

    def take(self, bench: Bench) -> TraceFound:
        """Until the standard error is below `trace_tolerance` of the trace; no product where the space is complete."""
        from landscape_audit.curvature.trace import inside, outside

        space, groups = bench.take(HessianKrylov()), bench.layers
        spans = [bench.subject.layout.span(group.members) for group in groups]
        variances = bench.scale.variances(bench.subject.layout)
        known = inside(space, spans, variances)
        before = bench.before(self)
        samples: list[TraceSample] = list(before.outside) if before and before.steps == space.steps else []
        names = tuple(group.name for group in groups)

        def found() -> TraceFound:
            return TraceFound(known, tuple(samples), names, space.steps, space.basis.size, space.complete)

        most, tolerance = bench.budgets.trace_probes or 0, bench.budgets.trace_tolerance or 0.0
        while not space.complete and len(samples) < most:
            generator = bench.generator(f"{self.name}:{len(samples)}")
            samples.append(outside(bench.hvp, space, generator, spans, variances))
            settled = len(samples) >= self.LEAST and found().whole.error <= tolerance * abs(found().whole.value)
            if settled or (samples and bench.out_of_time()):
                break
        return found()
