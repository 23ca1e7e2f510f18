"""What an audit will cost: a few operations timed on this machine, times how many of them the probes ask for."""

from __future__ import annotations

import contextlib
import math
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

ROUNDS = 3
"""A load of the machine that is there in all of them is there during the audit too."""
PATIENCE = 0.5
"""Seconds after which no further round is begun: what takes longer is hardly disturbed."""
MOST_PRODUCT = 5.0
"""Gradients to a product: in forwards, a gradient is 3, and differentiating it 6 more. Measured are 1.8 to 3.7."""


def forecast(bench: Bench, checks: Sequence[Check]) -> Plan:
    """The plan of an audit of these checks. Costs two to four gradients, products and forwards."""
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
    """Seconds of a gradient; a forward and a product in gradients. The best of a few, as machines are shared."""
    direction = torch.ones_like(bench.subject.theta)
    calls = (bench.gradient, bench.evaluate, lambda: bench.hvp(direction))
    with bench.outside_the_ledger("timing"), _repeating(bench):
        for call in calls:
            call()  # graphs are then built
        gradient, forward, product = _best(lambda: [bench.ranks.most(_seconds(bench, call)) for call in calls])
    most_product = MOST_PRODUCT if bench.protocol.products == "full" else math.inf  # bfloat16 may be slow here
    return gradient, min(1.0, forward / gradient), min(most_product, max(1.0, product / gradient))


def _best(timed: Callable[[], list[float]]) -> list[float]:
    """The least of every number over several rounds; in one round alone where it takes long, which evens out loads."""
    rounds = [timed()]
    while len(rounds) < ROUNDS and sum(map(sum, rounds)) < PATIENCE:
        rounds.append(timed())
    return [min(times) for times in zip(*rounds, strict=True)]


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


def _seconds(bench: Bench, call: Callable[[], object]) -> float:
    device = bench.subject.theta.device
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start
