"""The same function at other weights: which numbers of the landscape are different there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.ascent import ADAPTIVE_FLOOR, ADAPTIVE_RADIUS, RADIUS, on_sphere
from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.perturbations import RandomPerturbation
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.rescaling import Pair
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.landscape import Landscape
    from landscape_audit.probes.probe import Probe, Size

FACTOR = 8.0
"""A power of two, so that the rescale is exact in floating point: curvature moves by up to its square."""
MOST_TRIALS = 16
"""Pairs of layers that are tried, from the input on."""
TRIED = 32
"""Examples of the first batch on which a pair is tried; the pairs together are tried on the whole sample."""
NUDGE = 0.01
"""Pairs are tried beside θ: a layer that is zero at θ would make every rescale look harmless."""
REFERENCE_SIGMA = 0.1
"""The radius of the flatness sweep nearest to this is measured again."""
DRAWS = 2


@dataclass(frozen=True)
class Moved:
    """What is measured at θ', where the loss is what it is at θ."""

    lambda_max: float
    """The largest Ritz value: a lower bound."""
    residual: float
    steps: int
    gradient: float
    """|g'|."""
    gradient_told: float
    """|D⁻¹g|, which |g'| is where the rescale θ' = Dθ preserves the function."""
    one_step: float
    """Rise after one step of ascent in the raw ball."""
    adaptive: float
    """The same in the adaptive ball, T = |θ| + 0.01."""
    adaptive_unfloored: float
    """The same with T = |θ|."""
    unfloored_before: float
    """That at θ, which no other probe takes."""
    sigma: float
    rises: tuple[float, ...]
    """At `sigma`, by draw: the draws of the flatness sweep, filter-normalised at θ'."""


@dataclass(frozen=True)
class Rescaling:
    """The pairs that leave the function alone, and what moved; nothing moved where there is no such pair."""

    pairs: tuple[tuple[str, str], ...]
    tried: int
    loss: float
    loss_there: float
    """The loss at θ'."""
    change: float
    """The largest change of a batch's loss between θ and θ'."""
    moved: Moved | None


@dataclass(frozen=True)
class RescaledLayers:
    """A rescale of layers by 8 and 1/8 that leaves the function alone, found by trying, and a look around from there.

    Source: Dinh et al. 2017.
    """

    name: str = "rescaled_layers"
    needs: tuple[Probe[object], ...] = (HessianKrylov(), BatchGradients(), RandomPerturbation())

    def cost(self, size: Size) -> Cost:
        """At most: the trials, two evaluations of everything, a gradient, nine more forwards and a few products."""
        forwards = 2 + (2 + MOST_TRIALS) / size.n_batches + 4 + 2 * DRAWS
        return Cost(
            forwards=forwards, gradients=1, hvps=min(size.budgets.reparametrisation_steps or 0, size.parameters)
        )

    def take(self, bench: Bench) -> Rescaling:
        """Find the pairs, move by all of them at once, verify that on the whole sample, and measure."""
        from landscape_audit.curvature.rescaling import rescaled

        pairs, tried = _pairs(bench)
        here = bench.evaluate()
        if not pairs:
            return Rescaling((), tried, here.loss, here.loss, 0.0, None)
        there = bench.elsewhere(rescaled(bench.subject.theta, bench.subject.layout, pairs, FACTOR))
        same = there.evaluate(there.subject.theta)
        bench.spend(Cost(forwards=1))
        change = max(abs(a - b) for a, b in zip(here.means(), same.means(), strict=True))
        kept = change <= _tolerance(bench) * max(map(abs, here.means()))
        moved = _measured(bench, there, pairs, here.loss) if kept else None
        for told in set(there.adjustments) - set(bench.landscape.adjustments):
            bench.note(f"After the rescale of layers: {told}")
        names = tuple((pair.first, pair.second) for pair in pairs)
        return Rescaling(names, tried, here.loss, same.loss, change, moved)


def _pairs(bench: Bench) -> tuple[tuple[Pair, ...], int]:
    """Pairs that share no parameter, each tried by itself, and how many were tried."""
    import torch

    from landscape_audit.curvature.rescaling import candidates, rescaled

    subject, layout = bench.subject, bench.subject.layout
    drawn = torch.randn(layout.size, generator=bench.generator("rescaled_layers"), dtype=torch.float64)
    beside = subject.theta + NUDGE * drawn.to(subject.theta)
    outputs, tried = _outputs(bench, beside), 0
    kept: list[Pair] = []
    for pair in candidates(subject.model, layout):
        taken = any(pair.members & other.members for other in kept)
        if taken or tried == MOST_TRIALS or not _touches(bench, pair):
            continue
        tried += 1
        there = _outputs(bench, rescaled(beside, layout, (pair,), FACTOR))
        same = bool((there - outputs).abs().max() <= _tolerance(bench) * outputs.abs().max())
        if bench.ranks.agree(same):
            kept.append(pair)
    return tuple(kept), tried


