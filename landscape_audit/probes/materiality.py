"""What is worth having, in units of loss, and what curvature is worth in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape_audit.probes.instrument import InstrumentTrial
from landscape_audit.probes.losses import CheckpointLoss
from landscape_audit.probes.walks import SMALL

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench


def material(loss: float, noise: float, share: float) -> float:
    """δ: a share of the loss, never less than rounding leaves of a difference."""
    return max(share * abs(loss), noise)


def delta_on(bench: Bench) -> float:
    """δ of the point on the bench."""
    loss, trial = bench.take(CheckpointLoss()).evaluation.loss, bench.take(InstrumentTrial())
    return material(loss, trial.loss_noise, bench.protocol.materiality)


def curvature_worth(curvature: float, radius: float) -> float:
    """½ λ r² at SMALL of the filters' norms, of which `radius` is the whole."""
    return 0.5 * curvature * (SMALL * radius) ** 2
