"""`gates.toml`: the limits of a calibration as a policy, with where each comes from."""

from __future__ import annotations

from collections.abc import Iterator

from landscape_audit.calibration.calibration import how_resampled
from landscape_audit.calibration.record import Calibration, LabelNoise, Noise
from landscape_audit.proposal.toml import comment, quoted, setting
from landscape_audit.text import count, number, percent


def gates_toml(found: Calibration) -> str:
    """The policy, ready for `--policy`; empty where nothing has a limit."""
    gates = [*(_numeric(found, each) for each in found.limited), *(_label(found, e) for e in found.labels if e.one_of)]
    if not gates:
        return ""
    required = f"require = {{ n_samples = {found.data.n_samples} }}"
    return "\n\n".join(["\n".join(map(comment, _head(found))), required, *gates]) + "\n"


def rates(found: Calibration) -> str:
    """How often the limits give a false alarm: each of them, and all together."""
    if not found.limited:
        return "No number has a limit."
    each, limits = found.limited[0].limit, count(len(found.limited), "limit")
    assert each is not None  # noqa: S101 - that is what `limited` selects
    rates = (
        f"{percent(each.false_alarm, 3)} for each of {limits}, at most {percent(found.together, 3)} for all together"
    )
    if found.family:
        return f"False alarms: {rates} (--family: Bonferroni)."
    less = percent(found.false_alarm / len(found.limited), 3)
    return f"False alarms: {rates}; with --family {less} and {percent(found.false_alarm, 3)}."


def _head(found: Calibration) -> Iterator[str]:
    yield f"Limits by `landscape-audit calibrate` {found.landscape_audit}, of {_checkpoint(found)}."
    yield how_resampled(found)
    yield rates(found)
    yield "They hold for audits of this model on these data by this protocol, and mean nothing for others:"
    yield f"data {found.data.source}, {found.data.n_samples} examples, fingerprint {found.data.fingerprint}"
    yield f"loss {found.data.loss}, preset {found.preset}, {found.dtype}, intervals of {percent(found.level, 3)}"
    yield from found.told


def _numeric(found: Calibration, floor: Noise) -> str:
    limit = floor.limit
    assert limit is not None  # noqa: S101 - that is what `limited` selects
    lines = [f"[gates.{quoted(floor.key)}]", setting(limit.side, limit.value), setting("why", _why(found, floor))]
    return "\n".join(lines)


def _why(found: Calibration, floor: Noise) -> str:
    limit, how = floor.limit, found.resampling.kind
    assert limit is not None  # noqa: S101 - likewise
    samples = "samples drawn anew" if how == "redraw" else "bootstrap samples"
    end = "upper" if limit.side == "at_most" else "lower"
    made = f"{count(floor.n, 'audit')} of {_checkpoint(found)}, with seeds and {samples} of their own"
    if floor.remark:
        return f"{made}: {number(floor.value)}. {floor.remark}"
    return (
        f"{made}: {number(floor.value)} ± {number(floor.sd, 2)}. An audit of this checkpoint on another validation set "
        f"of this size passes with a probability of at least {percent(1 - limit.false_alarm, 3)} (one-sided prediction "
        f"limit of the interval's {end} end: Student's t, n = {floor.n}, {limit.scale} scale)."
    )


def _label(found: Calibration, floor: LabelNoise) -> str:
    why = f"{count(sum(floor.seen.values()), 'audit')} of {_checkpoint(found)}: {', '.join(floor.seen)}. {floor.remark}"
    return "\n".join(
        (
            f"[gates.{quoted(floor.key)}]",
            f"{setting('one_of', floor.one_of)}  # and what would be welcome besides",
            setting("why", why),
        )
    )


def _checkpoint(found: Calibration) -> str:
    file = found.files[0]
    more = f" and {count(len(found.files) - 1, 'more file')}" if len(found.files) > 1 else ""
    return f"{file.name} (sha256 {file.sha256[:12]}…){more}"
