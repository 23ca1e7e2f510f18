"""The Krylov spaces that every curvature figure is read off, and the trace that they make nearly exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from landscape_audit.probes.probe import Growth
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean, weighted_mean

if TYPE_CHECKING:
    from torch import Generator

    from landscape_audit.curvature.lanczos import KrylovSpace
    from landscape_audit.curvature.trace import Outside, TraceSample
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


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
    `space` may go deeper than the run it goes on from.
    """

    space: KrylovSpace
    inside: TraceSample
    outside: tuple[TraceSample, ...]

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

    def goes_on_from(self, space: KrylovSpace) -> bool:
        """Whether the space is that one or a deeper one of the same run."""
        mine, theirs = self.space.alpha, space.alpha
        return len(mine) >= len(theirs) and bool((mine[: len(theirs)] == theirs).all())


def _with_inside(inside: float, outside: list[float]) -> Mean:
    if not outside:  # nothing is left to sample where the space is complete
        return Mean(inside, 0.0, 2)
    mean = weighted_mean(outside, [1.0] * len(outside))
    return Mean(inside + mean.value, mean.error, mean.n, tuple(inside + piece for piece in mean.pieces))


@dataclass(frozen=True)
class KrylovTrace:
    """The trace, whole and by layer, with everything that a Krylov space knows out of the randomness.

    A product buys either one random sample more, or one step more of the run, which makes every sample less random.
    The first sample tells which is cheaper, as in the adaptive Hutch++ of Persson, Cortinovis & Kressner 2022.
    """

    name: str = "krylov_trace"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    ANYTIME: ClassVar = True
    GROWTH: ClassVar = Growth("probe", "trace_probes", "trace_tolerance")
    LEAST: ClassVar = 6
    """Samples before their own standard error is believed."""
    RECENT: ClassVar = 4
    """Steps over which what a step takes in is averaged: single steps vary."""

    def cost(self, size: Size) -> Cost:
        """At most `trace_probes` products."""
        return Cost(hvps=size.budgets.trace_probes or 0)

    def take(self, bench: Bench) -> TraceFound:
        """Until the standard error is below `trace_tolerance` of the trace; no product where the space is complete."""
        from landscape_audit.curvature.trace import inside, outside

        run, before = bench.take(HessianKrylov()), bench.before(self)
        most, tolerance = bench.budgets.trace_probes or 0, bench.budgets.trace_tolerance or 0.0
        spans = [bench.subject.layout.span(group.members) for group in bench.layers]
        weights = bench.scale.variances(bench.subject.layout)
        if before and before.goes_on_from(run):
            found = before
        elif run.complete or not most:
            return TraceFound(run, inside(run, spans, weights), ())
        else:
            space, first = self._deep_enough(bench, run)
            found = TraceFound(space, inside(space, spans, weights), (first.sample(spans, weights),))
        while not found.space.complete and found.space.steps - run.steps + len(found.outside) < most:
            settled = len(found.outside) >= self.LEAST and found.whole.error <= tolerance * abs(found.whole.value)
            if settled or bench.out_of_time():
                break
            another = outside(bench.hvp, found.space, self._stream(bench, len(found.outside)))
            found = replace(found, outside=(*found.outside, another.sample(spans, weights)))
        return found

    def _stream(self, bench: Bench, index: int) -> Generator:
        return bench.generator(f"{self.name}:{index}")

    def _deep_enough(self, bench: Bench, run: KrylovSpace) -> tuple[KrylovSpace, Outside]:
        """The space on which further samples are cheaper than further steps, and the first sample outside it."""
        from landscape_audit.curvature.lanczos import lanczos
        from landscape_audit.curvature.trace import outside

        space, first = run, outside(bench.hvp, run, self._stream(bench, 0))
        generator = bench.generator(f"{self.name}:steps")
        while self._a_step_is_cheaper(bench, space, run.steps, first) and not bench.out_of_time():
            space = lanczos(bench.hvp, space, space.steps + 1, generator)
            first = first.after(space)
        return space, first

    def _a_step_is_cheaper(self, bench: Bench, space: KrylovSpace, begun: int, first: Outside) -> bool:
        """Whether the next step, if it takes in what the last ones did, saves more than one of the samples to come."""
        from landscape_audit.curvature.trace import taken_in

        budgets, left = bench.budgets, (bench.budgets.trace_probes or 0) - (space.steps - begun)
        error = (budgets.trace_tolerance or 0.0) * abs(float(space.alpha.sum()) + first.sample().whole)
        needed = min(2 * first.size, left * error**2) / error**2 if error else left
        if space.steps >= (budgets.lanczos_steps or 0) or space.complete or needed <= self.LEAST:
            return False
        return taken_in(space, self.RECENT) * needed > first.size
