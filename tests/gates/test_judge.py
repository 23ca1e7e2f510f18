from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results_factory import SHA256, an_audit, between

from landscape_audit.errors import PolicyError
from landscape_audit.estimate import Estimate, Label, spread
from landscape_audit.gates.demand import on_label, on_number
from landscape_audit.gates.judge import judged, last_line
from landscape_audit.gates.rulings import refuse_sample
from landscape_audit.policy import Gate, Policy
from landscape_audit.results import (
    AuditResults,
    Baseline,
    Difference,
    Failed,
    GateResult,
    InstrumentInfo,
    Measured,
    NotApplicable,
)

TODAY = dt.date(2026, 3, 2)
PASSING = {"sharpness.lambda_max": {"at_most": 50}}
FAILING = {"sharpness.lambda_max": {"at_most": 20}}
UNDECIDED = {"sharpness.lambda_max": {"at_most": 31}}


def a_policy(gates: dict[str, dict[str, Any]], **rest: Any) -> Policy:
    return Policy.model_validate({"gates": {key: {"why": "a reason"} | gate for key, gate in gates.items()}, **rest})


def judge(gates: dict[str, dict[str, Any]], audit: AuditResults | None = None, **rest: Any) -> AuditResults:
    return judged(audit or an_audit(), a_policy(gates, **rest), TODAY)


def only_gate(gates: dict[str, dict[str, Any]], audit: AuditResults | None = None) -> GateResult:
    (found,) = judge(gates, audit).gates
    return found


def a_waiver(**changes: Any) -> dict[str, Any]:
    fields = {
        "gate": "sharpness.lambda_max",
        "reason": "known",
        "approver": "R. Viewer",
        "expires": TODAY,
        "checkpoint_sha256": SHA256,
    }
    return fields | changes


# ------------------------------------------------------------------------------------------------ one gate, one number

finite = st.floats(min_value=-1e6, max_value=1e6)


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    low, value, high = sorted(draw(st.tuples(finite, finite, finite)))
    return between(draw(st.sampled_from([low, None])), value, draw(st.sampled_from([high, None])))


@st.composite
def numeric_gates(draw: st.DrawFn) -> Gate:
    low, high = sorted(draw(st.tuples(finite, finite)))
    sides = draw(st.sampled_from([{"at_least": low}, {"at_most": high}, {"at_least": low, "at_most": high}]))
    return Gate.model_validate({"why": "a reason", **sides})


def wider(estimate: Estimate, by: float) -> Estimate:
    return between(
        None if estimate.low is None else estimate.low - by,
        estimate.value or 0.0,
        None if estimate.high is None else estimate.high + by,
    )


@given(numeric_gates(), estimates(), st.floats(min_value=0, max_value=1e6))
def test_widening_an_interval_never_decides_and_never_reverses(gate: Gate, estimate: Estimate, by: float) -> None:
    before, after = on_number(gate, estimate).status, on_number(gate, wider(estimate, by)).status
    assert after in {before, "undecided"}


@given(numeric_gates(), estimates())
def test_a_pass_has_its_value_inside_and_a_fail_outside(gate: Gate, estimate: Estimate) -> None:
    assert estimate.value is not None
    floor = gate.at_least if gate.at_least is not None else float("-inf")
    ceiling = gate.at_most if gate.at_most is not None else float("inf")
    inside = floor <= estimate.value <= ceiling
    assert on_number(gate, estimate).status in ({"pass", "undecided"} if inside else {"fail", "undecided"})


@given(numeric_gates(), finite)
def test_an_exact_number_is_never_undecided(gate: Gate, value: float) -> None:
    assert on_number(gate, Estimate.exact(value)).status != "undecided"


def test_a_limit_itself_is_inside() -> None:
    assert on_number(Gate(at_most=2.0, at_least=2.0, why="w"), Estimate.exact(2.0)).status == "pass"


@pytest.mark.parametrize(("limit", "status"), [(1.0, "fail"), (3.0, "undecided")])
def test_a_lower_bound_can_fail_at_most_but_never_pass_it(limit: float, status: str) -> None:
    ruling = on_number(Gate(at_most=limit, why="w"), between(2.0, 2.0, None))
    assert ruling.status == status
    assert status == "fail" or "never pass" in ruling.reason


