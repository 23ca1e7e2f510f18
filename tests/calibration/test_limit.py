"""The false-alarm rate of a proposed limit is the one that was asked for, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from landscape_audit.calibration.limit import prediction_limit
from landscape_audit.calibration.record import Resampling

REPEATS, ALPHA = 2000, 0.05
ERROR = math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)
"""Of a rate over so many repeats."""
ENDLESS = Resampling(kind="redraw", unit="examples", n_samples=1)
BOOTSTRAP = Resampling(kind="bootstrap", unit="examples", n_samples=200)


def false_alarms(audits, following, side, resampling=ENDLESS):
    """How often the next far end is beyond the limit that the audits before it propose."""
    limits = [prediction_limit(list(row), resampling, side, ALPHA, digits=12).value for row in audits]
    return np.mean(following > limits if side == "at_most" else following < limits)


def noise(kind, cv, n, seed):
    """Far ends of n audits and of one more, `REPEATS` times."""
    normal = np.random.default_rng(seed).standard_normal((REPEATS, n + 1))
    ends = np.exp(cv * normal) if kind == "lognormal" else 1 + cv * normal
    return ends[:, :n], ends[:, n]


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize(
    ("kind", "cv", "side"),
    [
        ("normal", 0.02, "at_most"),
        ("lognormal", 0.02, "at_most"),
        ("lognormal", 0.6, "at_most"),
        ("normal", 0.02, "at_least"),
        ("normal", 0.2, "at_least"),
        ("lognormal", 0.02, "at_least"),
    ],
)
def test_a_limit_gives_as_many_false_alarms_as_were_asked_for(kind, cv, side, n):
    rate = false_alarms(*noise(kind, cv, n, seed=n), side)
    assert rate == pytest.approx(ALPHA, abs=3.5 * ERROR)


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize(("kind", "side"), [("normal", "at_most"), ("lognormal", "at_least")])
def test_noise_of_the_other_kind_gives_fewer_and_never_more(kind, side, n):
    assert false_alarms(*noise(kind, 0.2, n, seed=n), side) < ALPHA + 3.5 * ERROR


def bootstrapped_means(rng, k, m=200):
    """The mean of one sample of m and of its k - 1 bootstraps, then that of another sample, `REPEATS` times."""
    samples = rng.gamma(4.0, size=(REPEATS, m))
    counts = rng.multinomial(m, [1 / m] * m, size=(REPEATS, k - 1))
    audits = np.concatenate([samples.mean(1, keepdims=True), np.einsum("rkm,rm->rk", counts, samples) / m], axis=1)
    return audits, rng.gamma(4.0, size=(REPEATS, m)).mean(1)


@pytest.mark.parametrize("k", [10, 20])
def test_a_bootstrap_limit_holds_for_another_sample_of_the_population(k):
    rate = false_alarms(*bootstrapped_means(np.random.default_rng(k), k), "at_most", BOOTSTRAP)
    assert rate == pytest.approx(ALPHA, abs=3.5 * ERROR)


def test_bootstrap_audits_taken_for_independent_samples_would_alarm_twice_as_often():
    assert false_alarms(*bootstrapped_means(np.random.default_rng(0), 20), "at_most", ENDLESS) > 2 * ALPHA


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_limit_from_draws_of_one_pool_holds_for_examples_outside_it(share):
    n, k, rng = 100, 10, np.random.default_rng(1)
    pools = rng.gamma(4.0, size=(REPEATS, int(n / share)))
    audits = np.stack([rng.permuted(pools, axis=1)[:, :n].mean(1) for _ in range(k)], axis=1)
    following = rng.gamma(4.0, size=(REPEATS, n)).mean(1)
    drawn = Resampling(kind="redraw", unit="examples", n_samples=n, drawn_from=int(n / share))
    assert false_alarms(audits, following, "at_most", drawn) == pytest.approx(ALPHA, abs=3.5 * ERROR)


@pytest.mark.parametrize(("side", "sign"), [("at_most", 1), ("at_least", -1)])
def test_a_limit_is_rounded_away_from_the_audits_and_to_four_digits(side, sign):
    ends = [123.456789, 124.4, 122.3, 125.7, 121.9]
    exact = prediction_limit(ends, ENDLESS, side, ALPHA, digits=17).value
    rounded = prediction_limit(ends, ENDLESS, side, ALPHA).value
    assert 0 <= sign * (rounded - exact) < 0.1
    assert rounded == float(f"{rounded:.4g}")


def test_ends_that_do_not_vary_are_their_own_limit():
    for end in (0.0, 1.0, 0.1, -3.0):
        assert prediction_limit([end] * 5, ENDLESS, "at_most", ALPHA).value == end
        assert prediction_limit([end] * 5, ENDLESS, "at_least", ALPHA).value == end


def test_a_lower_limit_of_what_is_positive_is_positive_however_much_it_varies():
    limit = prediction_limit([0.01, 0.1, 0.5, 0.02, 1.0], ENDLESS, "at_least", ALPHA)
    assert limit.scale == "log"
    assert 0 < limit.value < 0.01
