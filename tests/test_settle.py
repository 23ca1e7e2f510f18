"""Undecided gates buy narrower intervals, within what they may spend; time that is short leaves checks out."""

from __future__ import annotations

import time

import pytest
import torch
from landscapes import landscape
from subjects import bench, cross_entropy, measured, subject
from torch import nn

from landscape_audit.checks import BATTERY
from landscape_audit.confidence import LOOKS, asked_levels, over_looks
from landscape_audit.estimate import Estimate
from landscape_audit.forecast import forecast
from landscape_audit.outcome import outcome_of
from landscape_audit.policy import Policy
from landscape_audit.probes.krylov import HessianKrylov, KrylovTrace
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.probes.rayleigh import RitzRayleigh
from landscape_audit.results import Baseline, Difference, Measured
from landscape_audit.settle import settle

CHECKS = tuple(check for check in BATTERY if check.id in {"sharpness", "trace"})
SHORT = {"lanczos_steps": 3, "trace_probes": 2, "top_k": 1}


def small(**protocol):
    torch.manual_seed(0)
    x, y = torch.randn(400, 12), torch.randint(0, 3, (400,))
    audited = subject(nn.Sequential(nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 3)), cross_entropy, x, y)
    return bench(audited, preset="quick", **{"budgets": SHORT, **protocol})


def estimates(on):
    asked = asked_levels(Policy(), on.protocol.level)
    outcomes = {check.id: outcome_of(on, check, asked) for check in CHECKS}
    return {
        f"{name}.{key}": estimate
        for name, outcome in outcomes.items()
        if isinstance(outcome, Measured)
        for key, estimate in outcome.estimates.items()
    }


def settled(on, key, max_extra_budget=100.0, **limits):
    before = estimates(on)[key]
    gates = {key: {"why": "a test", **limits}}
    policy = Policy.model_validate({"gates": gates, "max_extra_budget": max_extra_budget})
    grew = settle(on, CHECKS, policy, lambda: estimates(on))
    return grew, before, estimates(on)[key]


def part(estimate, kind):
    return next(part for part in estimate.parts if part.kind == kind)


def solver_edge(on):
    """A limit that the solver's part alone leaves open, beyond what other examples could say."""
    found = estimates(on)["sharpness.lambda_max"]
    others = found.high - part(found, "residual").high
    return found.value + others + 0.7 * (part(found, "residual").high - found.value)


def test_a_limit_inside_the_solvers_interval_is_settled_by_more_products():
    limit = solver_edge(small())
    grew, before, after = settled(small(), "sharpness.lambda_max", at_most=limit)
    assert grew
    assert before.high > limit
    assert after.high <= limit
    assert after.value >= before.value


def test_a_gate_against_a_baseline_that_the_solver_leaves_open_is_settled_by_more_products():
    key, limit = "sharpness.lambda_max", solver_edge(small())
    there = Estimate.exact(limit / 2, direction="lower")
    baseline = Baseline(name="before", sha256=(), finished="", measured="stored", estimates={key: there})
    gate = {"no_worse_than_baseline": {"absolute": limit / 2}, "why": "a test"}
    policy = Policy.model_validate({"gates": {key: gate}})
    other = baseline.model_copy(update={"differences": (Difference(key="data.loss", here="mse", there="nll"),)})
    for against, buys in ((baseline, True), (None, False), (other, False)):
        on = small()
        before = estimates(on)[key]
        assert settle(on, CHECKS, policy, lambda on=on: estimates(on), against) is buys
        assert (estimates(on)[key].high <= limit < before.high) is buys


def test_what_was_spent_is_told_and_stays_within_what_may_be_spent():
    on = small()
    settled(on, "sharpness.lambda_max", max_extra_budget=40.0, at_most=solver_edge(small()))
    (told,) = [note for note in on.adjustments if "undecided gates" in note]
    assert "lanczos_steps from 3" in told
    assert float(told.split()[1]) <= 40
    assert on.budgets.lanczos_steps > 3


