from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft4Validator
from results_factory import an_audit
from verdicts import DEMANDS, TODAY, WHY, a_hostile_verdict, every_verdict, verdict_of

from landscape_audit.formats.sarif import sarif
from landscape_audit.gates.judge import judged
from landscape_audit.gates.policy_file import read_policy
from landscape_audit.policy import EffectivePolicy, Gate, Origin

SCHEMA = Draft4Validator(json.loads(Path(__file__).with_name("sarif-2.1.0-rtm.5.json").read_text()))


def the_run(results):
    """The one run, valid by the official schema."""
    log = json.loads(sarif(results))
    SCHEMA.validate(log)
    return log["runs"][0]


def the_result(status, *, waived=False, **changes):
    key, demand = DEMANDS[status]
    (found,) = the_run(verdict_of({key: Gate(why=WHY, **demand, **changes)}, waived=waived))["results"]
    return found


def test_the_schema_refuses_what_is_no_sarif():
    assert list(SCHEMA.iter_errors({"version": "2.1.0", "runs": [{"results": []}]}))


def test_every_kind_of_verdict_is_valid_and_every_result_has_a_place_as_github_wants():
    for results in list(every_verdict())[::9]:
        run = the_run(results)
        assert run["invocations"][0]["exitCode"] == results.verdict.exit_code
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        for found in run["results"]:
            assert rules[found["ruleIndex"]] == found["ruleId"]
            place = found["locations"][0]["physicalLocation"]
            assert place["artifactLocation"]["uri"]
            assert place["region"]["startLine"] >= 1


def test_a_result_stands_at_the_gates_line_in_its_policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a policy.toml").write_text('\n\n[gates."sharpness.lambda_max"]\nat_most = 20\nwhy = "w"\n')
    run = the_run(judged(an_audit(), read_policy(Path("a policy.toml")), TODAY))
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a%20policy.toml"}, "region": {"startLine": 3}}
    assert run["tool"]["driver"]["rules"][0]["help"] == {"text": "w"}


@pytest.mark.parametrize(
    ("written", "uri"),
    [
        ("./x.toml", "x.toml"),
        ("../x.toml", "../x.toml"),
        ("/etc/x.toml", "file:///etc/x.toml"),
        ("//host/x", "file:///host/x"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
    ],
)
def test_a_place_names_no_host_and_no_scheme_but_that_of_files(written, uri):
    gates = {"loss.value": Gate(at_most=0.0, why=WHY)}
    policy = EffectivePolicy(gates=gates, origins={"loss.value": Origin(file=written, line=2)})
    place = the_run(judged(an_audit(), policy, TODAY))["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == uri


def test_levels_are_the_consequences():
    assert the_result("fail")["level"] == "error"
    assert the_result("fail", level="warn")["level"] == "warning"
    assert the_result("incomparable", on_missing_baseline="pass")["level"] == "note"


def test_what_a_waiver_lets_through_is_suppressed_with_its_reason():
    (suppression,) = the_result("fail", waived=True)["suppressions"]
    assert suppression == {
        "kind": "external",
        "status": "accepted",
        "justification": "known (A. Person, until 2026-01-01)",
    }
    assert "suppressions" not in the_result("fail")


def test_a_fingerprint_follows_the_demand_and_not_what_was_found():
    one, same, other = (
        the_result("fail"),
        the_result("fail", level="warn"),
        the_result("undecided"),
    )
    assert one["partialFingerprints"] == same["partialFingerprints"] != other["partialFingerprints"]


def test_a_hostile_word_is_no_link_no_placeholder_and_no_control_character():
    run = the_run(a_hostile_verdict("[x](http://127.0.0.1/) {0} \x1b[31m\u202e \\[y](z)\ud800"))
    for found in run["results"]:
        text = found["message"]["text"]
        assert not re.search(r"(?<!\\)(\\\\)*\[", text), text
        assert "{0}" not in text.replace("{{", "").replace("}}", "")
        assert text.isprintable()
