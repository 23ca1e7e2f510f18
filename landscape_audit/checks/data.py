"""Is it the data, before it is the network or its landscape?"""

from __future__ import annotations

from collections.abc import Iterator

from landscape_audit.checks.check import check
from landscape_audit.detail import Axis, Bar, Bars, Column, Detail, Table
from landscape_audit.estimate import Direction, Estimate, Label, finite_or_none, reaching
from landscape_audit.probes.constant import ConstantPrediction, ConstantSample
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.inputs import AuditedInputs, InputSample
from landscape_audit.probes.losses import CheckpointLoss, LossSample
from landscape_audit.results import Measured
from landscape_audit.statistics import Mean, ratio, weighted_mean
from landscape_audit.text import count, number

MOST_BARS = 40
"""Classes that a figure can name."""

Branch = tuple[str, bool, str]
"""A word, whether it holds, and the sentence that says so."""


@check(
    "data",
    AuditedInputs(),
    ConstantPrediction(),
    CheckpointLoss(),
    AuditFacts(),
    version=1,
    title="Data",
    question="Is it the data: empty, repeated, contradictory, or not learnt at all?",
    source="Cochran 1977 (ratio estimates)",
)
def data(inputs: InputSample, constant: ConstantSample | None, loss: LossSample, facts: Facts) -> Measured:
    """What the sample alone explains, before the architecture or the geometry is blamed. Costs no gradient.

    Exact shares of this sample, inputs compared bit for bit in the audit's dtype. `duplicates`: examples whose input
    was there before. `contradictions`: examples whose input is also there with another target. `constant_examples`:
    examples that are one value throughout. `constant_inputs`: features (the numbers of an example, by position) that
    are the same in all examples. `nonfinite_inputs`: numbers that are not finite.

    `label_cover` is the share of the model's classes that occur; of independent outputs, the share of those that
    occur both ways. `rarest_label` and `commonest_label` are shares of the targets that count; of independent outputs,
    the least and the greatest share of positives.

    `loss_over_constant` compares the loss with the best prediction that ignores its input: class frequencies, shares
    of positives, or the mean value, one for each output and shared by all positions. `gain_over_constant` is that
    loss minus the checkpoint's. `loss_over_chance` compares with equal probabilities. All three have Student's
    interval from the examples, the first two in pairs. The constant was fitted to this very sample, which flatters it:
    of C classes and N targets by about (C − 1) / 2N.

    `reason` is the first that holds, where m is the materiality: non-finite inputs; constant inputs (all the same, or
    one value throughout in m of the examples); single label; contradictory labels (m of the examples); no better than
    a constant (the interval of the gain reaches down to m of the constant's loss); duplicate inputs (m of the
    examples); none.
    """
    estimates = {name: _exact(share, inputs.examples) for name, share in _shares(inputs).items()}
    caveats = [] if inputs.features else ["Examples differ in shape: no feature can be followed through the sample."]
    details: list[Detail] = []
    gain = None
    if constant is None:
        caveats.append(f"The best constant under {loss.loss_name} is not known: the loss is compared with none.")
    else:
        gain = _gain(constant, loss)
        estimates |= _cover(constant, inputs.examples) | _against(constant, loss, gain, facts.level)
        details += _pictures(constant, loss)
        caveats += _missing(constant)
    if inputs.distinct < inputs.examples:
        caveats.append("Duplicates are not independent: every interval from examples is too narrow.")
    return Measured(
        estimates=estimates,
        labels={"reason": reason_of(inputs, constant, loss, facts)},
        details=tuple(details),
        caveats=tuple(caveats),
    )


def _exact(share: float, n: int) -> Estimate:
    return Estimate.exact(share, unit="share", direction="lower", n=n)


def _shares(inputs: InputSample) -> dict[str, float]:
    found = {
        "duplicates": 1 - inputs.distinct / inputs.examples,
        "contradictions": inputs.contradictory / inputs.examples,
        "constant_examples": inputs.blank / inputs.examples,
        "nonfinite_inputs": inputs.nonfinite / inputs.numbers if inputs.numbers else 0.0,
    }
    return found | ({"constant_inputs": inputs.constant_features / inputs.features} if inputs.features else {})


def _gain(constant: ConstantSample, loss: LossSample) -> Mean:
    pairs = zip(constant.examples, loss.examples, strict=True)
    return weighted_mean([there - here for there, here in pairs], loss.example_weights)


def _against(constant: ConstantSample, loss: LossSample, gain: Mean, level: float) -> dict[str, Estimate]:
    own = weighted_mean(loss.examples, loss.example_weights)
    found = {
        "loss_over_constant": _sampled(
            ratio(loss.examples, constant.examples, loss.example_weights), level, direction="lower"
        ),
        "gain_over_constant": _sampled(gain, level, unit="loss", direction="higher"),
    }
    if constant.chance:
        pieces = tuple(piece / constant.chance for piece in own.pieces)
        relative = Mean(own.value / constant.chance, own.error / constant.chance, own.n, pieces)
        found["loss_over_chance"] = _sampled(relative, level, direction="lower")
    return found


