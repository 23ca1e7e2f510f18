"""Audits of every kind of outcome: each status a gate can have, what follows from it, and what can go wrong besides."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any

from hostile_audit import HOSTILE, an_audit_with_everything
from results_factory import SHA256, an_audit

from landscape_audit.gates.judge import judged
from landscape_audit.policy import EffectivePolicy, Gate, Origin, Waiver
from landscape_audit.results import AuditResults, Failed, InstrumentInfo, NotApplicable, RunInfo, WaiverRecord

TODAY = dt.date(2026, 1, 1)
WHY = "a reason"
DEMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pass": ("sharpness.lambda_max", {"at_most": 50.0}),
    "fail": ("sharpness.lambda_max", {"at_most": 20.0}),
    "undecided": ("sharpness.lambda_max", {"at_most": 31.0}),
    "incomparable": ("sharpness.lambda_max", {"no_worse_than_baseline": 0.1}),
    "not_applicable": ("quantisation.rise", {"at_most": 1.0}),
}
"""A status, and a gate that comes out so on the factory's audit."""

_RUN = an_audit().run
TROUBLES: dict[str, dict[str, Any]] = {
    "none": {},
    "crashed": {"outcomes": {"trace": Failed(error="boom")}, "partial": "failed: trace"},
    "interrupted": {"partial": "interrupted: 3 of 9 checks are done"},
    "stopped": {"partial": "interrupted", "run": RunInfo(**{**dict(_RUN), "signal": "SIGTERM"})},
    "out of time": {"partial": "out of time", "run": RunInfo(**{**dict(_RUN), "out_of_time": True})},
    "replaced": {"subject": an_audit().subject.model_copy(update={"replaced": ("model.safetensors is another",)})},
    "distrusted": {"instrument": InstrumentInfo(agrees=False, disagreements=("two losses differ",))},
}


def verdict_of(gates: dict[str, Gate], trouble: str = "none", *, waived: bool = False) -> AuditResults:
    """The factory's audit with that trouble, judged by these gates."""
    changes = dict(TROUBLES[trouble])
    outcomes = {"quantisation": NotApplicable(reason="no such weights"), **changes.pop("outcomes", {})}
    waivers = [
        Waiver(gate=key, reason="known", approver="A. Person", expires=TODAY, checkpoint_sha256=SHA256)
        for key in gates
        if waived
    ]
    origins = {key: Origin(file="ci/policy.toml", line=3 + place) for place, key in enumerate(gates)}
    policy = EffectivePolicy(gates=gates, waivers=tuple(waivers), origins=origins)
    return judged(an_audit(outcomes, **changes), policy, TODAY)


def every_verdict() -> Iterator[AuditResults]:
    """Each status with each consequence that a policy can give it, waived or not, with each trouble; and no gate."""
    for trouble in TROUBLES:
        yield verdict_of({}, trouble)
        for status, level, follows, waived in itertools.product(
            DEMANDS, ("warn", "error"), ("pass", "warn", "error"), (False, True)
        ):
            if status == "not_applicable" and follows == "error":
                continue  # a mistake in the policy, exit 2: there is no verdict
            key, demand = DEMANDS[status]
            said = {"on_undecided": follows, "on_missing_baseline": follows, "on_not_applicable": follows}
            results = verdict_of({key: Gate(level=level, why=WHY, **demand, **said)}, trouble, waived=waived)
            assert results.gates[0].status == status
            yield results


def a_hostile_verdict(text: str = HOSTILE) -> AuditResults:
    """A failed, a waived and a passed gate, and every trouble, with that text wherever a stranger's words can be."""
    results = an_audit_with_everything()
    gate = results.gates[0].model_copy(
        update={
            "key": f"sharpness.{text}",
            "demand": text,
            "found": text,
            "reason": text,
            "why": text,
            "origin": Origin(file=text, line=1),
        }
    )
    waiver = WaiverRecord(reason=text, approver=text, expires=text)
    gates = (
        gate.model_copy(update={"status": "fail", "consequence": "error"}),
        gate.model_copy(update={"key": f"loss.{text}", "status": "fail", "waiver": waiver}),
        gate.model_copy(update={"key": f"trace.{text}"}),
    )
    crashed = results.checks[0].model_copy(update={"id": text, "outcome": Failed(error=text)})
    subject = results.subject.model_copy(
        update={
            "replaced": (text,),
            "files": (results.subject.files[0].model_copy(update={"name": text}),),
        }
    )
    return results.model_copy(
        update={
            "gates": gates,
            "checks": (*results.checks, crashed),
            "partial": text,
            "subject": subject,
            "run": results.run.model_copy(update={"started": text}),
            "instrument": InstrumentInfo(agrees=False, disagreements=(text,)),
            "verdict": results.verdict.model_copy(update={"word": "FAIL", "exit_code": 1, "sentence": text}),
        }
    )
