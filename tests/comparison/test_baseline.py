"""Which audits can be compared, and which keys are named where they cannot."""

from __future__ import annotations

import datetime as dt

import pytest
from results_factory import an_audit, an_estimate, checks_with

from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.comparison.changes import changes
from landscape_audit.estimate import IntervalPart
from landscape_audit.gates.judge import judged
from landscape_audit.policy import EffectivePolicy
from landscape_audit.results import AuditResults, InstrumentInfo, Measured

TODAY = dt.date(2026, 3, 2)


def with_(path, value):
    """An audit that differs in one field, named like `data.loss`."""
    part, _, name = path.partition(".")
    whole = an_audit()
    return whole.model_copy(update={part: getattr(whole, part).model_copy(update={name: value})})


def with_budget(**budgets):
    protocol = an_audit().protocol
    return with_("protocol.budgets", {**protocol.budgets, **budgets})


def with_version(check, version):
    checks = (each.model_copy(update={"version": version}) if each.id == check else each for each in checks_with())
    return an_audit().model_copy(update={"checks": tuple(checks)})


def against(there, *keys, **gate):
    """The gates on some keys, judged against that audit."""
    gates = {key: {"no_worse_than_baseline": 0.1, "why": "w", **gate} for key in keys}
    policy = EffectivePolicy.model_validate({"gates": gates})
    results = an_audit().model_copy(update={"baseline": baseline_of(an_audit(), there)})
    return {gate.key: gate for gate in judged(results, policy, TODAY).gates}


EVERYTHING = [
    ("data.fingerprint", "1" * 64),
    ("data.n_samples", 449),
    ("data.weight", 12.0),
    ("data.loss", "nll"),
    ("data.loss_settings", "label_smoothing = 0.1"),
    ("data.loss_code", "2" * 64),
    ("protocol.dtype", "float64"),
    ("protocol.level", 0.9),
    ("subject.parameter_globs", ("head.*",)),
]


@pytest.mark.parametrize(("key", "value"), EVERYTHING)
def test_what_makes_every_number_another_one_is_named_and_compares_nothing(key, value):
    found = against(with_(key, value), "loss.value", "sharpness.lambda_max")
    for gate in found.values():
        assert gate.status == "incomparable"
        assert key in gate.reason


@pytest.mark.parametrize(
    ("there", "key", "apart", "alike"),
    [
        (with_budget(flatness_sigmas=(0.1, 0.2)), "flatness_sigmas", "flatness.tolerance", "sharpness.lambda_max"),
        (with_budget(ascent_steps=9), "ascent_steps", "flatness.worst_case", "flatness.tolerance"),
        (with_budget(materiality=0.5), "materiality", "stationarity.escape_worth", "loss.value"),
        (with_("subject.parameters", 12), "subject.parameters", "sharpness.lambda_max", "loss.value"),
        (with_version("trace", 9), "checks.trace.version", "trace.trace", "loss.value"),
    ],
)
def test_what_makes_one_number_another_one_leaves_the_others_comparable(there, key, apart, alike):
    found = against(there, apart, alike, on_missing_baseline="warn")
    assert found[apart].status == "incomparable"
    assert key in found[apart].reason
    assert found[alike].status != "incomparable"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("environment.torch", "9.9"),
        ("environment.device", "cuda"),
        ("environment.packages", {"numpy": "9.9"}),
        ("environment.threads", 64),
        ("environment.processes", 8),
        ("protocol.seed", 7),
        ("protocol.hvp_engine", "differences"),
    ],
)
def test_what_is_the_same_number_measured_elsewhere_is_told_and_compared(key, value):
    there = with_(key, value)
    found = baseline_of(an_audit(), there)
    assert any(key.rpartition(".")[2] in each.key or "numpy" in each.key for each in found.differences)
    assert not found.obstacles("sharpness.lambda_max")
    assert against(there, "loss.value")["loss.value"].status != "incomparable"


def test_twins_that_were_trained_otherwise_do_not_compare_and_all_else_does():
    found = baseline_of(an_audit(), with_("protocol.training", "optimiser = sgd, rho = 0.2"))
    assert [each.key for each in found.obstacles("sam.lambda_max_ratio")] == ["protocol.training"]
    assert not found.obstacles("loss.value")


