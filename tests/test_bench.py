"""Probes are taken once, have their own random streams, and fail once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from subjects import bench, cross_entropy, measured, subject
from torch import nn

from landscape_audit.checks import BATTERY
from landscape_audit.probes.probe import ProbeFailedError, with_needs
from landscape_audit.results import Cost


def small():
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randint(0, 2, (64,))
    return subject(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), cross_entropy, x, y)


@pytest.fixture(scope="module")
def battery():
    """A bench on which every check was measured, the last one first, and what each found."""
    on = bench(small(), preset="quick")
    return on, {check.id: measured(on, check) for check in reversed(BATTERY)}


@dataclass(frozen=True)
class Broken:
    taken: list[int]
    name: str = "broken"
    needs: tuple = ()

    def __hash__(self):
        return hash(self.name)

    def cost(self, _size):
        return Cost()

    def take(self, _bench):
        self.taken.append(1)
        raise ValueError("the model said no")


def test_a_failed_probe_is_tried_once_and_says_the_same_each_time():
    on, taken = bench(small()), []
    for _ in range(3):
        with pytest.raises(ProbeFailedError, match="broken: ValueError: the model said no"):
            on.take(Broken(taken))
    assert taken == [1]


def test_a_check_measures_the_same_alone_and_after_the_whole_battery(battery):
    for check in BATTERY:
        assert measured(bench(small(), preset="quick"), check) == battery[1][check.id], check.id


def test_two_audits_with_one_seed_agree_to_the_last_bit_and_with_another_do_not(battery):
    def numbers(seed):
        on = bench(small(), preset="quick", seed=seed)
        return {check.id: measured(on, check) for check in reversed(BATTERY)}

    assert numbers(0) == battery[1]
    assert numbers(2) != battery[1]


def test_an_audit_leaves_parameters_buffers_gradients_and_the_global_rng_alone():
    audited = small()
    before = [parameter.clone() for parameter in audited.model.parameters()]
    theta, rng = audited.theta.clone(), torch.get_rng_state()
    on = bench(audited, preset="quick")
    for check in BATTERY:
        measured(on, check)
    assert all(torch.equal(a, b) for a, b in zip(before, audited.model.parameters(), strict=True))
    assert torch.equal(audited.theta, theta)
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(parameter.grad is None for parameter in audited.model.parameters())


@pytest.mark.parametrize(("preset", "most"), [("standard", 400), ("quick", 200)])
def test_what_is_spent_is_what_was_planned_or_less_and_under_400_gradients_or_200(preset, most, battery):
    """Less where Lanczos converged early."""
    on = battery[0] if preset == "quick" else bench(small(), preset=preset)
    for check in BATTERY:
        measured(on, check)
    for probe in with_needs(probe for check in BATTERY for probe in check.probes):
        planned, spent = probe.cost(on.size), on.ledgers[probe.name].cost
        assert spent.in_gradients() <= planned.in_gradients() * 1.05 + 0.5, probe.name
    assert sum((ledger.cost for ledger in on.ledgers.values()), Cost()).in_gradients() <= most