@pytest.mark.parametrize(("limit", "status"), [(3.0, "fail"), (1.0, "undecided")])
def test_an_upper_bound_can_fail_at_least_but_never_pass_it(limit: float, status: str) -> None:
    ruling = on_number(Gate(at_least=limit, why="w"), between(None, 2.0, 2.0))
    assert ruling.status == status
    assert status == "fail" or "never pass" in ruling.reason


@pytest.mark.parametrize(("value", "excess"), [(6.0, 0.5), (0.5, 0.5), (2.5, -1 / 6)])
def test_the_distance_to_a_range_is_the_one_to_its_nearest_limit(value: float, excess: float) -> None:
    gate = Gate(at_least=1.0, at_most=3.0, why="w")
    assert on_number(gate, Estimate.exact(value)).excess == pytest.approx(excess)


def test_a_label_must_be_one_of_the_words_and_not_begin_like_one() -> None:
    gate = Gate(one_of=("approximate", "minimum"), why="w")
    assert on_label(gate, "stationarity.class", Label(value="approximate_minimum", reason="r")).status == "fail"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_fails(value: float) -> None:
    ruling = on_number(Gate(at_least=0.0, why="w"), Estimate.exact(value))
    assert (ruling.status, ruling.reason) == ("fail", "It is not a finite number.")


def test_a_limit_missed_by_less_than_four_digits_show_still_fails_and_shows_it() -> None:
    ruling = on_number(Gate(at_most=50, why="w"), Estimate.exact(50.000001))
    assert (ruling.status, ruling.found) == ("fail", "50.000001")


def test_a_demand_and_what_was_found_are_words_and_the_label_beside_them_is_as_a_policy_spells_it() -> None:
    judged = judge({"stationarity.class": {"one_of": ["not_critical", "minimum"]}})
    (gate,) = judged.gates
    assert (gate.found, gate.demand) == ("approximate minimum", "one of not critical, minimum")
    assert gate.label == Label(value="approximate_minimum", reason=gate.reason)
    assert "is approximate minimum; demanded: one of not critical, minimum." in judged.verdict.sentence


# --------------------------------------------------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("gates", "word", "code"),
    [
        ({}, "OBSERVED", 0),
        (PASSING, "PASS", 0),
        (FAILING, "FAIL", 1),
        (UNDECIDED, "UNDECIDED", 3),
        ({**UNDECIDED, "loss.value": {"at_most": 0.01}}, "FAIL", 1),
        ({"sharpness.lambda_max": {"at_most": 20, "level": "warn"}}, "PASS", 0),
        ({"sharpness.lambda_max": {"at_most": 20, "level": "off"}}, "OBSERVED", 0),
        ({"stationarity.class": {"one_of": ["minimum"]}}, "FAIL", 1),
        ({"stationarity.class": {"one_of": ["minimum", "approximate_minimum"]}}, "PASS", 0),
    ],
)
def test_the_word_and_the_exit_code_follow_from_the_gates(gates: dict[str, Any], word: str, code: int) -> None:
    verdict = judge(gates).verdict
    assert (verdict.word, verdict.exit_code) == (word, code)


@pytest.mark.parametrize(
    ("setting", "word", "code"), [("error", "UNDECIDED", 3), ("warn", "UNDECIDED", 0), ("pass", "PASS", 0)]
)
def test_the_policy_says_what_undecided_costs(setting: str, word: str, code: int) -> None:
    verdict = judge(UNDECIDED, on_undecided=setting).verdict
    assert (verdict.word, verdict.exit_code, verdict.undecided) == (word, code, 1)


def test_a_label_that_says_undecided_is_undecided() -> None:
    audit = an_audit({"stationarity": Measured(labels={"class": Label(value="undecided", reason="more steps")})})
    gate = {"stationarity.class": {"one_of": ["minimum"]}}
    assert judge(gate, audit).verdict.exit_code == 3


