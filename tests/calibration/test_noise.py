"""Noise floors, limits and what is told of them, from audits made by hand."""

from __future__ import annotations

import tomllib

import pytest
from results_factory import an_audit, an_estimate, between

from landscape_audit.calibration.calibration import calibration
from landscape_audit.calibration.gates import gates_toml, rates
from landscape_audit.calibration.record import Calibration, Resampling
from landscape_audit.calibration.repeat import Repeat
from landscape_audit.calibration.table import markdown, terminal_table
from landscape_audit.estimate import Estimate, Label, spread
from landscape_audit.policy import Policy
from landscape_audit.results import FileRecord, Measured

BOOTSTRAP = Resampling(kind="bootstrap", unit="examples", n_samples=450)
REDRAW = Resampling(kind="redraw", unit="examples", n_samples=450, drawn_from=4500)
LOSSES = (0.50, 0.52, 0.47, 0.51, 0.49, 0.53)


def repeats(**estimates: list[Estimate]) -> list[Repeat]:
    """Audits whose checks `loss` and `sharpness` have these numbers, one an audit."""
    count = len(next(iter(estimates.values())))
    audits = []
    for index in range(count):
        found: dict[str, Measured] = {}
        for name, each in estimates.items():
            check, _, key = name.partition("__")
            found[check] = Measured(estimates={key: each[index]})
        audits.append(Repeat(index, an_audit(found)))
    return audits


def losses(values=LOSSES, half=0.04):
    return [an_estimate(value, half, direction="lower") for value in values]


def calibrated(audits, resampling=REDRAW, *, family=False, asked=None) -> Calibration:
    return calibration(audits, resampling, asked=asked or len(audits), false_alarm=0.05, family=family)


def floor(found: Calibration, key: str):
    return next(number for number in found.numbers if number.key == key)


def test_the_noise_floor_is_the_standard_deviation_with_the_shared_examples_taken_into_account():
    found = floor(calibrated(repeats(loss__value=losses())), "loss.value")
    assert found.value == 0.50
    assert found.sd == pytest.approx(0.0216025 / (1 - 0.1) ** 0.5, rel=1e-5)
    assert found.honesty == pytest.approx(0.04 / (1.959964 * found.sd), rel=1e-5)


def test_a_bootstrap_leaves_the_audit_as_configured_out_of_the_spread_and_stands_its_limit_there():
    found = floor(calibrated(repeats(loss__value=losses((0.53, *LOSSES))), BOOTSTRAP), "loss.value")
    assert found.sd == pytest.approx(0.0216025, rel=1e-5)
    assert found.limit.centre == pytest.approx(0.57)
    assert found.shift == pytest.approx(sum(LOSSES) / 6 - 0.53)


def test_what_repeats_do_to_a_number_is_told():
    told = calibrated(repeats(loss__value=losses((0.53, *LOSSES))), BOOTSTRAP).told
    assert "Repeated examples move loss.value by −0.027 on average (−1.2 SD): the limits leave that out." in told


def test_a_number_that_is_like_none_of_its_bootstraps_has_no_limit():
    # The norm of the gradient where the audited sample was trained on: nearly zero there, and nowhere else.
    same = [an_estimate(norm, direction="lower") for norm in (1e-7, 0.05, 0.05, 0.05, 0.05, 0.05)]
    assert floor(calibrated(repeats(gradient__norm=same), BOOTSTRAP), "gradient.norm").limit is None
    norms = [an_estimate(norm, direction="lower") for norm in (1e-7, 0.05, 0.07, 0.06, 0.05, 0.04)]
    found = floor(calibrated(repeats(gradient__norm=norms), BOOTSTRAP), "gradient.norm")
    assert found.limit is None
    assert found.remark == "5 of 5 bootstraps are beyond its limit: was the checkpoint trained on these examples?"
    assert floor(calibrated(repeats(gradient__norm=norms), REDRAW), "gradient.norm").limit is not None


def test_only_an_interval_for_other_samples_is_held_against_their_noise():
    probes = [an_estimate(value, 0.04) for value in LOSSES]
    probes = [each.model_copy(update={"parts": (spread("probe", each.value, 0.04),)}) for each in probes]
    found = floor(calibrated(repeats(trace__trace=probes)), "trace.trace")
    assert found.half_width == pytest.approx(0.04)
    assert found.honesty is None


def test_numbers_that_are_not_finite_and_audits_that_failed_are_left_out_and_told():
    audits = repeats(loss__value=[*losses(), Estimate.exact(float("nan"), direction="lower")])
    audits.append(Repeat(7, None, "mse: the loss of batch 0 is inf\x1b[31m"))
    found = calibrated(audits)
    assert floor(found, "loss.value").n == 6
    assert floor(found, "loss.value").limit is not None
    assert "loss.value: no finite number in 1 of 7 audits; left out there." in found.told
    assert any(line.startswith("Audit 8 of 8 has no results: mse: the loss") for line in found.told)
    assert found.audits[7].status == "failed"
    assert "\x1b" not in terminal_table(found) + markdown(found) + gates_toml(found)


