"""Would a flatter minimum have been to be had from here, and at what price?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT
from landscape_audit.detail import Axis, Bar, Bars, Column, Mark, Panel, Panels, Table
from landscape_audit.estimate import Direction, Estimate, IntervalKind, IntervalPart, Label, finite_or_none, spread
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.kept_twins import SeedFound, TwinFound
from landscape_audit.probes.sam_twins import BASE, SIGMA, Refused, SamTwins, Twins, stops
from landscape_audit.results import Measured, NotApplicable
from landscape_audit.statistics import weighted_mean, wilson
from landscape_audit.text import count, number

Measure = Callable[[TwinFound], float]
_MEASURES = {"lambda_max_ratio": "λ_max", "rise_ratio": "the mean rise", "one_step_ratio": "the one-step rise"}
_NAMES = {BASE: "base", "sam": "SAM", "asam": "ASAM"}
_WORDS = {
    "loss_difference": "loss, difference",
    "metric_difference": "metric, difference",
    "lambda_max_ratio": "λ_max, ratio",
    "rise_ratio": "mean rise, ratio",
    "one_step_ratio": "one-step rise, ratio",
}
_MOST_LOG = 300.0
"""Half-widths of a logarithm beyond which a factor says nothing, and soon overflows."""


@check(
    "sam",
    SamTwins(),
    AuditFacts(),
    version=1,
    title="Twins trained on with SAM",
    question="Does training on with SAM or ASAM find a flatter or a better minimum than as many gradients without?",
    source="Foret et al. 2021 (SAM); Kwon et al. 2021 (ASAM); Newcombe 1998 (difference of proportions)",
)
def sam(twins: Twins | Refused, facts: Facts) -> Measured | NotApplicable:
    """Twins trained on from the checkpoint: the base optimiser against SAM and ASAM. Opt-in: `[checks.sam]`.

    Twins of one seed start at the checkpoint and see the same batches in the same order with the same dropout, at one
    constant rate. The base twin takes `steps` gradients; SAM pays two a step, so it takes half of the steps for as
    many gradients (`equal gradients`, which every estimate is of), or as many steps for twice the gradients (`equal
    steps`, in the tables beside). All are measured on the audited sample in evaluation mode with the same random
    numbers: loss, metric, λ_max (at most 20 Lanczos products), the mean rise of the loss at σ = 0.1 as `flatness`
    defines it, and the one-step rise L(θ + ρ g/|g|) − L(θ) at ρ = 0.05.

    `loss_difference` and `metric_difference` are SAM minus base; `lambda_max_ratio`, `rise_ratio` and `one_step_ratio`
    are SAM over base, averaged as logarithms. Each is paired by seed. The interval adds Student's over the seeds
    (`probe`: other orders of the batches); for loss and metric what other examples would give (`sampling`: Student over
    the audited batches; for a proportion Newcombe's, as if of separate samples, which is wide); and for λ_max what
    Lanczos leaves open (`residual`). The ratios are of the audited sample and do not speak of others. The same with
    `asam_` in front for ASAM. `flatter` is a word for the three ratios: `flatter` or `sharper` where all intervals lie
    on one side of 1, `mixed` where they lie on both, `undecided` else.

    The ascent is on each batch by itself, so the batch size is a setting of SAM (m-sharpness). Batch normalisation
    keeps the statistics of SAM's first pass. It is an answer for this rate, radius and number of steps, not for
    training from scratch; sharpness correlates weakly with generalisation (Andriushchenko et al. 2023).
    """
    if isinstance(twins, Refused):
        return NotApplicable(reason=twins.reason)
    pairs = [
        Pairs(twins, variant, steps, facts.level)
        for variant in twins.spec.variants
        for steps in stops(twins.spec, variant)
    ]
    equal = [pair for pair in pairs if pair.at_equal_gradients]
    estimates = {
        f"{'' if pair.variant == 'sam' else pair.variant + '_'}{name}": found
        for pair in equal
        for name, found in pair.estimates().items()
    }
    labels = {f"{'' if pair.variant == 'sam' else pair.variant + '_'}flatter": pair.flatter() for pair in equal}
    details = (_ratios(equal), _side_by_side(twins, equal), _differences(pairs), _twins_table(twins))
    return Measured(estimates=estimates, labels=labels, details=details, caveats=tuple(_caveats(twins)))


@dataclass(frozen=True)
class Pairs:
    """One variant after so many steps against the base twins, seed by seed."""

    twins: Twins
    variant: str
    steps: int
    level: float

    @property
    def title(self) -> str:
        """`SAM` or `ASAM`."""
        return _NAMES[self.variant]

    @property
    def at_equal_gradients(self) -> bool:
        """Or else at equal steps."""
        return self.steps < self.twins.spec.steps

    @property
    def accounting(self) -> str:
        """What both twins had the same number of."""
        return "gradients" if self.at_equal_gradients else "steps"

    @property
    def both(self) -> list[tuple[TwinFound, TwinFound]]:
        """(base, variant) of every seed."""
        full = self.twins.spec.steps
        return [(seed.twin("base", full), seed.twin(self.variant, self.steps)) for seed in self.twins.seeds]

    def estimates(self) -> dict[str, Estimate]:
        """Every paired difference by its name."""
        found = {"loss_difference": self._difference(lambda twin: twin.loss, self._by_batch, "lower", "loss")}
        if all(twin.metric is not None for pair in self.both for twin in pair):
            found["metric_difference"] = self._difference(_metric, self._by_proportion, "higher", "share")
        return found | self.ratios()

    def ratios(self) -> dict[str, Estimate]:
        """How much sharper or flatter, by each measure."""
        return {
            "lambda_max_ratio": self._ratio(lambda twin: twin.lambda_max, lambda twin: twin.residual),
            "rise_ratio": self._ratio(lambda twin: twin.rise),
            "one_step_ratio": self._ratio(lambda twin: twin.one_step),
        }

    def flatter(self) -> Label:
        """The three ratios in a word, and each of them in the reason."""
        told: dict[str, list[str]] = {"flatter": [], "sharper": [], "not settled": []}
        for name, found in self.ratios().items():
            below, above = found.high is not None and found.high < 1, found.low is not None and found.low > 1
            told["flatter" if below else "sharper" if above else "not settled"].append(_MEASURES[name])
        value = "mixed" if told["flatter"] and told["sharper"] else "undecided"
        value = next((word for word in ("flatter", "sharper") if len(told[word]) == len(_MEASURES)), value)
        words = "; ".join(f"{word} by {', '.join(names)}" for word, names in told.items() if names)
        return Label(value=value, reason=f"At equal gradients the {self.title} twin is {words}.")

    def _difference(
        self, measure: Measure, sampling: Callable[[], IntervalPart], direction: Direction, unit: str
    ) -> Estimate:
        values = [measure(b) - measure(a) for a, b in self.both]
        if not all(map(math.isfinite, values)):
            return Estimate.exact(math.nan, unit=unit, direction=direction, n=len(values))
        mean = weighted_mean(values, [1.0] * len(values))
        parts = (spread("probe", mean.value, mean.half_width(self.level)), sampling())
        return Estimate.within(mean.value, parts, level=self.level, unit=unit, direction=direction, n=len(values))

    def _by_proportion(self) -> IntervalPart:
        """What other examples would make of the difference of two proportions, as if they were of separate samples.

        Both are of one sample, which agrees more: so this is wider than it need be, and never empty.
        """
        n = sum(self.twins.start.weights)
        p, q = (sum(_metric(pair[side]) for pair in self.both) / len(self.both) for side in (0, 1))
        (p_low, p_high), (q_low, q_high) = (wilson(share, n, self.level) for share in (p, q))
        below, above = math.hypot(q - q_low, p_high - p), math.hypot(q_high - q, p - p_low)
        return IntervalPart(kind="sampling", low=q - p - below, high=q - p + above)

    def _by_batch(self) -> IntervalPart:
        """What other examples would make of the mean difference of the losses: Student over the audited batches."""
        both = self.both
        rows = [[b - a for a, b in zip(base.means, other.means, strict=True)] for base, other in both]
        mean = weighted_mean([sum(column) / len(rows) for column in zip(*rows, strict=True)], both[0][0].weights)
        return spread("sampling", mean.value, mean.half_width(self.level))

    def _ratio(self, measure: Measure, error: Measure = lambda _: 0.0) -> Estimate:
        """The geometric mean of the ratios, its uncertainties added as logarithms; no number where one has none."""
        n = len(self.both)
        if not all(0 < measure(twin) < math.inf for pair in self.both for twin in pair):
            return Estimate.exact(math.nan, unit="ratio", direction="lower", n=n)
        logs = weighted_mean([math.log(measure(b) / measure(a)) for a, b in self.both], [1.0] * n)
        left = sum(_log_error(measure(twin), error(twin)) for pair in self.both for twin in pair) / n
        half, value = logs.half_width(self.level), math.exp(logs.value)
        seeds, whole = _factor("probe", logs.value, half), _factor("residual", logs.value, half + left)
        parts = (seeds, _beyond(value, seeds, whole)) if left else (seeds,)
        return Estimate.within(value, parts, level=self.level, unit="ratio", direction="lower", n=n)


def _metric(twin: TwinFound) -> float:
    return math.nan if twin.metric is None else twin.metric


def _log_error(value: float, error: float) -> float:
    """How far the logarithm of a number may be off whose own error is this; no bound where zero is within reach."""
    return -math.log(1 - error / value) if error < value else math.inf


def _factor(kind: IntervalKind, log: float, half: float) -> IntervalPart:
    if not half < _MOST_LOG:
        return IntervalPart(kind=kind, low=None, high=None)
    return IntervalPart(kind=kind, low=math.exp(log - half), high=math.exp(log + half))


def _beyond(value: float, inner: IntervalPart, whole: IntervalPart) -> IntervalPart:
    """What the whole interval has beyond an inner one, as a part of its own: factors multiply, and parts are added."""
    low = None if whole.low is None or inner.low is None else value - (inner.low - whole.low)
    high = None if whole.high is None or inner.high is None else value + (whole.high - inner.high)
    return IntervalPart(kind=whole.kind, low=low, high=high)


# ------------------------------------------------------------------------------------------------------------ figures


def _ratios(equal: Sequence[Pairs]) -> Bars:
    """What is flatter and what is not, by each measure, with its interval around 1."""
    found = [(pair, name, ratio) for pair in equal for name, ratio in pair.ratios().items()]
    by_measure = sorted(found, key=lambda each: list(_MEASURES).index(each[1]))
    return Bars(
        name="ratios",
        title="Flatter or sharper than without",
        finding=_below_and_above([ratio for _, _, ratio in found]),
        expected="intervals that hold 1; below it, a flatter one is to be had",
        axis=Axis(label="Twin over base twin, at equal gradients", unit="ratio", scale="log"),
        bars=tuple(
            Bar(
                label=f"{_MEASURES[name].removeprefix('the ')}, {pair.title}",
                value=ratio.value,
                low=ratio.low,
                high=ratio.high,
                group=pair.title,
            )
            for pair, name, ratio in by_measure
        ),
        reference=1.0,
    )


def _below_and_above(ratios: Sequence[Estimate]) -> str:
    below = sum(ratio.high is not None and ratio.high < 1 for ratio in ratios)
    above = sum(ratio.low is not None and ratio.low > 1 for ratio in ratios)
    told = f"{below or 'none'} below 1, {above or 'none'} above it"
    return f"With the whole interval, of {count(len(ratios), 'ratio')}: {told}."


def _side_by_side(twins: Twins, equal: Sequence[Pairs]) -> Panels:
    """Every measure of every twin, seed by seed, with the checkpoint that they started from."""
    rows = [[a for a, _ in equal[0].both], *([b for _, b in pair.both] for pair in equal)]
    measures: list[tuple[str, str, Measure]] = [
        ("Loss", "loss", lambda twin: twin.loss),
        ("λ_max", UNIT, lambda twin: twin.lambda_max),
        (f"Rise at σ = {SIGMA:g}", "loss", lambda twin: twin.rise),
        ("One-step rise", "loss", lambda twin: twin.one_step),
    ]
    if twins.start.metric is not None:
        measures.insert(1, ("Metric", "share", _metric))
    return Panels(
        name="side_by_side",
        title="The twins side by side",
        finding=f"After as many gradients, {count(len(twins.seeds), 'seed')}: {_best(rows, equal)}",
        expected="all twins near the checkpoint",
        groups=(BASE, *(pair.title for pair in equal)),
        repeat="seed",
        panels=tuple(
            Panel(
                axis=Axis(label=label, unit=unit),
                values=tuple(tuple(finite_or_none(measure(twin)) for twin in row) for row in rows),
                mark=Mark(label="checkpoint", y=finite_or_none(measure(twins.start))),
            )
            for label, unit, measure in measures
        ),
    )


def _best(rows: Sequence[Sequence[TwinFound]], equal: Sequence[Pairs]) -> str:
    """The mean loss of each."""
    names = (BASE, *(pair.title for pair in equal))
    means = [number(finite_or_none(sum(twin.loss for twin in row) / len(row)), 3) for row in rows]
    return "the mean loss is " + ", ".join(f"{mean} ({name})" for name, mean in zip(names, means, strict=True)) + "."


# ------------------------------------------------------------------------------------------------------------- tables


def _differences(pairs: Sequence[Pairs]) -> Table:
    rows = [
        (pair.title, pair.accounting, _WORDS[name], found.value, found.low, found.high)
        for pair in pairs
        for name, found in pair.estimates().items()
    ]
    return Table(
        name="differences",
        title="Against the base twin, in both accountings",
        finding="At equal steps SAM has had twice the gradients of the base twin.",
        expected="ratios below 1: flatter than the base twin; an interval that holds 1 settles nothing",
        columns=(
            Column(name="variant", title="Variant"),
            Column(name="accounting", title="At equal"),
            Column(name="measure", title="Measure"),
            Column(name="value", title="Value"),
            Column(name="low", title="Low"),
            Column(name="high", title="High"),
        ),
        rows=tuple(rows),
    )


def _twins_table(twins: Twins) -> Table:
    spec = twins.spec
    rows = [
        (
            seed,
            twin.variant,
            twin.steps,
            twin.gradients * twins.gradient,
            *map(_cell, (twin.loss, twin.metric, twin.lambda_max, twin.residual, twin.rise, twin.one_step)),
        )
        for seed, found in [(None, (twins.start,)), *((i, each.twins) for i, each in enumerate(twins.seeds, start=1))]
        for twin in found
    ]
    base, half = spec.steps * twins.gradient, spec.steps // 2
    momentum = f", momentum {spec.momentum:g}" if spec.optimiser == "sgd" else ""
    return Table(
        name="twins",
        title="The checkpoint and every twin",
        finding=f"{count(len(twins.seeds), 'seed')}, {spec.optimiser} at rate {twins.rate:g}{momentum}, weight decay "
        f"{spec.weight_decay:g}, {count(twins.batch_size, 'example')} a step. The base twin takes {spec.steps} steps, "
        f"{number(base)} gradients of the audited sample; SAM as many in {half} steps, twice as many in {spec.steps}.",
        expected="twins of one variant close to each other; far from the start, it was not trained to its end",
        columns=(
            Column(name="seed", title="Seed"),
            Column(name="variant", title="Twin"),
            Column(name="steps", title="Steps"),
            Column(name="gradients", title="Cost", unit="gradients of the audited sample"),
            Column(name="loss", title="Loss"),
            Column(name="metric", title="Metric"),
            Column(name="lambda_max", title="λ_max"),
            Column(name="residual", title="Residual"),
            Column(name="rise", title=f"Rise at σ = {SIGMA:g}"),
            Column(name="one_step", title="One-step rise"),
        ),
        rows=tuple(rows),
    )


def _cell(value: float | None) -> float | None:
    return None if value is None else finite_or_none(value)


def _caveats(twins: Twins) -> list[str]:
    asked, done = twins.spec.seeds, len(twins.seeds)
    caveats = [
        f"The {_NAMES[twin.variant]} twin of seed {i} diverged within {twin.steps} steps, so what rests on it is no "
        f"number: lower  [checks.sam] {_to_lower(seed, twin)}."
        for i, seed in enumerate(twins.seeds, start=1)
        for twin in seed.twins
        if not math.isfinite(twin.loss)
    ]
    if done < asked:
        caveats.append(f"{done} of {asked} seeds were finished, so the intervals are wider than asked for.")
    if twins.saved:
        caveats.append(f"Saved {twins.saved}. It was chosen by its loss on the audited sample: judge it on other data.")
    return caveats


def _to_lower(seed: SeedFound, twin: TwinFound) -> str:
    """The rate, and the radius where the ascent alone made the difference."""
    base = next(each for each in seed.twins if each.variant == BASE)
    if not math.isfinite(base.loss):
        return "lr"
    return "adaptive_rho or lr" if twin.variant == "asam" else "rho or lr"