def test_an_audit_with_a_crashed_check_never_passes() -> None:
    audit = an_audit({"surface": Failed(error="ValueError: no")}, partial="failed: surface")
    assert (judge(PASSING, audit).verdict.word, judge({}, audit).verdict.exit_code) == ("ERROR", 5)
    assert judge(PASSING, audit).verdict.crashed == 1
    assert judge(FAILING, audit).verdict.exit_code == 1


def test_the_sentence_says_that_an_audit_is_not_whole() -> None:
    verdict = judge(PASSING, an_audit(partial="interrupted after 3 of 10 checks")).verdict
    assert (verdict.word, verdict.exit_code) == ("ERROR", 5)
    assert "The audit is not whole: interrupted after 3 of 10 checks." in verdict.sentence


def test_a_gate_on_a_crashed_check_is_shown_as_undecided_with_the_error() -> None:
    result = judge(PASSING, an_audit({"sharpness": Failed(error="MemoryError: 3 GiB")}, partial="failed: sharpness"))
    assert (result.gates[0].status, result.verdict.exit_code) == ("undecided", 5)
    assert "MemoryError: 3 GiB" in result.gates[0].reason


def test_a_gate_on_a_check_that_an_interruption_came_before_is_an_error_and_not_a_typo() -> None:
    checks = tuple(check for check in an_audit().checks if check.id != "sharpness")
    audit = an_audit(checks=checks, partial="interrupted", unreached=("sharpness",))
    assert judge(PASSING, audit).verdict.exit_code == 5


@pytest.mark.parametrize("setting", ["error", "warn", "pass"])
def test_an_instrument_that_disagrees_never_passes_whatever_undecided_costs(setting: str) -> None:
    audit = an_audit(instrument=InstrumentInfo(agrees=False, disagreements=("hvp_symmetry: differ by 0.2",)))
    verdict = judge(PASSING, audit, on_undecided=setting).verdict
    assert (verdict.word, verdict.exit_code) == ("UNDECIDED", 3)
    assert "hvp_symmetry" in verdict.sentence


def test_an_instrument_that_disagrees_stops_no_merge_where_no_gate_could() -> None:
    audit = an_audit(instrument=InstrumentInfo(agrees=False, disagreements=("hvp_symmetry: differ by 0.2",)))
    verdict = judge({"sharpness.lambda_max": {"at_most": 50, "level": "warn"}}, audit).verdict
    assert (verdict.word, verdict.exit_code) == ("UNDECIDED", 0)


@pytest.mark.parametrize(
    ("gates", "found"), [({}, ("ERROR", 4)), (PASSING, ("ERROR", 4)), (UNDECIDED, ("ERROR", 4)), (FAILING, ("FAIL", 1))]
)
def test_an_audit_of_a_file_that_was_replaced_meanwhile_passes_nothing(gates, found) -> None:
    subject = an_audit().subject.model_copy(update={"replaced": ("model.safetensors was changed",)})
    verdict = judge(gates, an_audit(subject=subject)).verdict
    assert (verdict.word, verdict.exit_code) == found
    assert verdict.sentence.startswith("What was audited lies there no more: model.safetensors was changed.")


def test_an_audit_that_is_not_whole_is_that_also_where_its_file_was_replaced() -> None:
    subject = an_audit().subject.model_copy(update={"replaced": ("model.safetensors was changed",)})
    assert judge({}, an_audit(subject=subject, partial="interrupted")).verdict.exit_code == 5


def test_the_sentence_has_the_number_its_interval_and_the_limit() -> None:
    assert judge(PASSING).verdict.sentence == (
        "The largest Hessian eigenvalue is 31.24 (29.62 to 32.86); demanded: at most 50."
    )


@given(st.permutations(["loss.value", "sharpness.lambda_max", "sharpness.lambda_2", "gradient.norm"]))
def test_the_order_of_the_policy_changes_nothing(keys: list[str]) -> None:
    limits = {"loss.value": 0.01, "sharpness.lambda_max": 31, "sharpness.lambda_2": 22.5, "gradient.norm": 1}
    shuffled = judge({key: {"at_most": limits[key]} for key in keys})
    straight = judge({key: {"at_most": limits[key]} for key in sorted(limits)})
    assert (shuffled.gates, shuffled.verdict) == (straight.gates, straight.verdict)