def _sampled(mean: Mean, level: float, *, unit: str = "", direction: Direction) -> Estimate:
    part = reaching("sampling", mean.value, mean.reach(level), mean.folded)
    return Estimate.within(mean.value, (part,), level=level, unit=unit, direction=direction, n=mean.n)


def _cover(constant: ConstantSample, n: int) -> dict[str, Estimate]:
    if constant.kind == "values":
        return {}
    covered = len(constant.shares) - len(_absent(constant))
    return {
        "label_cover": Estimate.exact(covered / len(constant.shares), unit="share", direction="higher", n=n),
        "rarest_label": Estimate.exact(min(constant.shares), unit="share", n=n),
        "commonest_label": Estimate.exact(max(constant.shares), unit="share", n=n),
    }


def _absent(constant: ConstantSample) -> list[int]:
    """The classes that do not occur; the independent outputs that occur one way only."""
    if constant.kind == "values":
        return []
    one_way = (0.0,) if constant.kind == "classes" else (0.0, 1.0)
    return [index for index, share in enumerate(constant.shares) if share in one_way]


def _missing(constant: ConstantSample) -> list[str]:
    absent = _absent(constant)
    if not absent:
        return []
    listed = ", ".join(map(str, absent[:10])) + (", …" if len(absent) > 10 else "")
    how = "never occur" if constant.kind == "classes" else "occur one way only"
    return [f"{len(absent):,} of {count(len(constant.shares), 'output')} {how} in this sample: {listed}."]


def reason_of(inputs: InputSample, constant: ConstantSample | None, loss: LossSample, facts: Facts) -> Label:
    """The first thing about the sample that explains where the checkpoint sits, by itself."""
    gain = None if constant is None else _gain(constant, loss)
    branches = (*_input_branches(inputs, facts), *_target_branches(inputs, constant, gain, facts))
    repeated = inputs.examples - inputs.distinct
    last = (
        ("duplicate inputs", _many(repeated, inputs, facts), f"{_of(repeated, inputs)} were there before."),
        ("none", True, "Nothing in the sample itself explains where the checkpoint sits."),
    )
    return next(Label(value=word, reason=reason) for word, holds, reason in (*branches, *last) if holds)


def _input_branches(inputs: InputSample, facts: Facts) -> tuple[Branch, ...]:
    still = inputs.distinct == 1 < inputs.examples
    return (
        ("non-finite inputs", inputs.nonfinite > 0, f"{count(inputs.nonfinite, 'number')} of the inputs not finite."),
        ("constant inputs", still, f"All {count(inputs.examples, 'example')} have one and the same input."),
        ("constant inputs", _many(inputs.blank, inputs, facts), f"{_of(inputs.blank, inputs)} are one value."),
    )


def _target_branches(
    inputs: InputSample, constant: ConstantSample | None, gain: Mean | None, facts: Facts
) -> Iterator[Branch]:
    if constant is not None:
        present = len(constant.shares) - len(_absent(constant))
        single = present <= 1 if constant.kind == "classes" else constant.kind == "binary" and not present
        yield "single label", single, "All targets that count are the same: there is nothing to tell apart."
    many = _many(inputs.contradictory, inputs, facts)
    yield "contradictory labels", many, f"{_of(inputs.contradictory, inputs)} have an input with other targets too."
    if constant is not None and gain is not None:
        low, high = gain.value - gain.half_width(facts.level), gain.value + gain.half_width(facts.level)
        unlearnt = not low > facts.materiality * constant.loss
        found = f"The best constant has a loss of {number(constant.loss)}. The checkpoint's gain on it is"
        yield "no better than a constant", unlearnt, f"{found} {number(low)} to {number(high)}."


def _many(some: int, inputs: InputSample, facts: Facts) -> bool:
    return some > 0 and some >= facts.materiality * inputs.examples


def _of(some: int, inputs: InputSample) -> str:
    return f"{some:,} of {count(inputs.examples, 'example')}"


def _pictures(constant: ConstantSample, loss: LossSample) -> tuple[Detail, ...]:
    table = _losses(constant, loss)
    bars = constant.kind != "values" and len(constant.shares) <= MOST_BARS
    return (table, _labels(constant)) if bars else (table,)


def _losses(constant: ConstantSample, loss: LossSample) -> Table:
    own = loss.evaluation.loss
    rows = [("the checkpoint", own), ("the best constant", constant.loss)]
    rows += [("equal probabilities", constant.chance)] if constant.chance is not None else []
    return Table(
        name="predictions",
        title="Against predictions that ignore their input",
        finding=f"The checkpoint's loss is {number(own)}, that of the best constant {number(constant.loss)}.",
        expected="the checkpoint far below both others",
        columns=(Column(name="prediction", title="Prediction"), Column(name="loss", title="Loss", unit="loss")),
        rows=tuple((name, finite_or_none(value)) for name, value in rows),
    )


def _labels(constant: ConstantSample) -> Bars:
    low, high = min(constant.shares), max(constant.shares)
    return Bars(
        name="labels",
        title="Shares of the classes" if constant.kind == "classes" else "Shares of positive targets",
        finding=f"The shares of the targets go from {number(low, 3)} to {number(high, 3)}.",
        axis=Axis(label="share of the targets", unit="share"),
        bars=tuple(Bar(label=str(index), value=share) for index, share in enumerate(constant.shares)),
    )
