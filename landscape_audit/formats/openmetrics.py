"""OpenMetrics 1.0: every number, gate and cost of an audit, for whatever draws them over time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from landscape_audit.estimate import Estimate
from landscape_audit.results import AuditResults, GateStatus, Word
from landscape_audit.text import printable

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_COUNTS = ("passed", "failed", "undecided", "warned", "waived", "ignored", "crashed")


def openmetrics(results: AuditResults) -> str:
    """A registry of its own, read once: nothing is started, and no number of this process is among them."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Audit(results))
    text: bytes = generate_latest(registry)
    return text.decode()


class _Audit:
    """What the registry asks for its metrics."""

    def __init__(self, results: AuditResults) -> None:
        self._results = results

    def collect(self) -> Iterator[Metric]:
        yield _verdict(self._results)
        yield _exit_code(self._results)
        yield _counts(self._results)
        yield _gates(self._results)
        yield _estimates(self._results)
        yield _cost(self._results)


def _verdict(results: AuditResults) -> Metric:
    from prometheus_client.metrics_core import StateSetMetricFamily

    states = {word: word == results.verdict.word for word in get_args(Word)}
    return StateSetMetricFamily("landscape_audit_verdict", "What the policy makes of the audit.", states)


def _exit_code(results: AuditResults) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    told = "The exit code that gates a merge; 0 lets it through."
    return GaugeMetricFamily("landscape_audit_exit_code", told, results.verdict.exit_code)


def _counts(results: AuditResults) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily("landscape_audit_gates", "Gates by outcome; crashed are checks.", labels=["outcome"])
    for name in _COUNTS:
        family.add_metric([name], getattr(results.verdict, name))
    return family


def _gates(results: AuditResults) -> Metric:
    from prometheus_client.metrics_core import StateSetMetricFamily

    family = StateSetMetricFamily(
        "landscape_audit_gate_status", "How each demand came out.", labels=["key", "demand", "consequence"]
    )
    for gate in results.gates:
        states = {status: status == gate.status for status in get_args(GateStatus)}
        family.add_metric([printable(gate.key), printable(gate.demand, 500), gate.consequence], states)
    return family


def _estimates(results: AuditResults) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    told = "Every number of the audit and the ends of its interval; an infinite end is one on which nothing is known."
    family = GaugeMetricFamily("landscape_audit_estimate", told, labels=["id", "bound"])
    for key, estimate in results.estimates().items():
        for bound, value in _bounds(estimate):
            family.add_metric([printable(key), bound], value)
    return family


def _bounds(estimate: Estimate) -> Iterator[tuple[str, float]]:
    if estimate.value is None:
        yield "value", _NONFINITE[estimate.nonfinite or "nan"]
        return
    yield "value", estimate.value
    yield "low", -math.inf if estimate.low is None else estimate.low
    yield "high", math.inf if estimate.high is None else estimate.high


def _cost(results: AuditResults) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    told = "Passes over the whole audited sample."
    family = GaugeMetricFamily("landscape_audit_cost", told, labels=["passes"])
    cost = results.protocol.cost
    for name, value in (("forwards", cost.forwards), ("gradients", cost.gradients), ("products", cost.hvps)):
        family.add_metric([name], value)
    return family