def _touches(bench: Bench, pair: Pair) -> bool:
    views = bench.subject.layout.views(bench.subject.theta)
    return any(bool(views[index].any()) for index in pair.members)


def _tolerance(bench: Bench) -> float:
    """Relative: nothing but underflow, and kernels that choose their order of summation, is left to differ."""
    import torch

    return 16 * torch.finfo(bench.subject.theta.dtype).eps


def _outputs(bench: Bench, theta: Tensor) -> Tensor:
    """What the model says of the first examples; their loss where that is no tensor."""
    import torch

    subject = bench.subject
    few = subject.placed(subject.sample.batches[0].first(TRIED))
    with torch.no_grad():
        outputs = subject.outputs(subject.layout.views(theta), few)
        found = outputs if isinstance(outputs, torch.Tensor) else subject.loss.of(outputs, few).total
    bench.spend(Cost(forwards=few.size / subject.sample.size))
    return found


def _measured(bench: Bench, there: Landscape, pairs: tuple[Pair, ...], loss: float) -> Moved:
    from landscape_audit.curvature.rescaling import rescaled
    from landscape_audit.curvature.vectors import norm

    subject, g = bench.subject, bench.take(BatchGradients()).mean
    theta = there.subject.theta
    slope, _ = there.gradient(theta)
    bench.spend(Cost(gradients=1))
    value, residual, steps = _top(bench, there, pairs)
    sigma = min(bench.budgets.flatness_sigmas or (), key=lambda s: abs(math.log(s / REFERENCE_SIGMA)))
    return Moved(
        lambda_max=value,
        residual=residual,
        steps=steps,
        gradient=norm(slope),
        gradient_told=norm(rescaled(g, subject.layout, pairs, 1 / FACTOR)),
        one_step=_one_step(bench, there, slope, 1.0, RADIUS) - loss,
        adaptive=_one_step(bench, there, slope, theta.abs() + ADAPTIVE_FLOOR, ADAPTIVE_RADIUS) - loss,
        adaptive_unfloored=_one_step(bench, there, slope, theta.abs(), ADAPTIVE_RADIUS) - loss,
        unfloored_before=_one_step(bench, bench.landscape, g, subject.theta.abs(), ADAPTIVE_RADIUS) - loss,
        sigma=sigma,
        rises=_rises(bench, there, sigma, loss),
    )


def _top(bench: Bench, there: Landscape, pairs: tuple[Pair, ...]) -> tuple[float, float, int]:
    """The largest Ritz value at θ', its residual and the steps, from where the rescale takes the top Ritz vector."""
    from landscape_audit.curvature.lanczos import lanczos
    from landscape_audit.curvature.rescaling import rescaled

    space = bench.take(HessianKrylov())

    def product(v: Tensor) -> Tensor:
        found = there.hvp(v)
        bench.spend(Cost(hvps=1))
        return found

    found = lanczos(
        product,
        rescaled(space.ritz_vector(space.top(1)), bench.subject.layout, pairs, 1 / FACTOR),
        bench.budgets.reparametrisation_steps or 1,
        bench.generator("rescaled_layers:top"),
        stop=lambda s: bench.ranks.agree(bool(s.residuals[-1] <= 1e-2 * abs(s.ritz_values[-1]))),
        storage=bench.room.storage,
    )
    return float(found.ritz_values[-1]), float(found.residuals[-1]), found.steps


def _one_step(bench: Bench, around: Landscape, slope: Tensor, stretch: Tensor | float, radius: float) -> float:
    """The loss one step up the gradient, on the edge of the ball |ε / stretch| ≤ radius."""
    found = around.evaluate(around.subject.theta + stretch * on_sphere(stretch * slope, radius)).loss
    bench.spend(Cost(forwards=1))
    return found


def _rises(bench: Bench, there: Landscape, sigma: float, loss: float) -> tuple[float, ...]:
    from landscape_audit.curvature.directions import FilterScale

    subject = there.subject
    scale, found = FilterScale.at(subject.theta, subject.layout), []
    for draw in range(min(DRAWS, bench.budgets.flatness_draws or 0)):
        direction = scale.direction(subject.layout, bench.generator(f"{RandomPerturbation().name}:{draw}"))
        pair = [there.evaluate(subject.theta + sign * sigma * direction).loss for sign in (1.0, -1.0)]
        bench.spend(Cost(forwards=2))
        found.append(sum(pair) / 2 - loss)
    return tuple(found)
