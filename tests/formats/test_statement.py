"""The statement has the shape of in-toto's, and says PASSED only where every demand was met."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re

import pytest
from hostile_audit import an_audit_with_everything
from results_factory import a_check, an_audit
from sealed_audit import POLICY, a_sealed_audit, several_audits

from landscape_audit.formats.statement import statement
from landscape_audit.results import Failed, GateResult, InstrumentInfo, Verdict

AUDITS = [*several_audits(), an_audit_with_everything(), an_audit()]


def told(results):
    return json.loads(statement(results))


def assert_descriptor(found, keys=frozenset({"name", "digest", "mediaType", "annotations", "uri", "content"})):
    assert found.keys() <= keys
    assert found.keys() & {"uri", "digest", "content"}
    for algorithm, value in found.get("digest", {}).items():
        assert re.fullmatch(r"[A-Za-z0-9_]+", algorithm)
        assert re.fullmatch(r"[0-9a-f]{64}", value)
    base64.b64decode(found.get("content", ""), validate=True)


@pytest.mark.parametrize("results", AUDITS, ids=lambda results: results.verdict.word)
def test_a_statement_is_in_totos_and_a_test_result(results, monkeypatch):
    monkeypatch.delenv("CI_JOB_URL", raising=False)
    monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
    found = told(results)
    assert found.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert [(each["name"], each["digest"]) for each in found["subject"]] == [
        (file.name, {"sha256": file.sha256}) for file in results.subject.files
    ]
    predicate = found["predicate"]
    assert predicate.keys() == {"result", "configuration", "passedTests", "warnedTests", "failedTests"}
    assert predicate["result"] in {"PASSED", "WARNED", "FAILED"}
    for each in (*found["subject"], *predicate["configuration"]):
        assert_descriptor(each)
    lists = [predicate[f"{word}Tests"] for word in ("passed", "warned", "failed")]
    names = list(itertools.chain(*lists))
    assert len(names) == len(set(names)), "a test came out in one way"
    assert {gate.key for gate in results.gates} <= set(names)


@pytest.mark.parametrize("word", ["PASS", "FAIL", "UNDECIDED", "ERROR", "OBSERVED"])
@pytest.mark.parametrize("code", [0, 1, 3, 4, 5])
def test_a_statement_failed_exactly_where_the_exit_code_is_not_0(word, code):
    verdict = Verdict(word=word, sentence="s", exit_code=code)
    assert (told(an_audit(verdict=verdict))["predicate"]["result"] == "FAILED") == (code != 0)


def a_gate(status, consequence="pass", key="loss.value", level="error"):
    return GateResult(
        key=key, level=level, status=status, consequence=consequence, demand="d", found="f", reason="r", why="w"
    )


@pytest.mark.parametrize("status", ["pass", "fail", "undecided", "incomparable", "not_applicable"])
@pytest.mark.parametrize("consequence", ["pass", "warn", "error"])
def test_passed_is_said_of_a_gate_only_where_it_passed(status, consequence):
    results = an_audit(gates=(a_gate(status, consequence),), verdict=Verdict(word="PASS", sentence="s", exit_code=0))
    wanted = "passed" if status == "pass" else "failed" if consequence == "error" else "warned"
    assert told(results)["predicate"][f"{wanted}Tests"] == ["loss.value"]
    assert told(results)["predicate"]["result"] == ("PASSED" if status == "pass" else "WARNED")


def test_a_gate_of_two_demands_is_one_test_by_the_worse_of_them():
    for gates in itertools.permutations((a_gate("pass"), a_gate("fail", "error"), a_gate("undecided", "warn"))):
        assert told(an_audit(gates=gates))["predicate"]["failedTests"] == ["loss.value"]


def test_an_audit_of_which_nothing_was_demanded_did_not_pass():
    observed = next(each for each in several_audits() if each.verdict.word == "OBSERVED")
    assert told(observed)["predicate"]["result"] == "WARNED"


def test_a_broken_check_and_an_instrument_that_disagrees_are_tests_that_failed():
    results = an_audit(
        checks=(a_check("trace", Failed(error="e")),), instrument=InstrumentInfo(agrees=False, disagreements=("x",))
    )
    assert told(results)["predicate"]["failedTests"] == ["instrument", "trace"]


def test_the_policy_and_the_results_are_those_that_lie_beside_it():
    results = a_sealed_audit()
    digests = {each["name"]: each["digest"] for each in told(results)["predicate"]["configuration"]}
    for name, text in (("policy.json", results.policy.to_json()), ("results.json", results.to_json())):
        assert digests[name] == {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_results_that_no_file_holds_are_not_named():
    unsealed = a_sealed_audit(POLICY).model_copy(update={"seal": None})
    assert "results.json" not in {each["name"] for each in told(unsealed)["predicate"]["configuration"]}


def test_the_job_that_ran_it_is_named_where_there_is_one(monkeypatch):
    for name, value in (("SERVER_URL", "https://github.com"), ("REPOSITORY", "a/b"), ("RUN_ID", "7")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert told(an_audit())["predicate"]["url"] == "https://github.com/a/b/actions/runs/7"
    monkeypatch.delenv("GITHUB_RUN_ID")
    monkeypatch.setenv("CI_JOB_URL", "https://gitlab.com/a/b/-/jobs/7")
    assert told(an_audit())["predicate"]["url"] == "https://gitlab.com/a/b/-/jobs/7"
