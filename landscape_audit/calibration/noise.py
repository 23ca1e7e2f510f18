"""The noise floor of every number, out of audits that differ in seed and sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import NormalDist

from landscape_audit.calibration.limit import Side, prediction_limit, spread_of
from landscape_audit.calibration.record import FEWEST, LabelNoise, Noise, Resampling
from landscape_audit.calibration.repeat import Repeat
from landscape_audit.estimate import UNDECIDED, Estimate
from landscape_audit.ids import HEADLINES
from landscape_audit.results import AuditResults
from landscape_audit.text import count

GATED_LABELS = ("stationarity.class",)
COUNTS_REPEATS = ("data.duplicates", "data.contradictions")
"""What a bootstrap changes by its nature: how many examples are there twice."""
SIDES: dict[str, Side] = {"lower": "at_most", "higher": "at_least"}


def numbers(audits: Sequence[Repeat], resampling: Resampling, false_alarm: float, *, family: bool) -> tuple[Noise, ...]:
    """Every number that any audit has, in the order of the first; with limits for the headlines that can be gated.

    `false_alarm` is the rate of each gate, or of all together (`family`), when each has an equal part of it.
    """
    whole = _found(audits)
    keys = dict.fromkeys(key for found in whole for key in found.estimates())
    floors = [_noise(key, [found.estimates().get(key) for found in whole], resampling) for key in keys]
    gated = [floor.key for floor in floors if _side(floor) and not floor.remark]
    rate = false_alarm / len(gated) if family and gated else false_alarm
    return tuple(_limited(floor, resampling, rate) if floor.key in gated else floor for floor in floors)


def labels(audits: Sequence[Repeat]) -> tuple[LabelNoise, ...]:
    """How often each word was found, and the words for a gate on the class."""
    whole = _found(audits)
    keys = dict.fromkeys(key for found in whole for key in found.labels())
    return tuple(_label(key, [found.labels()[key].value for found in whole if key in found.labels()]) for key in keys)


def missing(floors: Sequence[Noise]) -> Iterator[str]:
    """What some audits have no finite number for, in words."""
    for floor in floors:
        lacking = len(floor.values) - floor.n
        if lacking:
            yield f"{floor.key}: no finite number in {lacking} of {count(len(floor.values), 'audit')}; left out there."


def _found(audits: Sequence[Repeat]) -> list[AuditResults]:
    return [audit.results for audit in audits if audit.results is not None]


def _noise(key: str, estimates: Sequence[Estimate | None], resampling: Resampling) -> Noise:
    values = [None if each is None else each.value for each in estimates]
    first = next(each for each in estimates if each is not None)
    level = next((each.level for each in estimates if each is not None and each.level), None)
    there = [value for value in values if value is not None]
    sd = spread_of(there, resampling) if len(there) >= FEWEST and values[0] is not None else None
    half = _half_width([each for each in estimates if each is not None and each.value is not None])
    promised = half if any(part.kind == "sampling" for part in first.parts) else None
    bootstrap = resampling.kind == "bootstrap" and sd is not None
    floor = Noise(
        key=key,
        unit=first.unit,
        direction=first.direction,
        values=tuple(values),
        lows=tuple(None if each is None else each.low for each in estimates),
        highs=tuple(None if each is None else each.high for each in estimates),
        sd=sd,
        relative=_share(sd, there[0]) if sd is not None else None,
        half_width=half,
        honesty=promised / (NormalDist().inv_cdf((1 + level) / 2) * sd) if promised and sd and level else None,
        shift=math.fsum(value - there[0] for value in there[1:]) / (len(there) - 1) if bootstrap else None,
    )
    return floor.model_copy(update={"remark": _remark(floor, resampling)})


def _share(sd: float, value: float) -> float | None:
    """Nothing of a value that is zero, or so near that the share is no number."""
    share = sd / abs(value) if value else math.inf
    return share if math.isfinite(share) else None


def _half_width(estimates: Sequence[Estimate]) -> float | None:
    """Nothing where an interval has no end."""
    ends = [(each.low, each.high) for each in estimates]
    widths = [high - low for low, high in ends if low is not None and high is not None]
    return math.fsum(widths) / (2 * len(widths)) if widths and len(widths) == len(ends) else None


def _side(floor: Noise) -> Side | None:
    return SIDES.get(floor.direction) if floor.key in HEADLINES else None


def _remark(floor: Noise, resampling: Resampling) -> str:
    """Why a number can have no limit."""
    if resampling.kind == "bootstrap" and floor.key in COUNTS_REPEATS:
        return "A bootstrap repeats examples by its nature: this spread says nothing."
    if floor.value is None:
        return "The audit as configured has no finite number."
    if floor.sd is None:
        return f"Finite in {count(floor.n, 'audit')} only; a limit needs {FEWEST}."
    if (side := _side(floor)) and len(_ends(floor, side)) < floor.n:
        return f"Nothing bounds it {'above' if side == 'at_most' else 'below'}, so that {side} could never pass."
    return ""


def _ends(floor: Noise, side: Side) -> list[float]:
    """The far ends, of the audits that have a number."""
    ends = floor.highs if side == "at_most" else floor.lows
    return [end for end, value in zip(ends, floor.values, strict=True) if end is not None and value is not None]


def _limited(floor: Noise, resampling: Resampling, rate: float) -> Noise:
    """With its limit; without one where most bootstraps are beyond it, so that the audited sample is like none of them.

    Such is the norm of the gradient where the checkpoint was trained on these examples: nearly zero there, not around.
    """
    side = SIDES[floor.direction]
    ends = _ends(floor, side)
    try:
        limit = prediction_limit(ends, resampling, side, rate)
    except OverflowError:
        return floor.model_copy(update={"remark": "It varies too much: no finite limit keeps that rate."})
    beyond = sum(end > limit.value if side == "at_most" else end < limit.value for end in ends)
    if beyond > len(ends) / 2:
        many = f"{beyond} of {len(ends) - 1} bootstraps are beyond its limit"
        return floor.model_copy(update={"remark": f"{many}: was the checkpoint trained on these examples?"})
    remark = f"The same in {count(len(ends), 'audit')}: any change of it fails." if len(set(ends)) == 1 else ""
    return floor.model_copy(update={"limit": limit, "remark": remark})


def _label(key: str, words: Sequence[str]) -> LabelNoise:
    seen = dict(Counter(words).most_common())
    if key not in GATED_LABELS:
        return LabelNoise(key=key, seen=seen)
    gated = len(words) >= FEWEST and UNDECIDED not in seen
    return LabelNoise(key=key, seen=seen, one_of=tuple(sorted(seen)) if gated else (), remark=_about(seen, len(words)))


def _about(seen: dict[str, int], audits: int) -> str:
    if UNDECIDED in seen:
        return f"Undecided in {seen[UNDECIDED]} of {count(audits, 'audit')}: a gate on it would often not pass."
    if len(seen) > 1:
        return f"It varies: {', '.join(f'{word} in {times}' for word, times in seen.items())} of {audits}."
    # Clopper & Pearson 1934: the largest share that leaves k of k unseen with a probability of 5 %.
    return (
        f"The same in {count(audits, 'audit')}; others in at most {100 * (1 - 0.05 ** (1 / audits)):.0f} % (95 % sure)."
    )