def test_too_few_finite_numbers_have_no_limit_and_it_says_why():
    nan = Estimate.exact(float("nan"), direction="lower")
    found = floor(calibrated(repeats(loss__value=[*losses()[:4], nan])), "loss.value")
    assert found.limit is None
    assert found.remark == "Finite in 4 audits only; a limit needs 5."


def test_what_nothing_bounds_above_has_no_upper_limit():
    rises = [between(value, value, None, direction="lower") for value in LOSSES]
    found = floor(calibrated(repeats(flatness__worst_case=rises)), "flatness.worst_case")
    assert found.limit is None
    assert found.remark == "Nothing bounds it above, so that at_most could never pass."


def test_what_varies_beyond_every_number_has_no_limit_and_it_says_why():
    found = floor(calibrated(repeats(loss__value=losses([1e-300, 1e200, 1.0, 1e100, 1e-300], half=0))), "loss.value")
    assert found.limit is None
    assert found.remark == "It varies too much: no finite limit keeps that rate."


def test_a_family_shares_the_rate_among_its_gates_and_both_rates_are_told():
    estimates = {
        "loss__value": losses(),
        "trace__trace": [an_estimate(10 + value, 0.1, direction="lower") for value in LOSSES],
    }
    each, family = (calibrated(repeats(**estimates), family=choice) for choice in (False, True))
    assert {key.key: key.limit.false_alarm for key in family.limited} == {
        number.key: 0.05 / len(family.limited) for number in family.limited
    }
    assert family.together == pytest.approx(0.05)
    assert each.together == pytest.approx(0.05 * len(each.limited))
    assert floor(family, "loss.value").limit.value > floor(each, "loss.value").limit.value
    assert "5 % for each of" in rates(each)
    assert "--family" in rates(each)


def with_classes(*words: str) -> list[Repeat]:
    label = [Measured(labels={"class": Label(value=word, reason="r")}) for word in words]
    return [Repeat(index, an_audit({"stationarity": each})) for index, each in enumerate(label)]


def test_the_class_that_all_audits_found_becomes_a_gate_and_others_are_not_ruled_out():
    found = calibrated(with_classes(*["minimum"] * 20))
    gate = Policy.model_validate(tomllib.loads(gates_toml(found))).gates["stationarity.class"]
    assert gate.one_of == ("minimum",)
    assert "others in at most 14 % (95 % sure)" in gate.why


def test_classes_that_vary_are_all_listed():
    found = calibrated(with_classes("minimum", "minimum", "saddle", "minimum", "minimum"))
    gate = Policy.model_validate(tomllib.loads(gates_toml(found))).gates["stationarity.class"]
    assert gate.one_of == ("minimum", "saddle")
    assert "It varies: minimum in 4, saddle in 1 of 5." in gate.why


def test_a_class_that_is_sometimes_undecided_has_no_gate_as_that_would_not_pass():
    found = calibrated(with_classes("minimum", "minimum", "saddle", "undecided", "minimum"))
    assert "stationarity.class" not in Policy.model_validate(tomllib.loads(gates_toml(found))).gates
    assert "Undecided in 1 of 5 audits: a gate on it would often not pass." in terminal_table(found)


HOSTILE = 'm"\n[gates."loss.value"]\nat_most = 1e9\u202e\x1b[31m`|<script>.safetensors'


def test_a_hostile_file_name_stays_a_word_in_every_file():
    audits = [
        Repeat(audit.seed, audit.results.model_copy(update={"subject": hostile_subject(audit)}))
        for audit in repeats(loss__value=losses())
    ]
    found = calibrated(audits)
    policy = Policy.model_validate(tomllib.loads(gates_toml(found)))
    assert policy.gates["loss.value"].at_most < 1
    for text in (gates_toml(found), markdown(found), terminal_table(found)):
        assert not {"\x1b", "\u202e"} & set(text)
    assert "<script>" not in markdown(found)
    assert Calibration.model_validate_json(found.to_json()) == found


def hostile_subject(audit: Repeat):
    file = FileRecord(name=HOSTILE, sha256="0" * 64, size_bytes=1)
    return audit.results.subject.model_copy(update={"files": (file,)})


def test_every_gate_has_the_limit_of_the_record_and_says_where_it_comes_from():
    found = calibrated(repeats(loss__value=losses()))
    policy = Policy.model_validate(tomllib.loads(gates_toml(found)))
    for number in found.limited:
        gate = policy.gates[number.key]
        assert getattr(gate, number.limit.side) == number.limit.value
        assert "6 audits of" in gate.why
    assert "with a probability of at least 95 % (one-sided prediction limit" in policy.gates["loss.value"].why
    assert f"fingerprint {found.data.fingerprint}" in gates_toml(found)


def test_an_interruption_is_told_with_what_is_left_of_it():
    assert "Interrupted: 6 of 20 audits ended." in calibrated(repeats(loss__value=losses()), asked=20).told
    few = calibrated(repeats(loss__value=losses()[:3]), asked=20)
    assert "Interrupted: 3 of 20 audits ended, which are too few for limits: these need 5." in few.told
    assert gates_toml(few) == ""
