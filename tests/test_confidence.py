"""The interval that decides is as sure as the gate asks, and looks share what error it allows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results_factory import a_check, an_audit

from landscape_audit.confidence import LOOKS, Judging, as_judged, over_looks
from landscape_audit.estimate import Bounds, Estimate, IntervalKind, IntervalPart, spread
from landscape_audit.gates.judge import judged
from landscape_audit.policy import Policy
from landscape_audit.results import GateResult, Measured

TODAY = dt.date(2026, 3, 2)
LEVELS = (0.9, over_looks(0.9), 0.99, over_looks(0.99))


def part(kind: IntervalKind, half: float = 1.0) -> IntervalPart:
    """10 ± `half` at 0.95, and wider by a tenth of that for each further level."""
    at = tuple(
        Bounds(level=level, low=10 - half * reach, high=10 + half * reach)
        for level, reach in zip(LEVELS, (0.8, 1.1, 1.2, 1.3), strict=True)
    )
    return spread(kind, 10.0, half).model_copy(update={"at": at})


def estimate(*parts: IntervalPart) -> Estimate:
    return Estimate.within(10.0, parts, level=0.95, direction="lower")


def gated(found: Estimate, grows: tuple[IntervalKind, ...] = (), looks: int = 1, **policy: Any) -> GateResult:
    check = a_check("trace", Measured(estimates={"trace": found}), grows=grows)
    audit = an_audit()
    protocol = audit.protocol.model_copy(update={"looks": looks})
    limit = {"trace.trace": {"at_most": 11.15, "why": "a test"}}
    held = judged(
        audit.model_copy(update={"checks": (check,), "protocol": protocol}),
        Policy.model_validate({"gates": limit, **policy}),
        TODAY,
    )
    return held.gates[0]


def test_a_gate_is_judged_at_its_own_confidence_or_the_policys_or_the_audits() -> None:
    found = estimate(part("sampling"))
    assert gated(found).status == "pass"
    assert gated(found, confidence=0.99).status == "undecided"
    own = {"trace.trace": {"at_most": 11.15, "why": "a test", "confidence": 0.9}}
    gate = gated(found, confidence=0.99, gates=own)
    assert (gate.status, gate.confidence) == ("pass", 0.9)
    assert gate.estimate is not None
    assert gate.estimate.high == pytest.approx(10.8)


def test_a_confidence_between_two_stored_ones_takes_the_wider() -> None:
    gate = gated(estimate(part("sampling")), confidence=0.96)
    assert gate.estimate is not None
    assert gate.estimate.high == pytest.approx(10 + 1.1 if over_looks(0.9) >= 0.96 else 10 + 1.2)


def test_a_confidence_that_no_audit_stored_settles_nothing_and_says_what_to_do() -> None:
    gate = gated(estimate(part("sampling")), confidence=0.9999)
    assert gate.status == "undecided"
    assert "[protocol] level = 0.9999" in gate.reason


def test_what_can_be_bought_is_judged_at_the_level_of_one_look_of_three_also_at_the_first() -> None:
    found = estimate(part("probe"))
    bought = gated(found, grows=("probe",), confidence=0.9)
    assert bought.looks == LOOKS
    assert bought.estimate is not None
    assert bought.estimate.high == pytest.approx(11.1)  # of over_looks(0.9), not of 0.9
    assert "over up to 3 looks, so wider than elsewhere" in bought.reason


@pytest.mark.parametrize("policy", [{"max_extra_budget": 0.0}, {"grows": ()}])
def test_a_gate_that_can_buy_nothing_has_one_look(policy: dict[str, Any]) -> None:
    gate = gated(estimate(part("probe")), **{"grows": ("probe",), "confidence": 0.9, **policy})
    assert gate.looks == 1
    assert gate.estimate is not None
    assert gate.estimate.high == pytest.approx(10.8)


def test_what_was_bought_under_another_policy_is_still_judged_as_one_look_of_three() -> None:
    assert gated(estimate(part("probe")), grows=("probe",), looks=2, max_extra_budget=0.0).looks == LOOKS


def test_the_sample_is_the_same_at_every_look_and_is_not_split() -> None:
    gate = gated(estimate(part("sampling"), part("probe", 0.1)), grows=("probe",), confidence=0.9)
    assert gate.looks == LOOKS
    assert gate.estimate is not None
    sampling, probe = gate.estimate.parts
    assert sampling.high == pytest.approx(10.8)
    assert probe.high == pytest.approx(10 + 0.1 * 1.1)


def test_a_part_that_holds_always_is_the_same_at_every_confidence() -> None:
    found = estimate(spread("rounding", 10.0, 0.5), spread("residual", 10.0, 0.2))
    for confidence in (0.6, 0.95, 0.9999):
        assert as_judged(found, Judging(confidence, LOOKS)).high == found.high


def test_a_part_of_a_level_that_was_stored_at_no_other_is_known_up_to_its_own() -> None:
    found = estimate(spread("sampling", 10.0, 1.0))
    assert as_judged(found, Judging(0.9)).high == found.high
    assert as_judged(found, Judging(0.96)).high is None


@given(st.floats(0.51, 0.9999), st.floats(0.51, 0.9999), st.sampled_from(["sampling", "probe", "residual", "bound"]))
def test_a_surer_gate_never_has_a_narrower_interval(one: float, other: float, kind: IntervalKind) -> None:
    less, more = (as_judged(estimate(part(kind)), Judging(each)) for each in sorted((one, other)))
    assert more.high is None or (less.high is not None and less.high <= more.high)
    split = as_judged(estimate(part(kind)), Judging(one, LOOKS))
    plain = as_judged(estimate(part(kind)), Judging(one))
    assert split.high is None or (plain.high is not None and plain.high <= split.high)
