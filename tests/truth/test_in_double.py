"""What float32 cannot tell apart, told apart in float64, and only there."""

from __future__ import annotations

import pytest
import torch
from landscapes import landscape, quadratic
from subjects import bench, cross_entropy, measured, subject
from torch import nn

from landscape_audit.checks.stationarity import stationarity
from landscape_audit.probes import surroundings
from landscape_audit.probes.surroundings import InDouble

HALF = 2**-0.5


def steep_valley(bottom):
    """Curvature 2·10⁴ along (1, 1), and `bottom` along (1, −1): of a size with float32's rounding of the other."""

    def function(t):
        along, across = HALF * (t[0] + t[1]), HALF * (t[0] - t[1])
        return 1e-6 + 1e4 * along**2 + 0.5 * bottom * across**2 + across**4

    return lambda dtype=torch.float32: landscape(function, [0.0, 0.0], dtype)


@pytest.mark.parametrize(("bottom", "word"), [(-1e-3, "saddle"), (1e-3, "minimum")])
def test_a_valley_whose_sign_float32_cannot_see_gets_the_class_that_a_float64_audit_gives(bottom, word):
    single, double = bench(steep_valley(bottom)()), bench(steep_valley(bottom)(torch.float64), dtype="float64")
    found = measured(single, stationarity)
    assert found.labels["class"].value == measured(double, stationarity).labels["class"].value == word
    assert double.take(InDouble()) is None


def test_both_classes_are_told_where_float64_decided_and_what_it_cost_is_written_down():
    on = bench(steep_valley(-1e-3)())
    (told,) = [line for line in measured(on, stationarity).caveats if "float64" in line]
    assert "decides: saddle; in float32 it was" in told
    assert any("measured again in float64" in note for note in on.adjustments)
    spent = on.ledgers["in_double"].cost
    assert spent.hvps > 0
    assert spent.gradients > 0
    assert InDouble().cost(on.size).gradients == 0


def test_float64_costs_nothing_where_float32_settles_the_class():
    torch.manual_seed(0)
    x = torch.randn(160, 6)
    audited = subject(
        nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)), cross_entropy, x, (x[:, 0] > 0).long()
    )
    for each in (audited, quadratic([1.0, 2.0, 3.0], dtype=torch.float32), quadratic([-1.0, 2.0], dtype=torch.float32)):
        on = bench(each)
        assert measured(on, stationarity).labels["class"].value != "undecided"
        assert on.take(InDouble()) is None
        assert on.ledgers["in_double"].cost.hvps == 0


def test_a_large_model_is_not_measured_again(monkeypatch):
    monkeypatch.setattr(surroundings, "FEW", 2)
    on = bench(steep_valley(-1e-3)())
    assert on.take(InDouble()) is None
    assert measured(on, stationarity).labels["class"].value != "minimum"
