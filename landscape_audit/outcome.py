"""What a check makes of what its probes took, at the audit's level and at the others that gates may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from landscape_audit.checks import Check
from landscape_audit.confidence import over_looks, with_bounds
from landscape_audit.probes.bench import Bench, ProcessFailedError
from landscape_audit.probes.facts import Facts
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.results import Failed, Measured, Outcome
from landscape_audit.text import described, printable


def outcome_of(bench: Bench, check: Check, asked: Sequence[float] = ()) -> Outcome:
    """What the check finds, with its intervals at the levels `asked` and at each look's share of them.

    A check is a pure function of what its probes took, so a level more costs nothing.
    """
    own = _measured(bench, check, bench.protocol.level)
    if not isinstance(own, Measured) or not _knows_its_level(bench, check):
        return own
    levels = {*asked, *map(over_looks, asked)} - {bench.protocol.level}
    found = {level: _measured(bench, check, level) for level in sorted(levels)}
    others = {level: each.estimates for level, each in found.items() if isinstance(each, Measured)}
    estimates = {
        name: with_bounds(own, {level: each[name] for level, each in others.items() if name in each}, asked)
        for name, own in own.estimates.items()
    }
    return own.model_copy(update={"estimates": estimates})


def _measured(bench: Bench, check: Check, level: float) -> Outcome:
    """The only place that carries on after an unknown error."""
    try:
        return check.measure(*(_at_level(bench.take(probe), level) for probe in check.probes))
    except ProcessFailedError:
        raise
    except ProbeFailedError as error:
        return Failed(error=printable(error, limit=1000))
    except ValidationError as error:
        return Failed(error=f"what was measured is no result: {first_of(error)}")
    except Exception as error:  # noqa: BLE001 - one check that breaks must not take the others with it
        return Failed(error=described(error, limit=1000))


def _knows_its_level(bench: Bench, check: Check) -> bool:
    return any(isinstance(getattr(taken, "facts", taken), Facts) for taken in map(bench.take, check.probes))


def _at_level(taken: Any, level: float) -> Any:
    """What a probe took, with the facts of an audit at that level."""
    if isinstance(taken, Facts):
        return replace(taken, level=level)
    facts = getattr(taken, "facts", None)
    return replace(taken, facts=_at_level(facts, level)) if isinstance(facts, Facts) else taken


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return printable(f"{where + ': ' if where else ''}{first['msg']}", limit=1000)
