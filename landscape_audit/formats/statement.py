"""An unsigned in-toto statement: this checkpoint, under this policy, came out so. Sign it to say who says so.

Source: in-toto Attestation Framework, Statement v1 and the predicate test-result v0.1.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Literal

from landscape_audit.results import AuditResults, Failed, GateResult

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
Outcome = Literal["PASSED", "WARNED", "FAILED"]


def statement(results: AuditResults) -> str:
    """The statement as JSON. Its subject are the checkpoint's files; its tests are the gates, by their keys."""
    files = [{"name": file.name, "digest": {"sha256": file.sha256}} for file in results.subject.files]
    told = {"_type": STATEMENT, "subject": files, "predicateType": PREDICATE, "predicate": _predicate(results)}
    return json.dumps(told, indent=1) + "\n"


def _predicate(results: AuditResults) -> dict[str, Any]:
    tests = _tests(results)
    told = {
        "result": _result(results, tests),
        "configuration": _configuration(results),
        **{f"{word.lower()}Tests": [key for key, each in tests.items() if each == word] for word in _WORST_FIRST[::-1]},
    }
    url = _job(os.environ)
    return {**told, "url": url} if url else told


_WORST_FIRST: tuple[Outcome, ...] = ("FAILED", "WARNED", "PASSED")


def _result(results: AuditResults, tests: Mapping[str, Outcome]) -> Outcome:
    """The verdict in the predicate's three words: FAILED wherever the exit code is not 0, so UNDECIDED and ERROR too.

    WARNED where it is 0 and not every gate passed, or nothing was demanded: who reads PASSED may rely on a demand.
    """
    if results.verdict.exit_code:
        return "FAILED"
    return "PASSED" if results.verdict.word == "PASS" and set(tests.values()) == {"PASSED"} else "WARNED"


def _tests(results: AuditResults) -> dict[str, Outcome]:
    """How each gate came out, by the worst of its demands; a broken check, or instrument, is a test that failed."""
    broken = [check.id for check in results.checks if isinstance(check.outcome, Failed)]
    broken += [] if results.instrument.agrees else ["instrument"]
    tests: dict[str, Outcome] = dict.fromkeys(broken, "FAILED")
    for gate in results.gates:
        tests[gate.key] = min(_test(gate), tests.get(gate.key, "PASSED"), key=_WORST_FIRST.index)
    return dict(sorted(tests.items()))


def _test(gate: GateResult) -> Outcome:
    if gate.status == "pass":
        return "PASSED"
    return "FAILED" if gate.consequence == "error" else "WARNED"


def _configuration(results: AuditResults) -> list[dict[str, Any]]:
    """The policy, as the PDF has it attached; the sample; and the results, where they are those that `run` sealed."""
    verdict = results.verdict
    word = {"landscapeAudit_verdict": verdict.word, "landscapeAudit_exitCode": verdict.exit_code}
    sample = {"landscapeAuditSample": results.data.fingerprint}  # of tensors, so no SHA-256 of any file
    described = [
        {**_file("policy.json", results.policy.to_json()), "annotations": word},
        {"name": results.data.source, "digest": sample},
    ]
    return [*described, _file("results.json", results.to_json())] if results.seal else described


def _file(name: str, text: str) -> dict[str, Any]:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return {"name": name, "digest": {"sha256": sha256}, "mediaType": "application/json"}


def _job(environment: Mapping[str, str]) -> str:
    """The address of the job that runs this on GitHub or GitLab; empty elsewhere."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environment.get(name, "") for name in names)
    if server and repository and run:
        return f"{server}/{repository}/actions/runs/{run}"
    return environment.get("CI_JOB_URL", "")
