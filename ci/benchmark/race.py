"""Everyone's parts, interleaved in one process, and every CPU time as a multiple of a gradient timed just before it."""

from __future__ import annotations

import gc
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clock import cpu
from contestants import Answer, Contestant, Part
from reference import Reference

GROUPS = ("lambda_max", "ends", "trace", "spectrum", "battery")
GRADIENTS = 5


@dataclass(frozen=True)
class Row:
    """What one library spent on one group of quantities, and how far it was from the reference; or why it failed."""

    group: str
    who: str
    products: float = 0.0
    gradients: float = 0.0
    ratio: float = 1.0
    """Its gradients over ours."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """The worst of all rounds, by quantity: relative; λ_min as a share of λ_max."""
    enough: bool = True
    failure: str = ""


@dataclass
class Timed:
    """Every round of one part."""

    products: list[float] = field(default_factory=list)
    gradients: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    failure: str = ""
    first: int = 0
    """Of the budgets, the first to try: one below what was enough in the round before."""


Times = Mapping[tuple[str, str], Timed]
"""By contestant and part."""


def race(contestants: Sequence[Contestant], gradient: Callable[[], None], rounds: int) -> Times:
    """Every part of every contestant once a round, with the round as its seed; no more once it fails or gives up."""
    times = {(each.name, part): Timed() for each in contestants for part in each.parts}
    for seed in range(rounds):
        for who, name, part in _interleaved(contestants):
            timed = times[who, name]
            if not timed.failure and all(answer.enough for answer in timed.answers):
                _run(part, seed, gradient, timed)
                print(f"  round {seed + 1}: {who}, {name}: {_last(timed)}", file=sys.stderr, flush=True)
    return times


def _interleaved(contestants: Sequence[Contestant]) -> list[tuple[str, str, Part]]:
    queues = [[(each.name, name, part) for name, part in each.parts.items()] for each in contestants]
    return [turn for turns in itertools.zip_longest(*queues) for turn in turns if turn is not None]


def _run(part: Part, seed: int, gradient: Callable[[], None], timed: Timed) -> None:
    for rung in range(timed.first, len(part.budgets)):
        gc.collect()
        unit = statistics.median(cpu(gradient) for _ in range(GRADIENTS))
        begun = time.process_time()
        try:
            answer = part.call(seed, part.budgets[rung])
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its cell, and the exit code tells
            timed.failure = failure_in_words(error)
            return
        seconds = time.process_time() - begun
        timed.first = max(0, rung - 1)
        if answer.enough:
            break
    timed.products.append(answer.products)
    timed.gradients.append(seconds / unit)
    timed.answers.append(answer)


def _last(timed: Timed) -> str:
    if timed.failure:
        return f"FAILED {timed.failure}"
    there = "" if timed.answers[-1].enough else ", not there yet"
    return f"{timed.products[-1]:.0f} products, {timed.gradients[-1]:.0f} gradients{there}"


def failure_in_words(error: Exception) -> str:
    """One line that fits into a cell."""
    return f"{type(error).__name__}: {error}".splitlines()[0].replace("|", "/")


def rows(contestants: Sequence[Contestant], times: Times, truth: Reference) -> list[Row]:
    """One row for each group and contestant, the first of whom is the measure of ratios."""
    made = []
    for group in GROUPS:
        ours = _row(group, contestants[0], times, truth)
        for each in contestants:
            row = _row(group, each, times, truth, ours.gradients)
            made.append(row)
    return made


def _row(group: str, who: Contestant, times: Times, truth: Reference, ours: float = 0.0) -> Row:
    parts = [times[who.name, part] for part in who.groups[group]]
    if failures := [part.failure for part in parts if part.failure]:
        return Row(group, who.name, failure="; ".join(failures))
    gradients = sum(statistics.median(part.gradients) for part in parts)
    answers = [answer for part in parts for answer in part.answers]
    return Row(
        group,
        who.name,
        products=sum(statistics.median(part.products) for part in parts),
        gradients=gradients,
        ratio=gradients / ours if ours else 1.0,
        errors=_worst(answers, truth),
        enough=all(answer.enough for answer in answers),
    )


def _worst(answers: Sequence[Answer], truth: Reference) -> dict[str, float]:
    worst: dict[str, float] = {}
    for name, error in (found for answer in answers for found in _errors(answer, truth)):
        worst[name] = max(error, worst.get(name, 0.0))
    return worst


def _errors(answer: Answer, truth: Reference) -> list[tuple[str, float]]:
    found = [("top" if len(answer.top) > 1 else "lambda_max", _top_error(answer, truth))] if answer.top else []
    if answer.lambda_min is not None:
        found.append(("lambda_min", abs(answer.lambda_min - truth.lambda_min) / abs(truth.top[0])))
    if answer.trace is not None:
        found.append(("trace", abs(answer.trace - truth.trace) / abs(truth.trace)))
    return found


def _top_error(answer: Answer, truth: Reference) -> float:
    """Of the worst of the eigenvalues, as a share of that eigenvalue."""
    return max(abs(found - true) / abs(true) for found, true in zip(answer.top, truth.top, strict=False))