def flat(on, budget, at_most):
    checks = tuple(check for check in BATTERY if check.id == "flatness")
    gates = {"flatness.rise@0.05": {"at_most": at_most, "why": "a test"}}
    policy = Policy.model_validate({"gates": gates, "max_extra_budget": budget})

    def found():
        estimates = outcome_of(on, checks[0], asked_levels(policy, on.protocol.level)).estimates
        return {f"flatness.{name}": estimate for name, estimate in estimates.items()}

    before = found()["flatness.rise@0.05"]
    spent = sum(ledger.cost.in_gradients() for ledger in on.ledgers.values())
    settle(on, checks, policy, found)
    spent = sum(ledger.cost.in_gradients() for ledger in on.ledgers.values()) - spent
    return before, found()["flatness.rise@0.05"], spent


@pytest.mark.parametrize("budget", [5.0, 30.0, 100.0])
def test_a_gate_is_looked_at_three_times_at_most_and_never_spends_more_than_it_may(budget):
    on = small(budgets={"flatness_draws": 3, "flatness_sigmas": (0.05,)})
    value = flat(small(budgets={"flatness_draws": 60, "flatness_sigmas": (0.05,)}), 0.0, 1.0)[0].value
    before, after, spent = flat(on, budget, value)  # a limit that no budget settles
    assert on.looks == LOOKS
    assert after.n > before.n
    assert 0.5 * budget < spent <= budget


def test_a_gate_that_is_settled_at_the_second_look_has_no_third():
    on = small(budgets={"flatness_draws": 3, "flatness_sigmas": (0.05,)})
    first = flat(small(budgets={"flatness_draws": 3, "flatness_sigmas": (0.05,)}), 0.0, 1.0)[0]
    _, after, spent = flat(on, 100.0, first.high + 0.2 * (first.high - first.value))
    assert on.looks == 2
    assert 0 < spent < 50
    assert after.n > first.n


def test_an_interval_inside_at_its_own_level_is_open_at_the_level_of_one_look_of_three():
    first = flat(small(budgets={"flatness_draws": 3, "flatness_sigmas": (0.05,)}), 0.0, 1.0)[0]
    at = {each.level: each.high for each in first.parts[0].at}
    limit = (first.high + at[over_looks(0.95)]) / 2
    on = small(budgets={"flatness_draws": 3, "flatness_sigmas": (0.05,)})
    assert first.high < limit < at[over_looks(0.95)]
    assert flat(on, 100.0, limit)[2] > 0


def test_nothing_is_spent_where_nothing_may_be_or_where_the_gate_is_decided():
    limit = solver_edge(small())
    for budget, at_most in ((0.0, limit), (100.0, 1e6), (100.0, 1e-6)):
        on = small()
        grew, before, after = settled(on, "sharpness.lambda_max", max_extra_budget=budget, at_most=at_most)
        assert not grew
        assert before == after
        assert on.budgets.lanczos_steps == 3


def test_a_gate_that_only_more_examples_could_decide_spends_nothing():
    budgets = {"lanczos_steps": 60, "top_k": 1}
    value = estimates(small(budgets=budgets))["sharpness.lambda_max"].value
    grew, before, _ = settled(small(budgets=budgets), "sharpness.lambda_max", at_most=value)
    assert before.low < before.value < before.high
    assert not grew


def test_a_longer_run_goes_on_from_the_shorter_one():
    on, whole = small(), small(budgets={**SHORT, "lanczos_steps": 9, "eigen_tolerance": 1e-9})
    first = on.take(HessianKrylov())
    on.budgets = on.budgets.model_copy(update={"lanczos_steps": 9, "eigen_tolerance": 1e-9})
    on.retake(HessianKrylov())
    after, at_once = on.take(HessianKrylov()), whole.take(HessianKrylov())
    assert first.steps == 3
    assert on.ledgers["hessian_krylov"].cost.hvps == 9
    assert after.ritz_values == pytest.approx(at_once.ritz_values, rel=1e-5)


def test_more_random_probes_keep_the_ones_that_were_taken():
    on = small()
    before = on.take(KrylovTrace()).outside
    on.budgets = on.budgets.model_copy(update={"trace_probes": 5, "trace_tolerance": 1e-9})
    on.retake(KrylovTrace())
    after = on.take(KrylovTrace()).outside
    assert len(after) == 5
    assert after[:2] == before


def test_a_lanczos_run_that_is_out_of_time_stops_with_an_interval_that_says_so():
    on = small(budgets={"lanczos_steps": 60, "top_k": 1})
    on.deadline = time.monotonic() - 1
    space = on.take(HessianKrylov())
    assert space.steps == 1
    assert space.reach(0.05).above > 1