def test_gates_come_worst_first() -> None:
    gates = {
        "gradient.norm": {"at_most": 1},
        "sharpness.lambda_max": {"at_most": 31},
        "sharpness.lambda_2": {"at_most": 1, "level": "warn"},
        "loss.value": {"at_most": 0.01},
        "trace.trace": {"at_most": 1},
    }
    found = [gate.key for gate in judge(gates).gates]
    assert found == ["trace.trace", "loss.value", "sharpness.lambda_max", "sharpness.lambda_2", "gradient.norm"]


def test_judging_again_gives_the_same() -> None:
    once = judge(FAILING)
    assert judged(once, once.policy, TODAY) == once
    assert AuditResults.model_validate_json(once.to_json()) == once


# ------------------------------------------------------------------------------------------- gates that match nothing


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({"sharpness.lambda_maxx": {"at_most": 1}}, "Did you mean 'sharpness.lambda_max'?"),
        ({"sharpnes.lambda_max": {"at_most": 1}}, "Did you mean 'sharpness.lambda_max'?"),
        ({"surface.curvature": {"at_most": 1}}, "does not apply here: no filters"),
        ({"spectral_density.mass": {"at_most": 1}}, "was left out of this audit"),
        ({"stationarity.class": {"at_most": 1}}, "it is a label; limits are for numbers"),
        ({"loss.value": {"one_of": ["low"]}}, "it is a number"),
    ],
)
def test_a_gate_that_can_never_match_is_an_error(gate: dict[str, Any], says: str) -> None:
    audit = an_audit({"surface": NotApplicable(reason="no filters")}, skipped=("spectral_density",))
    with pytest.raises(PolicyError) as raised:
        judge(gate, audit)
    assert says in str(raised.value)
    off = {key: {**demand, "level": "off"} for key, demand in gate.items()}
    assert judge(off, audit).gates == ()


# ------------------------------------------------------------------------------------------------------------- waivers


def test_a_waived_gate_stays_visible_and_does_not_fail() -> None:
    result = judge(FAILING, waivers=[a_waiver()])
    assert (result.verdict.word, result.verdict.waived, result.verdict.failed) == ("PASS", 1, 0)
    assert result.gates[0].status == "fail"
    assert result.gates[0].waiver is not None
    assert "R. Viewer" in result.gates[0].reason


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expires": TODAY - dt.timedelta(days=1)}, "expired on 2026-03-01"),
        ({"checkpoint_sha256": "0" * 64}, "another checkpoint"),
    ],
)
def test_a_waiver_holds_for_its_checkpoint_until_the_end_of_its_day(changes: dict[str, Any], says: str) -> None:
    result = judge(FAILING, waivers=[a_waiver(**changes)])
    assert result.verdict.exit_code == 1
    assert says in result.gates[0].reason


def test_a_waiver_lets_an_undecided_gate_through_too() -> None:
    result = judge(UNDECIDED, waivers=[a_waiver()])
    assert (result.verdict.word, result.verdict.waived, result.gates[0].status) == ("PASS", 1, "undecided")


def test_a_waived_warning_is_counted_as_waived() -> None:
    verdict = judge({"sharpness.lambda_max": {"at_most": 20, "level": "warn"}}, waivers=[a_waiver()]).verdict
    assert (verdict.waived, verdict.warned) == (1, 0)


def test_what_is_undecided_comes_before_what_is_waived() -> None:
    result = judge({**FAILING, "sharpness.lambda_2": {"at_most": 22.5}}, waivers=[a_waiver()])
    assert [gate.key for gate in result.gates] == ["sharpness.lambda_2", "sharpness.lambda_max"]


def test_a_waiver_of_a_passing_gate_does_nothing() -> None:
    result = judge(PASSING, waivers=[a_waiver()])
    assert (result.verdict.waived, result.gates[0].waiver) == (0, None)


def test_a_waiver_of_a_gate_there_is_none_of_is_an_error() -> None:
    with pytest.raises(PolicyError, match="no such gate"):
        judge(PASSING, waivers=[a_waiver(gate="sharpness.lambda_mx")])


# ------------------------------------------------------------------------------------------------------- the last line


