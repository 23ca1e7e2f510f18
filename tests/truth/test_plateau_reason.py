"""A plateau says what could be behind it, where the units or the sample know."""

from __future__ import annotations

import torch
from subjects import bench, cross_entropy, measured, subject
from torch import nn

from landscape_audit.checks.stationarity import stationarity
from landscape_audit.probes.activations import WatchedForward
from landscape_audit.probes.probe import ProbeFailedError


def dead(*, alike=False):
    """Every ReLU is off, whatever the input, and what follows them is frozen."""
    x = torch.randn(160, 4, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    model[0].weight.data.fill_(0.1)
    model[0].bias.data.fill_(-60.0)
    for parameter in model[2].parameters():
        parameter.requires_grad_(requires_grad=False)
    return subject(model, cross_entropy, 0 * x + 1 if alike else x, (x.sum(1) > 0).long())


def label_of(on):
    return measured(on, stationarity).labels["class"]


def test_a_plateau_of_dead_units_says_so():
    label = label_of(bench(dead()))
    assert label.value == "plateau"
    assert "dead units: In 1 (relu), 6 of 6 units are dead on the whole sample." in label.reason


def test_a_plateau_on_one_input_over_and_over_says_so():
    label = label_of(bench(dead(alike=True)))
    assert label.value == "plateau"
    assert "constant inputs: All 160 examples have one and the same input." in label.reason


def test_a_class_that_is_no_plateau_cites_no_cause():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    label = label_of(bench(subject(model, cross_entropy, torch.ones(160, 4), torch.ones(160, dtype=torch.long))))
    assert label.value == "not_critical"
    assert "constant inputs" not in label.reason


def test_what_only_explains_cannot_break_the_class(monkeypatch):
    def fails(*_):
        raise ProbeFailedError("watched_forward: no")

    monkeypatch.setattr(WatchedForward, "take", fails)
    on = bench(dead())
    label = label_of(on)
    assert label.value == "plateau"
    assert any("could not be explained" in note for note in on.adjustments)


def test_every_condition_of_every_class_is_in_the_results_with_its_number():
    found = measured(bench(dead()), stationarity)
    (decision,) = [detail for detail in found.details if detail.name == "decision"]
    asked = [condition for step in decision.steps for condition in step.conditions]
    assert len(asked) > 20
    for each in asked:
        assert isinstance(each.value, float), each.says
        assert each.low is None or each.high is None or each.low <= each.value <= each.high
    *classes, left = decision.steps
    assert all((step.outcome == "yes") == all(each.holds for each in step.conditions) for step in classes)
    assert (left.name, left.conditions) == ("undecided", ())
    assert decision.taken.name == found.labels["class"].value == "plateau"