def test_a_check_is_begun_only_where_its_fixed_cost_fits_into_the_time():
    on = small()
    plan = forecast(on, BATTERY)
    surface = next(check for check in BATTERY if check.id == "surface")
    assert on.has_time_for(surface.probes, plan)
    on.deadline = time.monotonic() + 1e-6
    assert not on.has_time_for(surface.probes, plan)


def test_a_longer_run_that_breaks_leaves_the_shorter_one_as_it_was(monkeypatch):
    on = small()
    first = on.take(HessianKrylov())
    values = first.ritz_values.copy()
    on.budgets = on.budgets.model_copy(update={"lanczos_steps": 9, "eigen_tolerance": 1e-9})
    calls = []

    def breaks(v):
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("the device is gone")
        return v

    monkeypatch.setattr(on, "hvp", breaks)
    with pytest.raises(ProbeFailedError, match="the device is gone"):
        on.retake(HessianKrylov())
    assert on.take(HessianKrylov()) is first
    assert len(first.basis) == first.steps == 3
    assert first.ritz_values == pytest.approx(values)
    assert first.ritz_vector(0).norm() == pytest.approx(1.0)


def test_a_follower_that_breaks_leaves_both_as_they_were(monkeypatch):
    on = small()
    first, before = on.take(HessianKrylov()), on.take(RitzRayleigh())
    on.budgets = on.budgets.model_copy(update={"lanczos_steps": 20, "eigen_tolerance": 1e-9})
    monkeypatch.setattr(RitzRayleigh, "take", lambda *_: 1 / 0)
    with pytest.raises(ProbeFailedError, match="ZeroDivisionError"):
        on.retake(HessianKrylov())
    assert on.take(HessianKrylov()) is first
    assert on.take(RitzRayleigh()) is before
    assert len(first.basis) == first.steps == 3
    assert first.ritz_vector(0).norm() == pytest.approx(1.0)


def test_nothing_is_bought_where_no_product_could_close_the_interval():
    on = small(products="bfloat16")
    grew, before, _ = settled(on, "sharpness.lambda_max", at_most=1e6)
    assert before.high is None
    assert not grew


def bowl_with_a_hidden_end():
    """A minimum whose smallest eigenvalue eight products leave open: more of them say that none is negative."""
    spectrum = torch.cat([torch.tensor([0.02]), torch.linspace(0.5, 40.0, 79)]).double()
    audited = landscape(lambda t: 0.01 + 0.5 * (spectrum.to(t) * t * t).sum(), [0.0] * 80)
    budgets = {"lanczos_steps": 8, "top_k": 1, "eigen_tolerance": 1e-12}
    return bench(audited, preset="quick", dtype="float64", budgets=budgets)


def label_settled(on, max_extra_budget=1000.0, **gate):
    checks = tuple(check for check in BATTERY if check.id == "stationarity")
    gates = {"stationarity.class": {"why": "a test", **gate}}
    policy = Policy.model_validate({"gates": gates, "max_extra_budget": max_extra_budget})

    def found():
        return {f"stationarity.{name}": label for name, label in measured(on, checks[0]).labels.items()}

    before = found()["stationarity.class"]
    return settle(on, checks, policy, found), before, found()["stationarity.class"]


def test_a_class_that_is_open_for_want_of_products_buys_them():
    on = bowl_with_a_hidden_end()
    grew, before, after = label_settled(on, one_of=["minimum"])
    assert (before.value, before.open) == ("undecided", "residual")
    assert grew
    assert after.value == "minimum"
    assert on.take(HessianKrylov()).steps == 8  # no other number moves
    assert any("for the gate on stationarity.class" in note for note in on.adjustments)


def test_a_class_buys_nothing_where_nothing_may_be_spent_or_no_product_would_settle_it():
    on = bowl_with_a_hidden_end()
    grew, before, after = label_settled(on, max_extra_budget=0.0, one_of=["minimum"])
    assert not grew
    assert before == after
    on = bowl_with_a_hidden_end()
    grew, before, _ = label_settled(on, one_of=["minimum"], level="off")
    assert before.value == "undecided"
    assert not grew
