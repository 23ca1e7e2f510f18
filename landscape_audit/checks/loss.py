"""How well does the checkpoint do what it was trained for?"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

from landscape_audit.checks.check import check
from landscape_audit.estimate import Estimate, IntervalPart, about, reaching
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.losses import CheckpointLoss, LossSample
from landscape_audit.results import Measured
from landscape_audit.skewness import LARGE, asymmetry
from landscape_audit.statistics import Mean, weighted_mean, wilson

OF_LANGUAGE = ("causal_lm", "masked_lm")
"""Losses that are the cross-entropy of a token."""
NEVER_NEGATIVE = {*OF_LANGUAGE, "cross_entropy", "bce_with_logits", "mse", "l1", "huber", "smooth_l1"}
"""Losses that no example can bring below zero."""


@check(
    "loss",
    CheckpointLoss(),
    AuditFacts(),
    version=1,
    title="Loss and metric",
    question="What are the loss and the metric on the audited sample?",
    source="Wilson 1927 (interval of a proportion); Hall 1992 (interval of a skewed mean)",
)
def loss(sample: LossSample, facts: Facts) -> Measured:
    """The mean loss, Σ sums / Σ weights over the batches, and the metric that belongs to it.

    The interval of the loss is Student's, from the examples where the loss gives one value an example and from the
    batches where it does not; on the side of a long tail it is Hall's where that goes further, and it ends at zero
    where no example's loss can be less. That of a metric that is a proportion is Wilson's. Both speak of other samples
    of the same distribution. `perplexity` is exp of the loss, for language models.
    """
    evaluation = sample.evaluation
    value = evaluation.loss
    spreading = (
        weighted_mean(sample.examples, sample.example_weights)
        if sample.examples
        else weighted_mean(evaluation.means(), evaluation.weights)
    )
    part = reaching("sampling", value, _reach(sample, spreading, facts.level), spreading.folded)
    estimates = {
        "value": Estimate.within(value, (part,), level=facts.level, unit="loss", direction="lower", n=spreading.n)
    }
    if evaluation.metric is not None and sample.metric_weight:
        estimates["metric"] = proportion(evaluation.metric, sample.metric_weight, facts.level, sample.by_example.metric)
    if sample.loss_name in OF_LANGUAGE:
        estimates["perplexity"] = _perplexity(estimates["value"], facts.level)
    return Measured(estimates=estimates, caveats=tuple(_caveats(sample, spreading)))


def _reach(sample: LossSample, spreading: Mean, level: float) -> tuple[float, float]:
    below, above = spreading.reach(level)
    seen = sample.examples or sample.evaluation.means()
    bounded = sample.loss_name in NEVER_NEGATIVE and min(seen, default=-1.0) >= 0
    return (min(below, sample.evaluation.loss) if bounded and math.isfinite(below) else below), above


def _perplexity(loss: Estimate, level: float) -> Estimate:
    """exp of the loss; its interval is that of the loss, carried through; its pieces are, to first order."""
    value, low, high = (None if end is None else _exp(end) for end in (loss.value, loss.low, loss.high))
    if value is None:
        return loss
    pieces = tuple(value * (1 + piece - (loss.value or 0.0)) for part in loss.parts for piece in part.pieces)
    part = IntervalPart(kind="sampling", low=low, high=None if high == math.inf else high, pieces=about(value, pieces))
    return Estimate.within(value, (part,), level=level, unit="perplexity", direction="lower", n=loss.n)


def _exp(value: float) -> float:
    return math.exp(value) if value < math.log(sys.float_info.max) else math.inf


def _caveats(sample: LossSample, spreading: Mean) -> Iterator[str]:
    if abs(asymmetry(spreading.pieces)) > LARGE:
        yield (
            "Few examples carry most of the loss, as on data that is nearly learnt: even the interval made longer for "
            "that may miss what other examples would give more often than its level says."
        )
    if not sample.examples:
        yield "The loss gives no value an example; its interval is from batches."
    elif (sample.metric_weight or 0) > len(sample.examples):
        yield "The metric's interval takes the positions of an example for independent; it is wider if they are not."


def proportion(share: float, n: float, level: float, by_example: Mean | None = None) -> Estimate:
    """A share of `n` examples with Wilson's interval: what other samples of this size would give."""
    low, high = wilson(share, n, level)
    pieces = about(share, by_example.folded) if by_example else ()
    part = IntervalPart(kind="sampling", low=low, high=high, pieces=pieces, grain=1 / n)
    return Estimate.within(share, (part,), level=level, unit="share", direction="higher", n=int(n))