def test_the_last_line_has_one_shape() -> None:
    assert last_line(judge(FAILING), Path("out/report.html"), 1) == (
        "landscape-audit: FAIL  0 passed, 1 failed, 0 undecided  (exit 1)  report: out/report.html"
    )
    waived = judge(FAILING, waivers=[a_waiver()])
    assert last_line(waived, None, 0) == "landscape-audit: PASS  0 passed, 0 failed, 0 undecided, 1 waived  (exit 0)"


def test_the_counts_are_the_gates() -> None:
    result = judge({**UNDECIDED, "loss.value": {"at_most": 0.01, "level": "warn"}, "gradient.norm": {"at_most": 1}})
    counts = result.verdict
    assert (counts.passed, counts.undecided, counts.warned) == (1, 1, 1)
    assert counts.passed + counts.failed + counts.undecided + counts.warned + counts.waived == len(result.gates)


def test_judging_loads_neither_torch_nor_numpy_nor_matplotlib(tmp_path: Path) -> None:
    stored = tmp_path / "results.json"
    stored.write_text(an_audit(policy=a_policy(FAILING)).to_json(), encoding="utf-8")
    script = (
        "import json, sys, typer\n"
        "from pathlib import Path\n"
        "from landscape_audit.cli.gate import gate\n"
        "try:\n    gate(Path(sys.argv[1]))\n"
        "except typer.Exit as stop:\n    code = stop.exit_code\n"
        "print(json.dumps([code, sorted({'torch', 'numpy', 'matplotlib', 'jinja2'} & set(sys.modules))]))\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(stored)], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [1, []]


# ----------------------------------------------------------------------------------- between, finite, what is required


@pytest.mark.parametrize(("limits", "status"), [([20, 50], "pass"), ([31, 50], "undecided"), ([60, 70], "fail")])
def test_between_is_at_least_and_at_most_at_once(limits: list[int], status: str) -> None:
    gate = only_gate({"sharpness.lambda_max": {"between": limits}})
    assert (gate.status, gate.limit_low, gate.limit_high) == (status, *limits)
    assert gate.demand == f"at least {limits[0]} and at most {limits[1]}"


def test_finite_passes_whatever_the_interval_and_fails_what_is_no_number() -> None:
    assert only_gate({"sharpness.lambda_max": {"finite": True}}).status == "pass"
    lost = Measured(estimates={"lambda_max": Estimate.exact(float("nan"))})
    assert only_gate({"sharpness.lambda_max": {"finite": True}}, an_audit({"sharpness": lost})).status == "fail"


@pytest.mark.parametrize(("samples", "word"), [(1, "PASS"), (10**9, "FAIL")])
def test_an_audit_must_rest_on_as_many_examples_as_the_policy_requires(samples: int, word: str) -> None:
    found = judge(PASSING, require={"n_samples": samples})
    assert found.verdict.word == word
    assert {gate.key for gate in found.gates} == {"require.n_samples", "sharpness.lambda_max"}


def test_an_audit_of_other_data_than_required_fails() -> None:
    data = an_audit().data.fingerprint
    assert judge({}, require={"data": data}).verdict.word == "PASS"
    assert judge({}, require={"data": "0" * 64}).verdict.word == "FAIL"


def test_a_sample_that_is_not_what_is_required_is_refused_unless_a_waiver_names_that() -> None:
    waiver = {
        "gate": "require.n_samples",
        "reason": "r",
        "approver": "a",
        "expires": TODAY,
        "checkpoint_sha256": SHA256,
    }
    few = {"require": {"n_samples": 10**9}}
    with pytest.raises(PolicyError, match="the policy requires at least 1000000000 examples"):
        refuse_sample(an_audit().data, Policy.model_validate(few))
    refuse_sample(an_audit().data, Policy.model_validate({**few, "waivers": [waiver]}))
    refuse_sample(an_audit().data, Policy.model_validate({"require": {"n_samples": 1}}))


# ------------------------------------------------------------------------------------------------------------ baselines


def beside(value: float, *differences: Difference, width: float = 0.0) -> AuditResults:
    """An audit whose λ_max is 10 to 11 beside a baseline whose λ_max is `value`."""
    here = Measured(estimates={"lambda_max": between(10.0, 10.5, 11.0, direction="lower")})
    there = between(value - width, value, value + width, direction="lower")
    baseline = Baseline(
        name="base",
        sha256=(),
        finished="",
        measured="stored",
        differences=differences,
        estimates={"sharpness.lambda_max": there},
    )
    return an_audit({"sharpness": here}, baseline=baseline)


NO_WORSE = {"sharpness.lambda_max": {"no_worse_than_baseline": 0.1}}


@pytest.mark.parametrize(("there", "status"), [(10.0, "pass"), (20.0, "pass"), (9.5, "undecided"), (5.0, "fail")])
def test_how_much_worse_than_the_baseline_is_held_against_what_is_allowed(there: float, status: str) -> None:
    gate = only_gate(NO_WORSE, beside(there))
    assert (gate.status, gate.demand) == (status, "at most 10 % above the baseline")


def test_a_verdict_on_a_change_says_that_it_is_a_change() -> None:
    told = judge(NO_WORSE, beside(5.0)).verdict.sentence
    assert told.startswith("The largest Hessian eigenvalue changed by +110 % (")
    unknown = judge(NO_WORSE, beside(0.0)).verdict.sentence
    assert "changed by no" not in unknown


def test_an_allowance_is_demanded_in_full_and_not_as_a_rounded_share() -> None:
    gate = only_gate({"sharpness.lambda_max": {"no_worse_than_baseline": 0.123456}}, beside(10.0))
    assert gate.demand == "at most 12.3456 % above the baseline"


def test_an_allowance_may_be_in_the_unit_of_the_number() -> None:
    allowed = {"sharpness.lambda_max": {"no_worse_than_baseline": {"absolute": 1.5}}}
    assert only_gate(allowed, beside(9.5)).status == "pass"
    assert only_gate(allowed, beside(9.5)).demand == "at most 1.5 above the baseline"
    assert only_gate(allowed, beside(8.0)).status == "fail"


def test_each_of_two_demands_has_its_own_reason() -> None:
    allowed = {"relative": 0.1, "why": "a tenth is chance"}
    found = judge({"sharpness.lambda_max": {"at_most": 50, "no_worse_than_baseline": allowed}}, beside(5.0))
    assert [gate.why for gate in found.gates] == ["a tenth is chance", "a reason"]


def test_the_uncertainty_of_the_baseline_counts() -> None:
    assert only_gate(NO_WORSE, beside(5.0, width=1.0)).status == "fail"
    assert only_gate(NO_WORSE, beside(5.0, width=4.9)).status == "undecided"
    assert only_gate(NO_WORSE, beside(5.0, width=5.1)).status == "undecided"
    assert "allow an absolute change" in only_gate(NO_WORSE, beside(5.0, width=5.1)).reason
    assert "allow an absolute change" not in only_gate(NO_WORSE, beside(5.0, width=4.9)).reason


def told_by_pieces(value: float, last: float) -> Estimate:
    part = spread("sampling", value, 1.0, (value - 1, value, value + last))
    return Estimate.within(value, (part,), level=0.95, direction="lower")


def test_pieces_give_a_change_at_a_confidence_that_neither_audit_stored() -> None:
    there = {"sharpness.lambda_max": told_by_pieces(9.1, 1.01)}
    baseline = Baseline(name="base", sha256=(), finished="", measured="together", paired=("sampling",), estimates=there)
    here = Measured(estimates={"lambda_max": told_by_pieces(10.0, 1.0)})
    allowed = {"sharpness.lambda_max": {"no_worse_than_baseline": {"absolute": 0.9}, "confidence": 0.9999}}
    gate = only_gate(allowed, an_audit({"sharpness": here}, baseline=baseline))
    assert gate.estimate is not None
    assert (gate.status, gate.reason) == ("undecided", "The limit lies inside the interval. At 99.99 %.")


def test_a_gate_may_have_a_limit_of_its_own_beside_the_baseline() -> None:
    both = {"sharpness.lambda_max": {"at_most": 50, "no_worse_than_baseline": 0.1}}
    found = judge(both, beside(5.0))
    assert [(gate.status, gate.demand) for gate in found.gates] == [
        ("fail", "at most 10 % above the baseline"),
        ("pass", "at most 50"),
    ]


FOLLOWS = {"error": ("UNDECIDED", 3), "warn": ("PASS", 0), "pass": ("PASS", 0)}


@pytest.mark.parametrize("said", FOLLOWS)
def test_the_policy_says_what_follows_where_there_is_no_baseline(said: str) -> None:
    found = judge(NO_WORSE, on_missing_baseline=said)
    assert (found.verdict.word, found.verdict.exit_code) == FOLLOWS[said]
    assert (found.gates[0].status, found.gates[0].consequence) == ("incomparable", said)
    by_gate = {"sharpness.lambda_max": {"no_worse_than_baseline": 0.1, "on_missing_baseline": said}}
    assert judge(by_gate).verdict.exit_code == FOLLOWS[said][1]


def test_what_cannot_be_compared_says_which_keys_differ() -> None:
    data = Difference(key="data.fingerprint", here="ab", there="cd")
    soft = Difference(key="environment.torch", here="2.13", there="2.11", hard=False)
    other = Difference(key="trace.version", here="2", there="1", check="trace")
    assert only_gate(NO_WORSE, beside(20.0, soft, other)).status == "pass"
    gate = only_gate(NO_WORSE, beside(20.0, data, soft))
    assert gate.status == "incomparable"
    assert "data.fingerprint (cd → ab)" in gate.reason


def test_a_number_without_a_better_side_cannot_be_worse() -> None:
    with pytest.raises(PolicyError, match="neither more nor less of it is better"):
        judge(
            {"sharpness.lambda_max": {"no_worse_than_baseline": 0.1}},
            an_audit({"sharpness": Measured(estimates={"lambda_max": between(1.0, 1.0, 1.0)})}),
        )


# -------------------------------------------------------------------------------- what is not settled, and what follows


@pytest.mark.parametrize("said", FOLLOWS)
def test_a_gate_may_say_itself_what_follows_where_it_is_undecided(said: str) -> None:
    found = judge({"sharpness.lambda_max": {"at_most": 31, "on_undecided": said}})
    follows = FOLLOWS | {"warn": ("UNDECIDED", 0)}
    assert (found.verdict.word, found.verdict.exit_code) == follows[said]
    assert found.gates[0].consequence == said


def test_a_pass_does_not_read_as_a_complaint_about_what_the_policy_lets_be() -> None:
    gates = {"sharpness.lambda_max": {"at_most": 31, "on_undecided": "pass"}, "loss.value": {"finite": True}}
    assert judge(gates).verdict.sentence.startswith("1 gate passed. Left open, as the policy allows: the largest")


@pytest.mark.parametrize("said", ["warn", "pass"])
def test_a_check_that_does_not_apply_is_let_be_where_the_policy_says_so(said: str) -> None:
    audit = an_audit({"sharpness": NotApplicable(reason="no parameters")})
    found = judge(PASSING, audit, on_not_applicable=said)
    assert (found.verdict.word, found.gates[0].status) == ("PASS", "not_applicable")
    assert (found.verdict.warned, found.verdict.ignored) == ((1, 0) if said == "warn" else (0, 1))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"expires": "2026-13-01"}, "it must be a day"),
        ({"expires": 1893456000}, ""),
        ({"expires": "1893456000"}, ""),
        ({"expires": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)}, ""),
        ({"expires": None}, "it must be a day"),
        ({"approver": ""}, "it must not be empty"),
        ({"reason": 3}, "it must be text, in quotes"),
        ({"checkpoint_sha256": "ab"}, "it is not of the form that it must have"),
        ({"aprover": "me"}, "unknown setting aprover"),
    ],
)
def test_a_malformed_waiver_waives_nothing_and_says_so(damage: dict[str, Any], told: str) -> None:
    found = judge(FAILING, waivers=[a_waiver(**damage)])
    assert (found.verdict.word, found.gates[0].waiver) == ("FAIL", None)
    assert "malformed and lets nothing through" in found.gates[0].reason
    assert told in found.gates[0].reason
    assert judged(AuditResults.model_validate_json(found.to_json()), found.policy, TODAY) == found
