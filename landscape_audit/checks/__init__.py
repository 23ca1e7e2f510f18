"""The battery: one check a file, the file name is its id. This list is the order of the report."""

from landscape_audit.checks.activations import activations
from landscape_audit.checks.check import Check
from landscape_audit.checks.data import data
from landscape_audit.checks.flatness import flatness
from landscape_audit.checks.ggn import ggn
from landscape_audit.checks.gradient import gradient
from landscape_audit.checks.instrument import instrument
from landscape_audit.checks.layer_curvature import layer_curvature
from landscape_audit.checks.loss import loss
from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.quantisation import quantisation
from landscape_audit.checks.reparametrisation import reparametrisation
from landscape_audit.checks.sam import sam
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.spectral_density import spectral_density
from landscape_audit.checks.stationarity import stationarity
from landscape_audit.checks.surface import surface
from landscape_audit.checks.trace import trace
from landscape_audit.errors import UsageError
from landscape_audit.spec import ChecksSpec
from landscape_audit.text import did_you_mean

BATTERY: tuple[Check, ...] = (
    instrument,
    loss,
    data,
    stationarity,
    gradient,
    activations,
    sharpness,
    negative_curvature,
    trace,
    spectral_density,
    ggn,
    layer_curvature,
    flatness,
    quantisation,
    reparametrisation,
    surface,
)

OPT_IN: tuple[Check, ...] = (sam,)
"""Checks that run only where their own table says `enabled = true`."""


def offered(spec: ChecksSpec) -> tuple[Check, ...]:
    """The battery and what was opted into."""
    return (*BATTERY, *(check for check in OPT_IN if getattr(spec, check.id).enabled))


def chosen(spec: ChecksSpec) -> tuple[Check, ...]:
    """The checks on offer that `spec` leaves in, or an error for a name there is none of."""
    known = [check.id for check in (*BATTERY, *OPT_IN)]
    for name in (*spec.only, *spec.skip):
        if name not in known:
            raise UsageError(f"checks: there is no check '{name}'.", remedy=did_you_mean(name, known))
    here = offered(spec)
    for name in spec.only:
        if name not in {check.id for check in here}:
            raise UsageError(f"checks: '{name}' is not enabled.", remedy=f"[checks.{name}] enabled = true")
    kept = tuple(check for check in here if check.id not in spec.skip and (not spec.only or check.id in spec.only))
    if not kept:
        raise UsageError("checks: nothing is left to run.", remedy="Leave at least one check in --only, out of --skip.")
    return kept


__all__ = ["BATTERY", "OPT_IN", "Check", "chosen", "offered"]
