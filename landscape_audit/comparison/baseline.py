"""Which audit another one is compared with, and whether the two can be compared at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from landscape_audit.estimate import IntervalKind
from landscape_audit.results import AuditResults, Baseline, Difference
from landscape_audit.text import printable

MEANS_ANOTHER: dict[str, tuple[str, ...]] = {
    "materiality": ("stationarity", "gradient.reason"),
    "flatness_sigmas": ("flatness.tolerance",),
    "ascent_steps": ("flatness.worst_case", "flatness.worst_case_adaptive"),
    "descent_steps": ("stationarity.escape_worth",),
    "slice_points": ("negative_curvature.drop",),
}
"""Budgets that say what is measured, not only how well, and what they say it of.

`rise@σ` names its radius and stays comparable whatever the others are; the tolerance is read between them.
"""
OF_A_BATCH = ("flatness.m_sharpness", "gradient.batch_cosine")
"""What means another thing in batches of another size."""
OF_ANY_MODEL = ("instrument", "loss", "data")
"""Checks whose numbers are of the same thing in models of different size: what a model predicts, and the sample."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def baseline_of(
    here: AuditResults, there: AuditResults, measured: Literal["stored", "together"] = "stored"
) -> Baseline:
    """`there` as what `here` is compared with.

    A difference is hard where a number would be of something else: the sample (by fingerprint: other data, or fewer of
    them, have another loss and another landscape), the loss, its settings and the source of one of the user's own
    (without what that calls), which parameters are audited, dtype and level of the intervals, a check's version, the
    settings of twins, a budget that says what is measured (`MEANS_ANOTHER`), an instrument that disagrees with itself.
    Curvature and flatness of models of different size do not compare; their losses do.
    It is soft where the same number was measured elsewhere, with other random directions, or less well: machine,
    software, seed, and budgets that only narrow an interval.

    Pieces are the same ones for `sampling` where the sample and its batches are, and for `probe` where the seed and
    the parameters are.
    """
    batches = here.data.fingerprint == there.data.fingerprint and _batching(here) == _batching(there)
    draws = here.protocol.seed == there.protocol.seed and here.subject.parameters == there.subject.parameters
    kinds: tuple[tuple[IntervalKind, bool], ...] = (("sampling", batches), ("probe", draws))
    return Baseline(
        name=there.subject.name,
        sha256=tuple(file.sha256 for file in there.subject.files),
        finished=there.run.finished,
        measured=measured,
        same=_weights(here) == _weights(there),
        paired=tuple(kind for kind, alike in kinds if alike),
        differences=tuple(differences(here, there)),
        estimates=there.estimates(),
        labels=there.labels(),
    )


def differences(here: AuditResults, there: AuditResults) -> Iterator[Difference]:
    """What the two do not share, hard ones first."""
    found = [*_of_the_subject(here, there), *_of_the_protocol(here, there), *_of_the_checks(here, there)]
    yield from (each for each in found if each.hard)
    yield from (each for each in found if not each.hard)
    yield from _of_the_machine(here, there)


def _of_the_subject(here: AuditResults, there: AuditResults) -> Iterator[Difference]:
    for key in ("fingerprint", "n_samples", "weight", "loss", "loss_settings", "loss_code"):
        yield from _differs(f"data.{key}", getattr(here.data, key), getattr(there.data, key))
    globs = here.subject.parameter_globs, there.subject.parameter_globs
    yield from _differs("subject.parameter_globs", *globs)
    if globs[0] == globs[1]:
        sizes = here.subject.parameters, there.subject.parameters
        for check in (check.id for check in here.checks if check.id not in OF_ANY_MODEL):
            yield from _differs("subject.parameters", *sizes, check=check)
    for key in OF_A_BATCH:
        yield from _differs("data.batches", _batching(here), _batching(there), check=key)
    if not there.instrument.agrees:
        yield Difference(key="instrument", here=_word(here), there=_word(there))


def _of_the_protocol(here: AuditResults, there: AuditResults) -> Iterator[Difference]:
    mine, theirs = here.protocol, there.protocol
    for key in ("dtype", "level"):
        yield from _differs(f"protocol.{key}", getattr(mine, key), getattr(theirs, key))
    yield from _differs("protocol.training", mine.training, theirs.training, check="sam")
    for key in ("seed", "hvp_engine", "mode"):
        yield from _differs(f"protocol.{key}", getattr(mine, key), getattr(theirs, key), hard=False)
    for name in sorted({*mine.budgets, *theirs.budgets}):
        pair = mine.budgets.get(name), theirs.budgets.get(name)
        for of in MEANS_ANOTHER.get(name, ()):
            yield from _differs(f"protocol.budgets.{name}", *pair, check=of)
        if name not in MEANS_ANOTHER:
            yield from _differs(f"protocol.budgets.{name}", *pair, hard=False)


def _of_the_checks(here: AuditResults, there: AuditResults) -> Iterator[Difference]:
    versions = {check.id: check.version for check in there.checks}
    for check in here.checks:
        if check.id in versions:
            yield from _differs(f"checks.{check.id}.version", check.version, versions[check.id], check=check.id)


def _of_the_machine(here: AuditResults, there: AuditResults) -> Iterator[Difference]:
    mine, theirs = (each.environment.model_dump(exclude={"packages"}) for each in (here, there))
    mine |= here.environment.packages
    theirs |= there.environment.packages
    for name in dict.fromkeys((*mine, *theirs)):
        yield from _differs(f"environment.{name}", mine.get(name), theirs.get(name), hard=False)


def _differs(
    key: str, here: object, there: object, *, check: str | None = None, hard: bool = True
) -> Iterator[Difference]:
    if here != there:
        yield Difference(key=key, here=_in_words(here), there=_in_words(there), check=check, hard=hard)


def _in_words(value: object) -> str:
    told = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    told = f"{told[:12]}…" if _SHA256.fullmatch(told) else told  # as everywhere but in the provenance
    return "none" if value is None or told == "" else printable(told)


def _batching(results: AuditResults) -> str:
    """How the sample is cut up; the number of batches where an older audit does not say their sizes."""
    return results.data.batches or f"{results.data.n_batches} batches"


def _weights(results: AuditResults) -> tuple[object, ...]:
    subject = results.subject
    return subject.tensor_digest, subject.base_digest, subject.parameter_globs, subject.model


def _word(results: AuditResults) -> str:
    return "agrees" if results.instrument.agrees else "disagrees with itself"
