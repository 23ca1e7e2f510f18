"""The headline numbers of an audit as one model of a model-index."""

from __future__ import annotations

from typing import Any

from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index

from landscape_audit.estimate import Estimate
from landscape_audit.ids import HEADLINES, name_of
from landscape_audit.results import AuditResults
from landscape_audit.text import printable

OURS = "landscape_audit."
"""What the type of every metric of ours begins with."""

METRICS = {
    "loss.value": "loss",
    "loss.metric": "metric",
    "gradient.norm": "gradient_norm",
    "sharpness.lambda_max": "lambda_max",
    "sharpness.edge_of_stability": "edge_of_stability",
    "negative_curvature.lambda_min": "lambda_min",
    "trace.trace": "trace",
    "flatness.tolerance": "flatness_tolerance",
    "flatness.worst_case": "flatness_worst_case",
}
"""The types of the headline numbers, after `landscape_audit.`; a check's own id alone need not say what it is."""


def model_of(results: AuditResults, name: str, report: str | None) -> dict[str, Any] | None:
    """The model of this name with one metric a headline number, as huggingface_hub writes it.

    None where no headline number is there. One that is not finite is left out: a leaderboard can only sort numbers.
    """
    data, version = results.data, results.environment.landscape_audit
    estimates = results.estimates()
    found = [
        EvalResult(
            task_type="loss-landscape",
            task_name="Loss landscape audit",
            dataset_type="landscape_audit_sample",
            dataset_name=printable(data.source, 80),
            dataset_args={"n_samples": data.n_samples, "fingerprint": printable(data.fingerprint, 64)},
            metric_type=f"{OURS}{METRICS[key]}",
            metric_name=printable(name_of(key, data.metric), 80),
            metric_value=estimates[key].value,
            metric_args=_interval(key, estimates[key]),
            source_name=printable(f"landscape-audit {version}", 40) if report else None,
            source_url=report,
        )
        for key in HEADLINES
        if key in estimates and estimates[key].value is not None
    ]
    return eval_results_to_model_index(name, found)[0] if found else None


def _interval(key: str, estimate: Estimate) -> dict[str, Any]:
    """Where the number lies, how sure that is, and what it rests on; an end on which nothing is known is left out."""
    kinds = [part.kind for part in estimate.parts]
    told = {
        "id": key,
        "low": estimate.low,
        "high": estimate.high,
        "interval": " + ".join(dict.fromkeys(kinds)) or "exact",
        "level": estimate.level,
        "n": estimate.n,
        "unit": printable(estimate.unit, 80) or None,
    }
    return {name: value for name, value in told.items() if value is not None}
