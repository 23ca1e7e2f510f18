"""A judged and sealed audit with gates of every kind, a waiver and a baseline, and its report. No torch."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import cache
from pathlib import Path

from results_factory import SHA256, a_check, an_audit, an_estimate

from landscape_audit.gates.judge import day_of, judged
from landscape_audit.policy import EffectivePolicy
from landscape_audit.report.pdf import pdf
from landscape_audit.report.view import view
from landscape_audit.results import AuditResults, Baseline, Difference, Failed, FileRecord, Measured, NotApplicable
from landscape_audit.seal import sealed

CHECKPOINT = b"the bytes of a checkpoint"
POLICY = {
    "gates": {
        "sharpness.lambda_max": {"at_most": 50, "why": "2 / learning rate"},
        "loss.value": {"at_most": 0.05, "why": "the last release"},
        "loss.metric": {"no_worse_than_baseline": 0.1, "level": "warn", "why": "no worse than before"},
        "stationarity.class": {"one_of": ["minimum", "approximate_minimum"], "why": "no saddle"},
        "trace.trace": {"between": [0, 400], "on_undecided": "warn", "why": "as the others"},
    },
    "waivers": [
        {
            "gate": "loss.value",
            "reason": "a known regression",
            "approver": "the release manager",
            "expires": dt.date(2026, 4, 1),
            "checkpoint_sha256": hashlib.sha256(CHECKPOINT).hexdigest(),
        }
    ],
    "require": {"n_samples": 100},
    "sources": ["policy.toml"],
    "origins": {"loss.value": {"file": "policy.toml", "line": 3}},
}


def a_sealed_audit(policy: dict | None = None, **changes: object) -> AuditResults:
    """What `run` would have written."""
    audit = an_audit(**changes)
    file = FileRecord(name="model.safetensors", sha256=hashlib.sha256(CHECKPOINT).hexdigest(), size_bytes=25)
    baseline = Baseline(
        name="the last release",
        sha256=(SHA256,),
        finished="2026-02-01T00:00:00+00:00",
        measured="stored",
        differences=(Difference(key="environment.torch", here="2.13.0", there="2.12.0", hard=False),),
        estimates={"loss.metric": an_estimate(0.97, 0.01, direction="higher")},
    )
    subject = audit.subject.model_copy(update={"files": (file,)})
    whole = audit.model_copy(update={"subject": subject, "baseline": baseline})
    return sealed(judged(whole, EffectivePolicy.model_validate(POLICY if policy is None else policy), day_of(whole)))


def several_audits() -> list[AuditResults]:
    """Passed, failed, partial, observed and broken ones."""
    few = (a_check("sharpness", Measured(estimates={"lambda_max": an_estimate(60.0, 1.0)})),)
    odd = (a_check("trace", NotApplicable(reason="no parameters")), a_check("ggn", Failed(error="disk\nfull")))
    gate = {"gates": {"sharpness.lambda_max": POLICY["gates"]["sharpness.lambda_max"]}}
    return [
        a_sealed_audit(),
        a_sealed_audit(gate, checks=few),
        a_sealed_audit({}, checks=odd, partial="failed: ggn"),
        a_sealed_audit({}, checks=(), limits=(), skipped=("loss",)),
    ]


@cache
def printed(text: str) -> bytes:
    """The PDF of results, rendered once for equal ones."""
    results = AuditResults.model_validate_json(text)
    return pdf(view(results), results)


def write(folder: Path, results: AuditResults) -> Path:
    """An audit's folder: results, PDF and the checkpoint; the path of the PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results.to_json(), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(CHECKPOINT)
    (folder / "report.pdf").write_bytes(printed(results.to_json()))
    return folder / "report.pdf"
