"""A gate on a number whose truth is known, held many times by the audit's own bench, looks and judging."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from subjects import bench, half_square, subject
from torch import nn

from landscape_audit.checks.check import Check
from landscape_audit.confidence import as_judged, judging
from landscape_audit.estimate import Estimate, spread
from landscape_audit.gates.demand import on_number
from landscape_audit.outcome import outcome_of
from landscape_audit.policy import Policy
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.facts import Facts
from landscape_audit.probes.probe import Growth, Probe, Size
from landscape_audit.results import Cost, Measured
from landscape_audit.settle import settle
from landscape_audit.statistics import weighted_mean

LIMIT = 1.0
DRAWS = 8
"""Of the first look. One costs a gradient."""
ONE_LOOK = Policy.model_validate({"gates": {"drawn.value": {"at_most": LIMIT, "why": "a simulation"}}}).model_copy(
    update={"max_extra_budget": 0.0}
)
THREE_LOOKS = ONE_LOOK.model_copy(update={"max_extra_budget": 100.0})
"""The default."""
FACTS = Facts(
    parameters=1,
    n_samples=1,
    n_batches=1,
    level=0.95,
    materiality=0.01,
    learning_rate=None,
    radius=1.0,
    dtype="float32",
)


@dataclass(frozen=True)
class Drawn:
    """What was drawn, and at which level it is judged."""

    values: tuple[float, ...]
    facts: Facts


@dataclass(frozen=True)
class Draws:
    """Independent draws around the truth; more of them go on where the first ended."""

    truth: float
    deviation: float
    seed: int

    name: str = "draws"
    needs: tuple[Probe[object], ...] = ()
    GROWTH: ClassVar = Growth("probe", "flatness_draws")

    def cost(self, size: Size) -> Cost:
        """A gradient a draw."""
        return Cost(gradients=size.budgets.flatness_draws or 0)

    def take(self, on: Bench) -> Drawn:
        """The first so many of the stream."""
        before, count = on.before(self), on.budgets.flatness_draws or 0
        on.spend(Cost(gradients=count - (len(before.values) if before else 0)))
        values = np.random.default_rng(self.seed).normal(self.truth, self.deviation, count)
        return Drawn(tuple(values.tolist()), FACTS)


def value(drawn: Drawn) -> Measured:
    """Their mean with Student's interval, as every check makes it of its draws."""
    mean = weighted_mean(drawn.values, [1.0] * len(drawn.values))
    part = spread("probe", mean.value, mean.half_width(drawn.facts.level))
    return Measured(estimates={"value": Estimate.within(mean.value, (part,), level=drawn.facts.level, n=mean.n)})


@dataclass(frozen=True)
class Shares:
    """How often a gate said what, and what it spent beyond the first look on average."""

    counts: Counter[str]
    spent: float

    def of(self, status: str) -> float:
        """The share of runs with that status."""
        return self.counts[status] / self.counts.total()


def simulated(distance: float, noise: float, policy: Policy, repeats: int, seed: int = 0) -> Shares:
    """A truth so far from its limit (−0.05: 5 % under it), where one look has a standard error of `noise` · truth."""
    counts: Counter[str] = Counter()
    spent, truth = 0.0, LIMIT * (1 + distance)
    for repeat in range(repeats):
        probe = Draws(truth, noise * truth * DRAWS**0.5, seed * repeats + repeat)
        status, more = _held(probe, policy)
        counts[status] += 1
        spent += more / repeats
    return Shares(counts, spent)


def point_gate(distance: float, noise: float, repeats: int, seed: int = 0) -> float:
    """How often a gate without an interval fails on the first look's mean."""
    truth, deviation = LIMIT * (1 + distance), noise * LIMIT * (1 + distance)
    return float(np.mean(np.random.default_rng(seed).normal(truth, deviation, repeats) > LIMIT))


def _held(probe: Draws, policy: Policy) -> tuple[str, float]:
    """As an audit does: measured, looked at again where that may be bought, and judged."""
    on, check = _bench(), Check("drawn", 1, "", "", "", (probe,), value)
    found = partial(_found, on, check)
    found()
    settle(on, (check,), policy, found)
    gate, estimate = policy.gates["drawn.value"], found()["drawn.value"]
    judged = as_judged(estimate, judging(policy, gate, estimate, check.grows, bought=on.looks > 1))
    return on_number(gate, judged).status, on.ledgers[probe.name].cost.gradients - DRAWS


def _found(on: Bench, check: Check) -> dict[str, Estimate]:
    outcome = outcome_of(on, check, (0.95,))
    assert isinstance(outcome, Measured)
    return {"drawn.value": outcome.estimates["value"]}


SUBJECT = subject(nn.Linear(1, 1), half_square, torch.zeros(1, 1), torch.zeros(1, 1))


def _bench() -> Bench:
    return bench(SUBJECT, budgets={"flatness_draws": DRAWS})
