"""Is the loss still falling, and can it be told from noise?"""

from __future__ import annotations

import math

import numpy as np

from landscape_audit.checks.check import check
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.gradients import BatchGradients, BlockGradient, GradientSample
from landscape_audit.results import (
    Axis,
    Bar,
    Bars,
    Column,
    Estimate,
    IntervalPart,
    Label,
    Measured,
    Table,
)
from landscape_audit.statistics import Floats, Mean, jackknife, sign_flip_p, t_quantile
from landscape_audit.text import count, number

UNIT = "loss per unit of parameter"
FEWEST_GROUPS = 6
"""Sign flips of fewer than 6 vectors cannot reach a p-value below 1/32."""
DISTINGUISHABLE = 0.05


@check(
    "gradient",
    BatchGradients(),
    AuditFacts(),
    version=1,
    title="Gradient",
    question="Is the gradient zero, up to what this many examples can show?",
    source="McCandlish et al. 2018 (noise scale); Phipson & Smyth 2010 (sign flips)",
)
def gradient(sample: GradientSample, facts: Facts) -> Measured:
    """The gradient g of the sample's loss, the signal |E∇ℓ| behind it, and the noise of one example.

    `norm` is |g|, exact for this sample. A sample's norm is biased upward by noise, so `signal_norm` is the unbiased
    |E∇ℓ|² = |g|² − tr Σ / N, its root where it is positive; tr Σ is the variance of one example's gradient, from the
    spread of batches. `noise_scale` = tr Σ / |E∇ℓ|² is the batch size at which noise equals signal, unbounded above
    where the signal may be zero. Their intervals are delete-one jackknives over batches. `null_probability` is how
    often gradients without any common direction look like this: the sign-flip test.
    """
    caveats = []
    signal, noise = _signal_squared(sample), _noise(sample)
    if not math.isfinite(signal.error):
        caveats.append("Too few batches for the noise of the gradient: intervals are unbounded.")
    probability = null_probability(sample)
    word, reason = _distinguishable(sample, probability)
    blocks = sorted(sample.blocks, key=lambda block: -block.gradient_norm)
    dead = [block.name for block in sample.blocks if block.zeros == block.elements]
    if dead:
        caveats.append(f"The gradient is exactly zero in {count(len(dead), 'parameter tensor')}: {', '.join(dead)}.")
    return Measured(
        estimates={
            "norm": Estimate.exact(sample.norm, unit=UNIT, direction="lower", n=facts.n_samples),
            "rms": Estimate.exact(
                sample.norm / math.sqrt(facts.parameters), unit=UNIT, direction="lower", n=facts.n_samples
            ),
            "signal_norm": _root(signal, facts.level),
            "noise_scale": _noise_scale(signal, noise, facts.level),
            "null_probability": Estimate.exact(probability, unit="probability", n=len(sample.weights)),
        },
        labels={"mean_gradient": Label(value=word, reason=reason)},
        details=(_bars(blocks), _table(blocks)),
        caveats=tuple(caveats),
    )


def null_probability(sample: GradientSample) -> float:
    """The sign-flip p-value of the hypothesis that the mean gradient is zero."""
    scaled = sample.gram * np.outer(sample.weights, sample.weights)
    return sign_flip_p(scaled, sample.seed)


def distinguishable(sample: GradientSample, probability: float) -> bool | None:
    """Whether the mean gradient is not zero; None where there are too few batches to tell."""
    return probability <= DISTINGUISHABLE if len(sample.weights) >= FEWEST_GROUPS else None


def _distinguishable(sample: GradientSample, probability: float) -> tuple[str, str]:
    found = distinguishable(sample, probability)
    if found is None:
        return "undecided", f"{count(len(sample.weights), 'batch', 'batches')}: too few to tell a gradient from noise."
    chance = f"batches without a common direction do this in {number(100 * probability, 3)} % of cases"
    return ("nonzero", f"The mean gradient is real: {chance}.") if found else ("noise", f"It may be noise: {chance}.")


def _mixture(sample: GradientSample, kept: Floats) -> tuple[float, float, float]:
    """|ḡ|², Σ w |g_b|² and Σ w over the kept groups."""
    w = sample.weights * kept
    total = w.sum()
    return float(w @ sample.gram @ w) / total**2, float(w @ np.diag(sample.gram)), float(total)


def _variance(sample: GradientSample, kept: Floats) -> float:
    square, squares, total = _mixture(sample, kept)
    return max(0.0, squares - total * square) / max(1.0, float(kept.sum()) - 1)


def _signal_squared(sample: GradientSample) -> Mean:
    def statistic(kept: Floats) -> float:
        square, _, total = _mixture(sample, kept)
        return square - _variance(sample, kept) / total

    return jackknife(statistic, len(sample.weights))


def _noise(sample: GradientSample) -> Mean:
    return jackknife(lambda kept: _variance(sample, kept), len(sample.weights))


def _bounds(mean: Mean, level: float) -> tuple[float, float]:
    half = t_quantile(level, mean.n - 1) * mean.error if math.isfinite(mean.error) else math.inf
    return mean.value - half, mean.value + half


def _root(squared: Mean, level: float) -> Estimate:
    low, high = (math.sqrt(max(0.0, bound)) for bound in _bounds(squared, level))
    part = IntervalPart(kind="sampling", low=low, high=high if math.isfinite(high) else None)
    value = math.sqrt(max(0.0, squared.value))
    return Estimate.within(value, (part,), level=level, unit=UNIT, direction="lower", n=squared.n)


def _noise_scale(signal: Mean, noise: Mean, level: float) -> Estimate:
    """Unbounded above where the signal may be zero; not a number where it is estimated to be."""
    if signal.value <= 0:
        return Estimate.exact(math.inf if noise.value > 0 else math.nan, unit="examples", n=signal.n)
    value = noise.value / signal.value
    signal_low, signal_high = _bounds(signal, level)
    noise_low, noise_high = _bounds(noise, level)
    high = noise_high / signal_low if signal_low > 0 and math.isfinite(noise_high) else None
    low = max(0.0, noise_low) / signal_high
    part = IntervalPart(kind="sampling", low=min(low, value), high=None if high is None else max(high, value))
    return Estimate.within(value, (part,), level=level, unit="examples", n=signal.n)


def _bars(blocks: list[BlockGradient]) -> Bars:
    top = blocks[0]
    return Bars(
        name="layers",
        title="Gradient by parameter tensor",
        finding=f"The largest part of the gradient is in {top.name}, {number(top.gradient_norm)}.",
        expected="small everywhere; no tensor orders of magnitude above the others",
        axis=Axis(label="|g|", unit=UNIT, scale="log"),
        bars=tuple(Bar(label=block.name, value=block.gradient_norm) for block in blocks),
    )


def _table(blocks: list[BlockGradient]) -> Table:
    return Table(
        name="layer_ratios",
        title="Update ratios",
        finding="What a step of size one along −g would change in each tensor, relative to what is there.",
        columns=(
            Column(name="parameter", title="Parameter"),
            Column(name="elements", title="Elements"),
            Column(name="gradient_norm", title="|g|", unit=UNIT),
            Column(name="weight_norm", title="|θ|"),
            Column(name="update_ratio", title="|g| / |θ|"),
            Column(name="zeros", title="Exact zeros"),
            Column(name="underflows", title="Below float16"),
        ),
        rows=tuple(
            (
                block.name,
                block.elements,
                block.gradient_norm,
                block.weight_norm,
                block.gradient_norm / block.weight_norm if block.weight_norm > 0 else None,
                block.zeros,
                block.underflows,
            )
            for block in blocks
        ),
    )
