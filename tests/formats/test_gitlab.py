from __future__ import annotations

import json

import pytest
from verdicts import DEMANDS, WHY, a_hostile_verdict, every_verdict, verdict_of

from landscape_audit.formats.gitlab import gitlab
from landscape_audit.policy import Gate


def issues(results):
    return json.loads(gitlab(results))


def the_issue(status, **changes):
    key, demand = DEMANDS[status]
    (found,) = issues(verdict_of({key: Gate(why=WHY, **demand, **changes)}))
    return found


def test_an_issue_has_what_gitlab_requires_and_stands_at_the_gates_line():
    issue = the_issue("fail")
    assert issue["check_name"] == "sharpness.lambda_max"
    assert issue["location"] == {"path": "ci/policy.toml", "lines": {"begin": 3}}
    assert "31.24 (29.62 to 32.86); demanded: at most 20" in issue["description"]


@pytest.mark.parametrize(
    ("status", "changes", "severity"),
    [
        ("fail", {}, "critical"),
        ("undecided", {}, "major"),
        ("fail", {"level": "warn"}, "minor"),
        ("undecided", {"on_undecided": "pass"}, "info"),
    ],
)
def test_the_severity_is_the_consequence(status, changes, severity):
    assert the_issue(status, **changes)["severity"] == severity


def test_passed_gates_are_no_issues():
    assert issues(verdict_of({"sharpness.lambda_max": Gate(at_most=50.0, why=WHY)})) == []


def test_fingerprints_are_unique_in_a_report_and_the_same_in_the_next():
    gate = Gate(at_most=20.0, no_worse_than_baseline=0.1, why=WHY)
    results = verdict_of({"sharpness.lambda_max": gate, "loss.value": Gate(at_most=0.0, why=WHY)}, "crashed")
    found = [issue["fingerprint"] for issue in issues(results)]
    assert len(set(found)) == len(found) == 5
    assert found == [issue["fingerprint"] for issue in issues(results)]


def test_every_issue_is_whole_whatever_the_verdict():
    for results in every_verdict():
        for issue in issues(results):
            assert set(issue) == {"engine_name", "description", "check_name", "fingerprint", "severity", "location"}
            assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
            assert issue["location"]["lines"]["begin"] >= 1


def test_hostile_words_are_printable():
    for issue in issues(a_hostile_verdict()):
        assert all(
            word.isprintable() for word in (issue["description"], issue["check_name"], issue["location"]["path"])
        )
