"""How far an audit of an equal checkpoint may lie from those that were made: a one-sided prediction limit.

A gate passes where the whole interval is inside, so the limit is one for the far end of the interval that one more
audit reports, on another validation set of n examples. Let σ be the spread of that end from one such set to the next.

redraw: n of M examples, share f = n / M. Draws of one pool spread by σ √(1 - f) only (the finite population correction,
Cochran 1977, chapter 2), and the mean of k of them lies √(f + (1 - f) / k) σ from where it would be with all the
examples in the world. The limit is  mean ± t(k - 1, 1 - α) σ̂ √(1 + f + (1 - f) / k);  without a finite pool (f = 0)
the prediction limit of Hahn & Meeker 1991, chapter 4.

bootstrap: k - 1 samples drawn from the audited one spread by σ (Efron & Tibshirani 1993, chapter 6), but around the
audited sample, and not around the truth: it is as far from that as the next validation set will be. They may also
be off to one side, as repeated examples sharpen curvature (chapter 10): λ_max by half a standard deviation on the
demo, for one. So only their spread is used:  audit as configured ± t(k - 2, 1 - α) σ̂ √2.

At most α is promised of normal and of lognormal noise alike: of the two scales the one whose limit is further away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Literal

from landscape_audit.calibration.record import Limit, Resampling

Side = Literal["at_most", "at_least"]
DIGITS = 4


def prediction_limit(
    ends: Sequence[float], resampling: Resampling, side: Side, false_alarm: float, *, digits: int = DIGITS
) -> Limit:
    """The limit for one more far end, of an equal checkpoint, after these, the first being as configured.

    A lower limit that would not be above zero where every end is, and so could fail nothing, is one of the log scale.
    An OverflowError where no finite number is far enough.
    """
    sign = 1.0 if side == "at_most" else -1.0
    factor = sign * _factor(len(ends), resampling, false_alarm)
    centre, spread = _centre(ends, resampling), spread_of(ends, resampling)
    reached, scale = centre + factor * spread, "linear"
    if min(ends) == max(ends):
        reached = ends[0]
    elif min(ends) > 0 and (side == "at_most" or reached <= 0):
        logs = [math.log(end) for end in ends]
        spread = spread_of(logs, resampling)
        centre = math.exp(_centre(logs, resampling))
        reached, scale = centre * math.exp(factor * spread), "log"
    value = _outwards(reached, side, digits)
    if not math.isfinite(value):
        message = "no finite number is far enough"
        raise OverflowError(message)
    return Limit.model_validate(
        {
            "side": side,
            "value": value,
            "scale": scale,
            "false_alarm": false_alarm,
            "centre": centre,
            "spread": spread,
            "factor": abs(factor),
        }
    )


def spread_of(values: Sequence[float], resampling: Resampling) -> float:
    """The standard deviation from one sample of n new examples to the next."""
    spreading = values[1:] if resampling.kind == "bootstrap" else values
    if min(spreading) == max(spreading):
        return 0.0  # and not the rounding of their mean
    mean = math.fsum(spreading) / len(spreading)
    deviations = (value - mean for value in spreading)  # hypot, as the squares of large ones are no numbers
    return math.hypot(*deviations) / math.sqrt((len(spreading) - 1) * (1 - resampling.share))


def _centre(values: Sequence[float], resampling: Resampling) -> float:
    return values[0] if resampling.kind == "bootstrap" else math.fsum(values) / len(values)


def _factor(audits: int, resampling: Resampling, false_alarm: float) -> float:
    from landscape_audit.quantiles import t_quantile

    is_bootstrap, share = resampling.kind == "bootstrap", resampling.share
    off_centre = 1.0 if is_bootstrap else share + (1 - share) / audits
    return t_quantile(1 - 2 * false_alarm, audits - (2 if is_bootstrap else 1)) * math.sqrt(1 + off_centre)


def _outwards(value: float, side: Side, digits: int) -> float:
    rounding = ROUND_CEILING if side == "at_most" else ROUND_FLOOR
    return float(Context(prec=digits, rounding=rounding).plus(Decimal(repr(value))))
