from __future__ import annotations

import math
import threading

from hostile_audit import HOSTILE
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from results_factory import a_check, an_audit, between
from verdicts import TODAY, WHY, a_hostile_verdict, every_verdict, verdict_of

from landscape_audit.estimate import Estimate
from landscape_audit.formats.openmetrics import openmetrics
from landscape_audit.gates.judge import judged
from landscape_audit.policy import EffectivePolicy, Gate
from landscape_audit.results import Measured
from landscape_audit.text import printable


def families(results):
    """The metrics, as the reference parser of OpenMetrics reads them."""
    return {family.name: family for family in text_string_to_metric_families(openmetrics(results))}


def values(family):
    return {tuple(sorted(sample.labels.items())): sample.value for sample in family.samples}


def bounds(estimate):
    results = an_audit(checks=(a_check("loss", Measured(estimates={"value": estimate})),))
    found = families(judged(results, EffectivePolicy(), TODAY))["landscape_audit_estimate"].samples
    return {sample.labels["bound"]: sample.value for sample in found}


def test_every_estimate_is_there_with_its_interval_unrounded():
    results = verdict_of({})
    found = families(results)["landscape_audit_estimate"]
    assert found.type == "gauge"
    for key, estimate in results.estimates().items():
        shown = {sample.labels["bound"]: sample.value for sample in found.samples if sample.labels["id"] == key}
        assert shown["value"] == estimate.value
        assert shown["high"] == (math.inf if estimate.high is None else estimate.high)


def test_a_side_on_which_nothing_is_known_is_infinite():
    assert bounds(between(0.5, 0.5, None)) == {"value": 0.5, "low": 0.5, "high": math.inf}


def test_a_number_that_is_none_says_which():
    assert math.isnan(bounds(Estimate.exact(math.nan))["value"])
    assert bounds(Estimate.exact(-math.inf)) == {"value": -math.inf}


def test_one_state_of_each_gate_and_of_the_verdict_is_set():
    for results in list(every_verdict())[::5]:
        found = families(results)
        (word,) = (sample.labels for sample in found["landscape_audit_verdict"].samples if sample.value)
        assert word == {"landscape_audit_verdict": results.verdict.word}
        if results.gates:
            states = [sample.labels for sample in found["landscape_audit_gate_status"].samples if sample.value]
            assert [each["landscape_audit_gate_status"] for each in states] == [gate.status for gate in results.gates]


def test_the_cost_is_in_passes_over_the_sample():
    found = values(families(verdict_of({}))["landscape_audit_cost"])
    assert found == {(("passes", "forwards"),): 96, (("passes", "gradients"),): 0, (("passes", "products"),): 41}


def test_hostile_label_values_come_back_as_they_were_shown():
    found = families(a_hostile_verdict())["landscape_audit_gate_status"].samples
    assert {sample.labels["key"] for sample in found} == {
        printable(f"{check}.{HOSTILE}") for check in ("sharpness", "loss", "trace")
    }


def test_two_demands_of_one_gate_are_two_states():
    gate = Gate(at_most=20.0, no_worse_than_baseline=0.1, why=WHY)
    found = families(verdict_of({"sharpness.lambda_max": gate}))["landscape_audit_gate_status"].samples
    assert {sample.labels["demand"] for sample in found} == {"at most 20", "at most 10 % above the baseline"}


def test_nothing_is_started_and_nothing_of_this_process_is_told():
    before = threading.active_count()
    assert all(name.startswith("landscape_audit_") for name in families(verdict_of({})))
    assert threading.active_count() == before
