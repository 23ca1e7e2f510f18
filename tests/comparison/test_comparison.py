"""Changes between two audits cover as often as they say, and are as narrow as what both share allows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from landscape_audit.checks.loss import proportion
from landscape_audit.comparison.comparison import absolute_change, is_paired, relative_change
from landscape_audit.confidence import LOOKS, Judging, as_judged, over_looks, with_bounds
from landscape_audit.estimate import Estimate, IntervalPart, spread
from landscape_audit.statistics import weighted_mean

SAMPLING = ("sampling",)
REPEATS = 2000
ERROR = 3 * math.sqrt(0.05 * 0.95 / REPEATS)
"""Three standard errors of a share of 95 % over so many repeats."""


def sampled(values, *more, kind="sampling", level=0.95):
    mean = weighted_mean(values, [1.0] * len(values))
    parts = (spread(kind, mean.value, mean.half_width(level), mean.folded), *more)
    return Estimate.within(mean.value, parts, level=level, direction="lower", n=len(values))


def correlated(n, rho, means=(3.0, 2.0), seed=0, repeats=REPEATS):
    cov = [[1, rho], [rho, 1]]
    return np.random.default_rng(seed).multivariate_normal(means, cov, size=(repeats, n)).transpose(0, 2, 1)


@pytest.mark.parametrize("n", [8, 16, 32])
@pytest.mark.parametrize(("change", "truth"), [(absolute_change, 1.0), (relative_change, 0.5)])
def test_a_paired_change_covers_as_often_as_it_says(n, change, truth):
    found = [change(sampled(a), sampled(b), SAMPLING) for a, b in correlated(n, 0.9)]
    covered = sum((each.low or -math.inf) <= truth <= (math.inf if each.high is None else each.high) for each in found)
    assert covered / REPEATS == pytest.approx(0.95, abs=ERROR)


@pytest.mark.parametrize("n", [8, 16, 32])
def test_pairing_narrows_a_change_by_what_the_two_have_in_common(n):
    rho, widths = 0.96, {(): 0.0, SAMPLING: 0.0}
    for a, b in correlated(n, rho, repeats=300):
        for paired in widths:
            found = absolute_change(sampled(a), sampled(b), paired)
            widths[paired] += found.high - found.low
    # Student over differences of variance 2 (1 − ρ) against two whole intervals.
    assert widths[SAMPLING] / widths[()] == pytest.approx(math.sqrt((1 - rho) / 2), rel=0.05)


def test_fieller_is_the_delta_method_where_the_baseline_is_known_well():
    a, b = correlated(64, 0.8, means=(300.0, 200.0))[0]
    found = relative_change(sampled(a), sampled(b), SAMPLING)
    ratio = a.mean() / b.mean()
    delta = weighted_mean((a - ratio * b) / b.mean(), [1.0] * 64).half_width(0.95)
    assert (found.high - found.low) / 2 == pytest.approx(delta, rel=1e-3)
    assert found.value == pytest.approx(ratio - 1)


def test_a_share_of_what_may_be_zero_has_no_bounds():
    a, b = correlated(8, 0.5, means=(3.0, 0.1))[0]
    found = relative_change(sampled(a), sampled(b), SAMPLING)
    assert (found.low, found.high) == (None, None)


def test_a_share_of_a_negative_number_rises_with_the_number():
    a, b = correlated(16, 0.99, means=(-1.0, -2.0))[0]
    found = relative_change(sampled(a * 0.01 - 1), sampled(b * 0.01 - 2), SAMPLING)
    assert 0.4 < found.low < found.value < found.high < 0.6


def test_ragged_batches_pair_as_the_ratio_estimates_they_are():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(500):
        sizes = generator.integers(5, 20, size=16)
        examples = [generator.multivariate_normal([1.5, 1], [[1, 0.9], [0.9, 1]], size) for size in sizes]
        means = np.array([each.mean(0) for each in examples])
        found = [weighted_mean(means[:, side], sizes) for side in (0, 1)]
        a, b = (
            Estimate.within(m.value, (spread("sampling", m.value, m.half_width(0.95), m.folded),), level=0.95)
            for m in found
        )
        change = absolute_change(a, b, SAMPLING)
        covered += change.low <= 0.5 <= change.high
    assert 0.92 <= covered / 500 <= 0.97


def test_what_is_no_sampling_adds_to_a_paired_change():
    a, b = correlated(16, 0.999)[0]
    alone = absolute_change(sampled(a), sampled(b), SAMPLING)
    solver = IntervalPart(kind="residual", low=a.mean(), high=a.mean() + 0.5)
    found = absolute_change(sampled(a, solver), sampled(b), SAMPLING)
    assert found.low == pytest.approx(alone.low)
    assert found.high == pytest.approx(alone.high + 0.5)
    open_above = absolute_change(sampled(a, IntervalPart(kind="bound", low=a.mean(), high=None)), sampled(b), SAMPLING)
    assert open_above.low == pytest.approx(alone.low)
    assert open_above.high is None
    there = sampled(2 + 1e-6 * b)  # known so well that the change is one of the number alone
    narrow, wider = (relative_change(each, there, SAMPLING) for each in (sampled(a), sampled(a, solver)))
    assert wider.low == pytest.approx(narrow.low)
    assert wider.high - narrow.high == pytest.approx(0.5 / 2, rel=1e-3)


def test_two_proportions_without_one_example_that_differs_may_differ_by_what_was_not_seen():
    right = IntervalPart(kind="sampling", low=0.99, high=1.0, pieces=(1.0,) * 16, grain=1 / 400)
    metric = Estimate.within(1.0, (right,), level=0.95, direction="higher", n=400)
    found = absolute_change(metric, metric, SAMPLING)
    assert found.value == 0.0
    assert 1.9 / 400 < found.high == -found.low < 2.2 / 400


@pytest.mark.parametrize("discordant", [(0.002, 0.002), (0.01, 0.002), (0.05, 0.02)])
def test_the_change_of_a_proportion_covers_as_often_as_it_says(discordant):
    generator, n, covered = np.random.default_rng(2), 450, 0
    lost, won = discordant
    for _ in range(1000):
        outcome = generator.choice(4, size=n, p=[lost, won, 0.9 - lost, 0.1 - won])
        here, there = np.isin(outcome, (1, 2)) * 1.0, np.isin(outcome, (0, 2)) * 1.0
        found = [proportion(each.mean(), n, 0.95, weighted_mean(each, np.ones(n))) for each in (here, there)]
        change = absolute_change(*found, SAMPLING)
        covered += change.low <= won - lost <= change.high
    assert covered / 1000 >= 0.93  # 95 % less three standard errors


def test_batches_pair_in_full_and_draws_as_far_as_both_have_them():
    a, b = correlated(16, 0.95)[0]
    assert not is_paired(sampled(a), sampled(b[:12]), SAMPLING)
    assert not is_paired(sampled(a), sampled(b), ("probe",))
    assert is_paired(sampled(a, kind="probe"), sampled(b[:12], kind="probe"), ("probe",))


def test_draws_that_one_audit_alone_has_are_no_reason_for_a_wrong_interval():
    covered, narrower = 0, 0
    for a, b in correlated(16, 0.95):
        here, there = sampled(a, kind="probe"), sampled(b[:10], kind="probe")
        found, apart = (absolute_change(here, there, paired) for paired in (("probe",), ()))
        covered += found.low <= 1.0 <= found.high
        narrower += found.high - found.low < apart.high - apart.low
    assert covered / REPEATS >= 0.95 - ERROR
    assert narrower / REPEATS > 0.99


@pytest.mark.parametrize("there", [5e-324, 1e-200, 1e200, -1e-9])
@pytest.mark.parametrize("here", [5e-324, 1.0, 1e200])
def test_no_two_numbers_are_too_large_or_small_to_be_compared(here, there):
    parts = [spread("sampling", value, 0.1 * abs(value), (0.9 * value, value, 1.1 * value)) for value in (here, there)]
    found = [Estimate.within(value, (part,), level=0.95) for value, part in zip((here, there), parts, strict=True)]
    for change in (absolute_change, relative_change):
        assert change(*found, SAMPLING).unit == change(*found).unit


def test_a_number_without_a_square_whose_pieces_have_one_bounds_no_change():
    part = IntervalPart(kind="sampling", low=1e308, high=1e308, pieces=(0.9, 1.0, 1.1))
    odd = Estimate.within(1e308, (part,), level=0.95)
    change = relative_change(odd, odd, SAMPLING)
    assert (change.low, change.high) == (None, None)


def test_a_number_carried_through_a_curve_pairs_as_well_as_before():
    a, b = correlated(16, 0.9999, means=(0.02, 0.0))[0]
    whole, bent = [sampled(x) for x in (a, b)], []
    for estimate in whole:
        (part,) = estimate.parts
        value = math.exp(estimate.value)
        pieces = tuple(value * (1 + piece - estimate.value) for piece in part.pieces)
        curved = IntervalPart(kind="sampling", low=math.exp(part.low), high=math.exp(part.high), pieces=pieces)
        bent.append(Estimate.within(value, (curved,), level=0.95))
    straight, carried = absolute_change(*whole, SAMPLING), relative_change(*bent, SAMPLING)
    assert carried.high - carried.low == pytest.approx(straight.high - straight.low, rel=0.3)


def test_a_floor_under_a_part_stays_under_the_change():
    a, b = correlated(16, 0.9999)[0]
    floored = []
    for estimate in (sampled(a), sampled(b)):
        (part,) = estimate.parts
        wide = part.model_copy(update={"low": part.low - 0.2, "high": part.high + 0.2})
        floored.append(Estimate.within(estimate.value, (wide,), level=0.95))
    narrow, found = absolute_change(sampled(a), sampled(b), SAMPLING), absolute_change(*floored, SAMPLING)
    assert found.high - narrow.high == pytest.approx(0.4)
    assert narrow.low - found.low == pytest.approx(0.4)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99, 0.9999])
@pytest.mark.parametrize("kind", ["sampling", "probe"])
@pytest.mark.parametrize("looks", [1, LOOKS])
def test_a_change_is_as_sure_as_its_gate_asks_and_what_can_be_bought_shares_the_error_of_its_looks(
    confidence, kind, looks
):
    a, b = correlated(16, 0.9)[0]
    found = absolute_change(sampled(a, kind=kind), sampled(b, kind=kind), (kind,), Judging(confidence, looks))
    level = 1 - (1 - confidence) / 3 if looks > 1 and kind == "probe" else confidence
    half = stats.t.ppf((1 + level) / 2, 15) * stats.sem(a - b)
    assert (found.high - found.value, found.value - found.low) == (pytest.approx(half), pytest.approx(half))
    assert found.level == confidence


@pytest.mark.parametrize("looks", [1, LOOKS])
@pytest.mark.parametrize("kind", ["sampling", "probe"])
def test_a_number_beside_one_that_is_known_is_judged_as_it_is_by_itself(kind, looks):
    a = correlated(16, 0.9)[0][0]
    levels = (0.99, over_looks(0.99))
    here = with_bounds(sampled(a, kind=kind), {each: sampled(a, kind=kind, level=each) for each in levels}, levels)
    how = Judging(0.99, looks)
    alone, change = as_judged(here, how), absolute_change(here, sampled(np.full(16, 2.0), kind=kind), (kind,), how)
    assert (change.low, change.high) == (pytest.approx(alone.low - 2), pytest.approx(alone.high - 2))


@pytest.mark.parametrize("change", [absolute_change, relative_change])
def test_a_surer_change_is_never_narrower_and_none_is_narrower_than_rounding(change):
    a, b = correlated(16, 0.9)[0]
    rounding = [spread("rounding", mean, 0.01) for mean in (a.mean(), b.mean())]
    here, there = (sampled(each, part) for each, part in zip((a, b), rounding, strict=True))
    found = [change(here, there, SAMPLING, Judging(each)) for each in (1e-6, 0.5, 0.8, 0.95, 0.99, 0.9999)]
    assert [each.low for each in found] == sorted((each.low for each in found), reverse=True)
    assert [each.high for each in found] == sorted(each.high for each in found)
    least = 0.02 if change is absolute_change else 0.01 / b.mean() + a.mean() / b.mean() ** 2 * 0.01
    assert found[0].high - found[0].value > 0.99 * least
    assert found[0].value - found[0].low > 0.98 * least