def test_a_budget_that_only_narrows_an_interval_is_no_obstacle():
    found = baseline_of(an_audit(), with_budget(lanczos_steps=400, trace_probes=99))
    assert {each.key for each in found.differences} == {
        "protocol.budgets.lanczos_steps",
        "protocol.budgets.trace_probes",
    }
    assert not any(each.hard for each in found.differences)


def test_numbers_of_an_instrument_that_disagrees_with_itself_are_no_baseline():
    broken = an_audit().model_copy(update={"instrument": InstrumentInfo(agrees=False, disagreements=("x",))})
    assert against(broken, "loss.value")["loss.value"].status == "incomparable"


def test_batches_pair_only_where_they_are_the_same_ones():
    here = with_("data.batches", "3 × 150")
    assert baseline_of(here, here).paired == ("sampling", "probe")
    assert baseline_of(here, with_("data.batches", "2 × 200, 1 × 50")).paired == ("probe",)
    assert baseline_of(here, with_("data.batches", "3 × 150").model_copy(update={"data": an_audit().data})).paired == (
        "probe",
    )
    assert "m_sharpness" in str(baseline_of(here, an_audit()).differences)


def test_directions_pair_only_where_the_seed_and_the_parameters_are_the_same():
    assert "probe" not in baseline_of(an_audit(), with_("protocol.seed", 1)).paired
    assert "probe" not in baseline_of(an_audit(), with_("subject.parameters", 7)).paired


def _with_loss(value, pieces):
    half = 0.1
    part = IntervalPart(kind="sampling", low=value - half, high=value + half, pieces=pieces)
    estimate = an_estimate(value, half, unit="loss", direction="lower").model_copy(update={"parts": (part,)})
    return an_audit({"loss": Measured(estimates={"value": estimate})})


def test_a_gate_is_settled_piece_by_piece_where_two_intervals_leave_it_open():
    wiggle = [0.3 * (-1) ** index for index in range(16)]
    there = _with_loss(1.0, tuple(1.0 + move for move in wiggle))
    here = _with_loss(1.02, tuple(1.02 * (1.0 + move) for move in wiggle))
    policy = EffectivePolicy.model_validate(
        {"gates": {"loss.value": {"no_worse_than_baseline": 0.05, "why": "w"}}, "on_undecided": "error"}
    )
    paired = baseline_of(here, there)
    apart = paired.model_copy(update={"paired": ()})
    found = [judged(here.model_copy(update={"baseline": each}), policy, TODAY).gates[0] for each in (paired, apart)]
    assert [gate.status for gate in found] == ["pass", "undecided"]


def test_the_same_weights_measured_the_same_way_have_changed_by_nothing_at_all():
    results = an_audit().model_copy(update={"baseline": baseline_of(an_audit(), an_audit())})
    found = changes(results)
    assert len(found) == 20
    assert {each.word for each in found} == {"the same"}
    assert {(each.absolute.low, each.absolute.high) for each in found} == {(0.0, 0.0)}


def test_a_baseline_survives_the_way_through_json():
    results = an_audit().model_copy(update={"baseline": baseline_of(an_audit(), with_("protocol.seed", 3))})
    assert AuditResults.model_validate_json(results.to_json()) == results


def test_a_share_of_a_baseline_that_is_zero_settles_nothing():
    exact = {"quantisation": Measured(estimates={"rise@int8": an_estimate(0.0, unit="loss", direction="lower")})}
    here = an_audit({"quantisation": Measured(estimates={"rise@int8": an_estimate(0.1, 0.01, direction="lower")})})
    gates = {"quantisation.rise@int8": {"no_worse_than_baseline": 0.1, "why": "w"}}
    results = here.model_copy(update={"baseline": baseline_of(here, an_audit(exact))})
    (gate,) = judged(results, EffectivePolicy.model_validate({"gates": gates}), TODAY).gates
    assert gate.status == "undecided"
    assert "The baseline is zero" in gate.reason


@pytest.mark.parametrize(
    ("there", "here", "told"),
    [(0.1, 2.3, "+2200 %"), (-1e-6, -0.2, "−0.2"), (2.0, 1.0, "−50 %")],
)
def test_a_change_is_a_share_unless_that_says_only_how_near_to_zero_the_baseline_was(there, here, told):
    def with_loss(value):
        return an_audit({"loss": Measured(estimates={"value": an_estimate(value)})})

    compared = with_loss(here).model_copy(update={"baseline": baseline_of(with_loss(here), with_loss(there))})
    (change,) = changes(compared, ("loss.value",))
    assert change.shown == told
