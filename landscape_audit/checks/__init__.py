"""The battery: one check a file, the file name is its id. This list is the order of the report."""

from landscape_audit.checks.check import Check
from landscape_audit.checks.flatness import flatness
from landscape_audit.checks.gradient import gradient
from landscape_audit.checks.instrument import instrument
from landscape_audit.checks.loss import loss
from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.spectral_density import spectral_density
from landscape_audit.checks.stationarity import stationarity
from landscape_audit.checks.surface import surface
from landscape_audit.checks.trace import trace

BATTERY: tuple[Check, ...] = (
    instrument,
    loss,
    stationarity,
    gradient,
    sharpness,
    negative_curvature,
    trace,
    spectral_density,
    flatness,
    surface,
)

__all__ = ["BATTERY", "Check"]
