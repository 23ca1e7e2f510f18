"""What could make a plateau of a landscape: units that are off, or data that teaches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.activations import Observed, WatchedForward
from landscape_audit.probes.constant import ConstantPrediction, ConstantSample
from landscape_audit.probes.inputs import AuditedInputs, InputSample
from landscape_audit.probes.probe import ProbeFailedError

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.results import Cost


@dataclass(frozen=True)
class CausesFound:
    """What could be measured of the units and of the sample; None where that failed."""

    units: Observed | None
    sample: tuple[InputSample, ConstantSample | None] | None


@dataclass(frozen=True)
class Causes:
    """The probes behind `activations` and `data`, none of which may break what they only explain: so no needs."""

    name: str = "causes"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """One forward, which `activations` shares."""
        return WatchedForward().cost(size)

    def take(self, bench: Bench) -> CausesFound:
        """Whatever does not fail."""
        units: Observed | None = None
        sample: tuple[InputSample, ConstantSample | None] | None = None
        try:
            units = bench.take(WatchedForward())
            sample = (bench.take(AuditedInputs()), bench.take(ConstantPrediction()))
        except ProbeFailedError as failed:
            bench.note(f"stationarity: a plateau could not be explained: {failed}")
        return CausesFound(units, sample)
