"""Is the loss still falling, and can it be told from noise?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from landscape_audit.checks.check import check
from landscape_audit.checks.layer_gradients import (
    bars,
    lost_share,
    ratios,
    table,
    underflow,
    vanishing,
    without_influence,
)
from landscape_audit.estimate import Estimate, IntervalPart, Label
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.gradients import BatchGradients, GradientSample
from landscape_audit.quantiles import t_quantile
from landscape_audit.results import Measured
from landscape_audit.statistics import FLIPS, Floats, Mean, jackknife, sign_flip_p, wilson
from landscape_audit.text import count, percent

UNIT = "loss per unit of parameter"
FEWEST_GROUPS = 6
"""Sign flips of fewer than 6 vectors cannot reach a p-value below 1/32."""
DISTINGUISHABLE = 0.05
SAME = 1e-12
"""Of |g|²: how far apart rounding may put two gradients that are the same, squared."""
LISTED = 8
"""Names in one sentence; the table has all."""


@check(
    "gradient",
    BatchGradients(),
    AuditFacts(),
    version=3,
    title="Gradient",
    question="Is the gradient zero, up to what this many examples can show?",
    source="McCandlish et al. 2018 (noise scale); Phipson & Smyth 2010 (sign flips)",
)
def gradient(sample: GradientSample, facts: Facts) -> Measured:
    """The gradient g of the sample's loss, the signal |E∇ℓ| behind it, and the noise of one example.

    `norm` is |g|, exact for this sample. A sample's norm is biased upward by noise, so `signal_norm` is the unbiased
    |E∇ℓ|² = |g|² − tr Σ / N, its root where it is positive; tr Σ is the variance of the gradient of one example (of
    average weight), from the spread of batches (up to 32 groups of neighbours). `noise_scale` = tr Σ / |E∇ℓ|² is the
    batch size at which noise equals signal, unbounded above where the signal may be zero; where even its estimate is
    not positive, the lower end stands for the value. `batch_cosine` is the mean cosine between the gradients of two
    batches: 1 where all point one way, 0 where they share no direction; it grows with the batches' size. These
    intervals are delete-one jackknives over batches; that of the signal never falls below its error where there is no
    signal. `null_probability` is how often gradients without any common direction look like this: the sign-flip test.

    `update_ratio` is the median over weights of |g_l| / |θ_l|, and `weakest_tensor` the least of these ratios over
    the median. A weight is any parameter tensor but the biases: vectors along an axis of a matrix of their own module.
    A bias may have no influence where its layer trains: softmax cancels that of a key, whose gradient is zero in every
    model. Tensors of zero gradient or of norm zero have no ratio: they are named, and left out.

    For a checkpoint of 16 bits or fewer, `underflow` is the share of g's elements, those that are zero left out, that
    would be zero or subnormal in its dtype (that of most of its floating-point numbers) without loss scaling, and
    `lost_norm` the share of |g| in those that would be zero.

    `reason` is the first that holds: vanishing layers (weights of zero gradient, or of a ratio at most a thousandth of
    the median);
    underflow (`lost_norm` from the materiality on); noise (no common direction is seen); none.
    """
    signal, noise = _signal_squared(sample), _noise(sample)
    probability = null_probability(sample)
    word, reason = _distinguishable(sample, probability)
    blocks = sorted(sample.blocks, key=lambda block: -block.gradient_norm)
    root = math.sqrt(facts.parameters)
    return Measured(
        estimates={
            "norm": Estimate.exact(sample.norm, unit=UNIT, direction="lower", n=facts.n_samples),
            "rms": Estimate.exact(sample.norm / root, unit=UNIT, direction="lower", n=facts.n_samples),
            "signal_norm": _root(signal, facts.level),
            "noise_scale": _noise_scale(signal, noise, facts.level),
            "batch_cosine": _cosine_within(sample, facts.level),
            "null_probability": _chance(probability, facts.level),
            **ratios(sample.blocks),
            **underflow(sample),
        },
        labels={
            "mean_gradient": Label(value=word, reason=reason),
            "reason": _reason(sample, probability, facts),
        },
        details=(bars(blocks), table(blocks, sample.held, sample.eps)),
        caveats=_caveats(sample, signal),
    )


def _chance(probability: float, level: float) -> Estimate:
    low, high = wilson(probability, FLIPS, level)
    part = IntervalPart(kind="probe", low=min(probability, low), high=max(probability, high))
    return Estimate.within(probability, (part,), level=level, unit="probability", n=FLIPS)


def _caveats(sample: GradientSample, signal: Mean) -> tuple[str, ...]:
    found = []
    if not math.isfinite(signal.error):
        found.append("Too few batches for the noise of the gradient: intervals are unbounded.")
    still = int((np.diag(sample.gram) == 0).sum())
    if still:
        found.append(f"{count(still, 'batch', 'batches')} without a gradient: the cosine is that of the others.")
    dead = [block.name for block in sample.blocks if block.zeros == block.elements]
    if dead:
        found.append(f"The gradient is exactly zero in {count(len(dead), 'parameter tensor')}: {_listed(dead)}.")
    if idle := without_influence(sample.blocks, sample.eps):
        found.append(
            f"The gradient is zero up to rounding in {count(len(idle), 'bias', 'biases')} of weights that have one: no "
            "fault, as the loss does not depend on them (as on a key's bias, which softmax cancels), or they are at "
            f"their best: {_listed(idle)}."
        )
    empty = [block.name for block in sample.blocks if block.weight_norm == 0]
    if empty:
        found.append(f"{count(len(empty), 'parameter tensor')} of norm zero, with no update ratio: {_listed(empty)}.")
    return tuple(found)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")


def _reason(sample: GradientSample, probability: float, facts: Facts) -> Label:
    gone = vanishing(sample.blocks)
    lost = lost_share(sample)
    if gone:
        return Label(value="vanishing layers", reason=f"Next to no gradient reaches {_listed(gone)}.")
    if lost >= facts.materiality:
        found = f"{percent(lost, 3)} of |g| would be zero in {sample.held} without loss scaling."
        return Label(value="underflow", reason=found)
    if distinguishable(sample, probability) is False:
        return Label(value="noise", reason="The batches' gradients show no common direction.")
    return Label(value="none", reason="Gradients reach every layer, and share a direction as far as can be told.")


def null_probability(sample: GradientSample) -> float:
    """The sign-flip p-value of the hypothesis that the mean gradient is zero."""
    scaled = sample.gram * np.outer(sample.weights, sample.weights)
    return sign_flip_p(scaled, sample.seed)


def distinguishable(sample: GradientSample, probability: float) -> bool | None:
    """Whether the mean gradient is not zero; None where there are too few batches to tell."""
    return probability <= DISTINGUISHABLE if len(sample.weights) >= FEWEST_GROUPS else None


def without_spread(sample: GradientSample) -> bool:
    """Whether there are several batches, and all have the same gradient to the last digits."""
    squares = np.diag(sample.gram)
    apart = squares[:, None] + squares[None, :] - 2 * sample.gram
    return len(squares) > 1 and bool(apart.max() <= SAME * squares.max())


def _distinguishable(sample: GradientSample, probability: float) -> tuple[str, str]:
    found = distinguishable(sample, probability)
    if found is None:
        return "undecided", f"{count(len(sample.weights), 'batch', 'batches')}: too few to tell a gradient from noise."
    chance = f"batches without a common direction do this in {percent(probability, 3)} of cases"
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

    found = jackknife(statistic, len(sample.weights))
    return replace(found, error=max(found.error, _error_without_signal(sample)))


def _error_without_signal(sample: GradientSample) -> float:
    """The standard error of |E∇ℓ|² where that is zero, from ⟨g_a, g_b⟩² over the pairs of groups.

    The jackknife vanishes with ḡ, as it sees only how |ḡ|² moves with ḡ; the error does not.
    Source: Hoeffding 1948 (variance of a degenerate U-statistic).
    """
    share = sample.weights / sample.weights.sum()
    pairs = sample.gram * np.outer(share, share)
    square = float(np.square(pairs - np.diag(np.diag(pairs))).sum())
    return math.sqrt(2 * square) * len(share) / max(1, len(share) - 1)


def _noise(sample: GradientSample) -> Mean:
    """tr Σ of one example: where the loss weighs elements or tokens, an example has many of them."""
    by_example = sample.examples / float(sample.weights.sum())
    return jackknife(lambda kept: by_example * _variance(sample, kept), len(sample.weights))


def batch_cosine(sample: GradientSample) -> Mean:
    """Σ_{a≠b} ⟨ĝ_a, ĝ_b⟩ / B(B − 1) over the B groups with a gradient: unbiased for E⟨ĝ_a, ĝ_b⟩ of two of them.

    With its delete-one standard error; not a number where fewer than two have a gradient.
    """
    moving = np.flatnonzero(np.diag(sample.gram) != 0)
    if len(moving) < 2:
        return Mean(math.nan, math.inf, len(moving))
    gram = sample.gram[np.ix_(moving, moving)]
    norms = np.sqrt(np.diag(gram))
    cosines = gram / norms[:, None] / norms  # in two steps: the product of two small norms may be zero

    def statistic(kept: Floats) -> float:
        pieces = kept.sum()
        return float((kept @ cosines @ kept - pieces) / (pieces * (pieces - 1)))

    return jackknife(statistic, len(moving))


def _cosine_within(sample: GradientSample, level: float) -> Estimate:
    mean = batch_cosine(sample)
    low, high = _bounds(mean, level)
    part = IntervalPart(kind="sampling", low=max(-1.0, low), high=min(1.0, high))
    return Estimate.within(mean.value, (part,), level=level, direction="higher", n=mean.n)


def _bounds(mean: Mean, level: float) -> tuple[float, float]:
    half = t_quantile(level, mean.n - 1) * mean.error if math.isfinite(mean.error) else math.inf
    return mean.value - half, mean.value + half


def _root(squared: Mean, level: float) -> Estimate:
    low, high = (math.sqrt(max(0.0, bound)) for bound in _bounds(squared, level))
    part = IntervalPart(kind="sampling", low=low, high=high if math.isfinite(high) else None)
    value = math.sqrt(max(0.0, squared.value))
    return Estimate.within(value, (part,), level=level, unit=UNIT, direction="lower", n=squared.n)


def _noise_scale(signal: Mean, noise: Mean, level: float) -> Estimate:
    """Unbounded above where the signal may be zero; only its lower end where the signal is estimated to be zero."""
    signal_low, signal_high = _bounds(signal, level)
    noise_low, noise_high = _bounds(noise, level)
    low = max(0.0, noise_low) / signal_high if signal_high > 0 else 0.0
    if signal.value > 0:
        value = noise.value / signal.value
    elif noise.value > 0:
        value = low or math.inf
    else:
        value = math.nan
    high = noise_high / signal_low if signal_low > 0 and math.isfinite(noise_high) else None
    part = IntervalPart(kind="sampling", low=min(low, value), high=None if high is None else max(high, value))
    return Estimate.within(value, (part,), level=level, unit="examples", n=signal.n)
