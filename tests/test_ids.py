"""What the battery gives is declared, so that a misspelt gate is told before anything is measured."""

from __future__ import annotations

from typing import Any

import pytest
from results_factory import a_check, an_audit

from landscape_audit.errors import PolicyError
from landscape_audit.gates.lint import CHECKS, expect
from landscape_audit.gates.policy_file import BUILT_IN, read_policy
from landscape_audit.ids import AGREEMENTS, IDS, declared, name_of, word_of
from landscape_audit.policy import Policy
from landscape_audit.results import Measured


def gate(key: str, **demand: Any) -> Policy:
    return Policy.model_validate({"gates": {key: {"why": "a test", **(demand or {"at_most": 1})}}})


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (gate("sharpnes.lambda_max"), "Did you mean 'sharpness'?"),
        (gate("sharpness.lambda_mx"), "Did you mean 'sharpness.lambda_max'?"),
        (gate("sharpness.lambda_two"), "gives nothing of that name"),
        (gate("flatness.rise@wide"), "gives nothing of that name"),
        (gate("quantisation.rise@int3"), "Did you mean 'quantisation.rise@int"),
        (gate("stationarity.class", one_of=["minimun"]), "Did you mean 'minimum'?"),
        (gate("stationarity.class", at_most=1), "it is a label; limits are for numbers."),
        (gate("loss.value", one_of=["small"]), "it is a number; one_of is for labels."),
        (gate("gradient.noise_scale", no_worse_than_baseline=0.1), "neither more nor less of it is better"),
        (gate("sam.loss_difference"), r"\[checks.sam\] enabled = true"),
    ],
)
def test_a_gate_that_could_never_match_is_refused_before_anything_is_measured(policy: Policy, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        expect(policy, (check for check in CHECKS if check != "sam"), ["sam"])


@pytest.mark.parametrize(
    "policy",
    [
        gate("flatness.rise@0.05"),
        gate("flatness.rise@1e-05"),
        gate("sharpness.lambda_7"),
        gate("layer_curvature.sharpest", one_of=["layers.0.weight"]),
        gate("stationarity.class", one_of=["minimum", "undecided"]),
        gate("sharpness.nothing", at_most=1, level="off"),
        gate("someones.number"),
        *(read_policy(name) for name in BUILT_IN),
    ],
)
def test_a_gate_that_may_match_is_let_be(policy: Policy) -> None:
    expect(policy, (*CHECKS, "someones"))


def test_every_id_stands_for_itself_and_for_no_other() -> None:
    for each in IDS:
        key = each.key.replace("<number>", "3")
        assert declared(key) is each
        assert sum(bool(other.matches(key)) for other in IDS) == 1
    assert len({each.name for each in IDS}) == len(IDS)


def test_what_is_declared_but_not_there_does_not_apply_and_says_what_it_needs() -> None:
    import datetime as dt

    from landscape_audit.gates.judge import judged

    audit = an_audit().model_copy(update={"checks": (a_check("sharpness", Measured()),)})
    policy = gate("sharpness.edge_of_stability")
    with pytest.raises(PolicyError, match=r"it needs \[protocol\] learning_rate"):
        judged(audit, policy, dt.date(2026, 3, 2))
    (held,) = judged(audit, policy.model_copy(update={"on_not_applicable": "pass"}), dt.date(2026, 3, 2)).gates
    assert (held.status, held.consequence) == ("not_applicable", "pass")
    assert "learning_rate" in held.reason


def test_the_checks_of_the_table_are_those_of_the_battery() -> None:
    from landscape_audit.checks import BATTERY, OPT_IN

    assert set(CHECKS) == {check.id for check in (*BATTERY, *OPT_IN)}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("sharpness.lambda_max", "the largest Hessian eigenvalue"),
        ("sharpness.lambda_3", "Hessian eigenvalue 3 from the top"),
        ("flatness.rise@0.05", "the mean rise of the loss at radius 0.05"),
        ("quantisation.rise@int8", "the rise of the loss with weights in int8"),
        ("someones.plugin_number", "someones.plugin_number"),
    ],
)
def test_an_id_has_a_name_that_people_read_or_is_its_own(key: str, name: str) -> None:
    assert name_of(key) == name


def test_everything_that_is_gated_often_has_a_name() -> None:
    audit = an_audit()
    unnamed = [key for key in (*audit.estimates(), *audit.labels()) if name_of(key) == key]
    assert all(key.startswith("instrument.") for key in unnamed)


def test_no_word_and_no_agreement_is_printed_with_an_underscore() -> None:
    for each in IDS:
        assert not any("_" in word_of(each.key, word) for word in each.words), each.key
    agreements = {each.key.partition(".")[2] for each in IDS if each.check == "instrument" and not each.words}
    assert set(AGREEMENTS) == agreements - {"loss_noise"} | {"loss_stays"}
    assert not any("_" in told for told in AGREEMENTS.values())


def test_a_name_out_of_the_model_is_no_word_of_ours() -> None:
    assert word_of("layer_curvature.sharpest", "not_critical") == "not_critical"
    assert word_of("stationarity.class", "a_strange_word") == "a_strange_word"
