"""What is known of the sweep of random perturbations, for those who only draw it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from landscape_audit.probes.perturbations import FlatnessSample, RandomPerturbation
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


@dataclass(frozen=True)
class Sweep:
    """The radii, and what was found at them; None where that was not measured, or failed."""

    sigmas: tuple[float, ...]
    sample: FlatnessSample | None


@dataclass(frozen=True)
class KnownSweep:
    """The random perturbations where another check took them before: free of cost, and so no needs."""

    name: str = "known_sweep"
    needs: tuple[Probe[object], ...] = ()

    FOLLOWS: ClassVar = (RandomPerturbation,)

    def cost(self, size: Size) -> Cost:
        """Nothing."""
        del size
        return Cost()

    def take(self, bench: Bench) -> Sweep:
        """Whatever is there."""
        sample: FlatnessSample | None = None
        if bench.has(RandomPerturbation()):
            with contextlib.suppress(ProbeFailedError):
                sample = bench.take(RandomPerturbation())
        return Sweep(tuple(sorted(bench.budgets.flatness_sigmas or ())), sample)
