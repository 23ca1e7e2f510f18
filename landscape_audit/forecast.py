"""What an audit will cost: a few operations timed on this machine, times how many of them the probes ask for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from landscape_audit.checks import Check
from landscape_audit.errors import LossError, ModelError
from landscape_audit.machine import synchronise
from landscape_audit.plan import Plan, PlannedProbe
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.instrument import InstrumentTrial
from landscape_audit.probes.probe import Probe, with_needs


def forecast(bench: Bench, checks: Sequence[Check]) -> Plan:
    """The plan of an audit of these checks. Costs two gradients, two products and two forwards."""
    users = {check.id: with_needs(check.probes) for check in checks}
    gradient_seconds, forward_gradients, hvp_gradients = _time(bench)
    size = bench.size
    return Plan(
        probes=tuple(
            PlannedProbe(probe.name, probe.cost(size), tuple(name for name, probes in users.items() if probe in probes))
            for probe in with_needs(probes_of(checks))
        ),
        parameters=size.parameters,
        n_samples=bench.subject.data.n_samples,
        gradient_seconds=gradient_seconds,
        forward_gradients=forward_gradients,
        hvp_gradients=hvp_gradients,
        memory_bytes=bench.rows * bench.room.storage.row_bytes(size.parameters) + bench.landscape.kept_bytes,
    )


def probes_of(checks: Sequence[Check]) -> tuple[Probe[object], ...]:
    """What these checks rest on; the instrument is tried first in every audit."""
    return (InstrumentTrial(), *(probe for check in checks for probe in check.probes))


def _time(bench: Bench) -> tuple[float, float, float]:
    """Seconds of a gradient; a forward and a product in gradients. The second of two of each: graphs are then built."""
    direction = torch.ones_like(bench.subject.theta)
    with bench.outside_the_ledger("timing"), _repeating(bench):
        gradient, forward, product = (
            bench.ranks.most(_second_time(bench, call))
            for call in (bench.gradient, bench.evaluate, lambda: bench.hvp(direction))
        )
    return gradient, forward / gradient, product / gradient


@contextlib.contextmanager
def _repeating(bench: Bench) -> Iterator[None]:
    """What was tried once and fails now is the model's or the loss's doing, and not ours."""
    subject = bench.subject
    with subject.code.lent(f"{subject.info.model}: backward", ModelError):
        try:
            yield
        except FloatingPointError as error:
            raise LossError(
                f"{subject.loss.name}: {error}, although it was finite when it was tried.",
                remedy="A loss that draws random numbers or counts its calls has no curvature: let it do neither.",
            ) from None


def _second_time(bench: Bench, call: Callable[[], object]) -> float:
    call()
    device = bench.subject.theta.device
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start
