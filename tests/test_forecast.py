"""A plan rests on a few short timings: a machine that others load must not turn it into nonsense."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from subjects import bench, cross_entropy, subject
from torch import nn

from landscape_audit import forecast
from landscape_audit.checks import BATTERY
from landscape_audit.probes.bench import Bench
from landscape_audit.results import Cost

KINDS = ("gradients", "forwards", "hvps")


class Clock:
    """Stands still but for what the bench spends: call k of a kind takes `seconds[kind][k]`, the last one for good."""

    def __init__(self, on: Bench, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, Sequence[float]]) -> None:
        self.now = 0.0
        self.calls = dict.fromkeys(KINDS, 0)
        self._seconds, self._spend = seconds, on.spend
        monkeypatch.setattr(on, "spend", self.spend)
        monkeypatch.setattr(forecast.time, "perf_counter", lambda: self.now)

    def spend(self, cost: Cost) -> None:
        self._spend(cost)
        for kind in KINDS:
            if getattr(cost, kind):
                times = self._seconds[kind]
                self.now += times[min(self.calls[kind], len(times) - 1)]
                self.calls[kind] += 1


def small(**protocol):
    torch.manual_seed(0)
    x, y = torch.randn(32, 4), torch.randint(0, 2, (32,))
    return bench(subject(nn.Linear(4, 2), cross_entropy, x, y), preset="quick", **protocol)


@pytest.fixture
def timed(monkeypatch):
    """The clock and the plan of a small audit on a machine where the calls of each kind take so many seconds."""

    def plan(gradients, forwards, hvps, **protocol):
        on = small(**protocol)
        clock = Clock(on, monkeypatch, dict(zip(KINDS, (gradients, forwards, hvps), strict=True)))
        return clock, forecast.forecast(on, BATTERY)

    return plan


def test_a_plan_is_of_the_best_of_three_timings_whichever_it_is(timed):
    """The first call of all builds graphs, and is no timing."""
    quiet = timed([0.003], [0.001], [0.0075])[1]
    for loads in itertools.permutations((1, 10, 13)):
        times = ([9.0, *(least * load for load in loads)] for least in (0.003, 0.001, 0.0075))
        clock, plan = timed(*times)
        assert clock.calls == dict.fromkeys(KINDS, 4)
        assert plan.gradients == pytest.approx(quiet.gradients)
        assert plan.seconds == pytest.approx(quiet.seconds)


def test_what_takes_long_is_timed_once_and_what_takes_a_while_twice(timed):
    assert timed([60.0], [20.0], [150.0])[0].calls == dict.fromkeys(KINDS, 2)
    assert timed([0.1], [0.05], [0.2])[0].calls == dict.fromkeys(KINDS, 3)


def test_a_forward_costs_no_more_than_a_gradient_and_a_product_between_one_and_five(timed):
    _, plan = timed([0.001], [0.2], [0.4])
    assert (plan.forward_gradients, plan.hvp_gradients) == (1.0, 5.0)
    _, plan = timed([0.4], [0.001], [0.001])
    assert (plan.forward_gradients, plan.hvp_gradients) == (pytest.approx(0.0025), 1.0)


def test_products_in_bfloat16_are_believed_to_cost_what_they_take(timed):
    """Machines without it emulate it."""
    assert timed([0.001], [0.001], [0.02], products="bfloat16")[1].hvp_gradients == pytest.approx(20.0)


def test_no_load_makes_a_plan_more_than_thrice_what_it_is(timed):
    """Whatever slows single calls, down to a hundredth of their speed."""
    least = (0.003, 0.001, 0.0075)
    quiet = timed(*([each] for each in least))[1].gradients
    loads = torch.Generator().manual_seed(0)
    for _ in range(20):
        times = ([9.0, *(each * 100 ** torch.rand(3, generator=loads)).tolist()] for each in least)
        assert timed(*times)[1].gradients <= 3 * quiet
