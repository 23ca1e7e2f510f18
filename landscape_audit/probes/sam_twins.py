"""Twins trained on from the checkpoint with and without SAM, each measured as the checkpoint is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from landscape_audit.budgets import Budgets
from landscape_audit.probes.ascent import RADIUS
from landscape_audit.probes.kept_twins import SeedFound, TwinFound, keep, kept
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.perturbations import RandomPerturbation
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.results import Cost
from landscape_audit.spec import SamSpec
from landscape_audit.text import count, number

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.subject.subject import Subject
    from landscape_audit.training.twins import Course

BASE = "base"
LEAST = 2
"""Finished seeds from which an interval can be had."""
SIGMA = 0.1
"""The radius of the random perturbations, as a share of each filter's norm: the middle of the sweep of `flatness`."""
LANCZOS_STEPS = 20
"""Products for one twin's λ_max, at most."""


@dataclass(frozen=True)
class Twins:
    """All twins by seed, the checkpoint that they start from, and how they were trained."""

    start: TwinFound
    seeds: tuple[SeedFound, ...]
    spec: SamSpec
    rate: float
    batch_size: int
    gradient: float
    """What the gradient of one batch costs, in gradients of the audited sample."""
    saved: str
    """Which twin was saved and where, in words; empty where none was."""


@dataclass(frozen=True)
class Refused:
    """Why there are no twins."""

    reason: str


@dataclass(frozen=True)
class SamTwins:
    """One base twin and, for every variant, one SAM twin a seed; SAM's is measured half-way and at its end.

    At a constant rate half of a run is a run of half the steps: one training serves the comparison at equal gradients
    and the one at equal steps.
    """

    name: str = "sam_twins"
    needs: tuple[Probe[object], ...] = ()

    KEEPS_ITSELF: ClassVar = True
    """Seed by seed, which is finer than a probe, and beyond an audit, as more seeds or variants go on from them."""

    def cost(self, size: Size) -> Cost:
        """Training, in gradients of the audited sample by the examples that were seen, and measuring every twin."""
        course = size.course
        if course is None:
            return Cost()
        spec = course.spec
        once = _measuring(size)
        twins = 1 + spec.seeds * (1 + 2 * len(spec.variants))
        again = 1 if course.save else 0
        steps = spec.steps * (spec.seeds * (1 + 2 * len(spec.variants)) + again)
        return Cost(
            forwards=twins * once.forwards + again,
            gradients=twins * once.gradients + steps * course.gradient,
            hvps=twins * once.hvps,
        )

    def take(self, bench: Bench) -> Twins | Refused:
        """Seed by seed; finished ones are kept on disk and, from two on, whatever stops the next one."""
        course = bench.course
        if course is None:
            return Refused("not enabled:  [checks.sam] enabled = true, train = …")
        if bench.ranks.size > 1:
            return Refused(f"{bench.ranks.size} processes: twins are trained by one. Run this check without torchrun.")
        if course.refused:
            return Refused(course.refused)
        _tell_precision(bench)
        start = measured(bench, bench.subject, variant="start", steps=0, gradients=0)
        seeds = _finished_seeds(bench, course.knowing(start.sums, start.weights, start.metric), start)
        saved = _save_best(bench, course, seeds) if course.save and not bench.stopped else ""
        return Twins(start, seeds, course.spec, course.rate, course.batch_size, course.gradient, saved)


def _tell_precision(bench: Bench) -> None:
    stored = {group.dtype for group in bench.subject.info.tensor_groups if "float" in group.dtype}
    if other := sorted(stored - {bench.protocol.dtype}):
        bench.note(f"sam: twins of a checkpoint in {' and '.join(other)} are trained in {bench.protocol.dtype}.")


def _finished_seeds(bench: Bench, course: Course, start: TwinFound) -> tuple[SeedFound, ...]:
    """All seeds, or those that were finished when the time was over or a person stopped it, if an interval is left."""
    seeds: list[SeedFound] = []
    try:
        while len(seeds) < course.spec.seeds and not (len(seeds) >= LEAST and bench.out_of_time()):
            seeds.append(_seed(bench, course, len(seeds), start))
    except KeyboardInterrupt as stop:
        if len(seeds) < LEAST:
            raise
        bench.stopped = stop
    if len(seeds) < course.spec.seeds:
        bench.note(f"sam: {len(seeds)} of {course.spec.seeds} seeds were finished; the others are left out.")
    return tuple(seeds)


def _seed(bench: Bench, course: Course, seed: int, start: TwinFound) -> SeedFound:
    """The twins of one seed: those that an earlier run kept, and the others trained, measured and kept."""
    found = kept(course, seed, start)
    wanted = (BASE, *course.spec.variants)
    there = [name for name in wanted if all(found.has(name, step) for step in stops(course.spec, name))]
    if there:
        told = f"sam: {', '.join(there)} of seed {seed + 1} from an earlier run with the same settings and code."
        bench.tell_now(told)  # not for the results: they are what they would be without
    for variant in wanted:
        if variant in there:
            bench.spend(found.costs.get(variant, Cost()))
            continue
        steps = stops(course.spec, variant)
        bench.tell(f"sam: seed {seed + 1} of {course.spec.seeds}, the {variant} twin")
        each = 1 if variant == BASE else 2
        with bench.summed("a twin's training") as ledger:
            twins = [
                measured(bench, twin, variant=variant, steps=step, gradients=each * step)
                for step, twin in zip(steps, _trained(bench, course, variant, seed, steps), strict=True)
            ]
        costs = {**found.costs, variant: ledger.cost}
        found = SeedFound(key=found.key, twins=(*found.twins, *twins), costs=costs)
        keep(course, seed, found)
    # An earlier run may have kept more.
    return found.model_copy(update={"twins": tuple(twin for twin in found.twins if twin.variant in wanted)})


def stops(spec: SamSpec, variant: str) -> tuple[int, ...]:
    """After how many steps a twin is measured: SAM at equal gradients and at equal steps."""
    return (spec.steps,) if variant == BASE else (spec.steps // 2, spec.steps)


def _trained(bench: Bench, course: Course, variant: str, seed: int, steps: tuple[int, ...]) -> list[Subject]:
    from landscape_audit.training.twins import trained

    def spend(examples: int) -> None:
        bench.spend(Cost(gradients=examples / course.audited))

    return trained(bench.subject, course, variant, bench.generator(f"sam_twins:{seed}"), steps, spend)


# ----------------------------------------------------------------------------------------------------------- measuring


def measured(bench: Bench, twin: Subject, *, variant: str, steps: int, gradients: int) -> TwinFound:
    """Loss, metric, rise, λ_max and one-step value of one twin, with the same random numbers for all of them."""
    on = bench.beside(twin, _budgets(bench.budgets))
    with on.outside_the_ledger("a twin"):
        here = on.evaluate()
        finite = math.isfinite(here.loss)
        numbers = _numbers(on, here.loss) if finite else dict.fromkeys(_NUMBERS, math.nan)
    bench.adopt(on)
    return TwinFound(
        variant=variant,
        steps=steps,
        gradients=gradients,
        sums=here.sums,
        weights=here.weights,
        metric=here.metric if finite or here.metric is None else math.nan,
        **numbers,
    )


_NUMBERS = ("rise", "lambda_max", "residual", "one_step")


def _numbers(on: Bench, here: float) -> dict[str, float]:
    rise = on.take(RandomPerturbation()).clouds[0].rise.value
    return dict(zip(_NUMBERS, (rise, *_curvature(on), _one_step(on, here)), strict=True))


def _budgets(own: Budgets) -> Budgets:
    return own.model_copy(
        update={
            "lanczos_steps": min(LANCZOS_STEPS, own.lanczos_steps or LANCZOS_STEPS),
            "top_k": 1,
            "eigen_tolerance": 1e-2,
            "flatness_sigmas": (SIGMA,),
            "flatness_tolerance": None,  # all draws: twins are compared on the same ones
            "trust_region_steps": 1,
            "ggn_steps": 1,
            "layer_steps": 0,
        }
    )


def _measuring(size: Size) -> Cost:
    """What one twin's numbers cost at most."""
    own = replace(size, budgets=_budgets(size.budgets))
    return RandomPerturbation().cost(own) + HessianKrylov().cost(own) + Cost(forwards=2, gradients=1)


def _curvature(on: Bench) -> tuple[float, float]:
    """The largest Ritz value and its residual; neither where a product is not finite."""
    try:
        space: KrylovSpace = on.take(HessianKrylov())
    except ProbeFailedError as failed:
        on.note(f"A twin has no λ_max: {failed}")
        return math.nan, math.nan
    return float(space.ritz_values[-1]), float(space.residuals[-1])


def _one_step(on: Bench, here: float) -> float:
    from landscape_audit.curvature.vectors import norm

    gradient, _ = on.gradient()
    length = norm(gradient)
    return on.evaluate(gradient * (RADIUS / length) if length > 0 else None).loss - here


# -------------------------------------------------------------------------------------------------------------- saving


def _save_best(bench: Bench, course: Course, seeds: Sequence[SeedFound]) -> str:
    """Train the twin of lowest loss at equal gradients once more, as none is kept meanwhile, and write it."""
    assert course.save is not None  # noqa: S101 - the caller has seen to it
    rivals = [
        (twin.loss, seed, twin)
        for seed, found in enumerate(seeds)
        for twin in found.twins
        if twin.gradients == course.spec.steps and math.isfinite(twin.loss)
    ]
    if not rivals:
        bench.note("sam: every twin diverged, so none was saved.")
        return ""
    loss, seed, best = min(rivals, key=lambda rival: rival[0])
    bench.tell(f"sam: the {best.variant} twin of seed {seed + 1}, to be saved")
    (twin,) = _trained(bench, course, best.variant, seed, (best.steps,))
    on = bench.beside(twin, bench.budgets)
    with on.outside_the_ledger("a twin"):
        again = on.evaluate().loss
    if again != loss:
        bench.note(f"sam: trained again to be saved, the twin has a loss of {number(again)}, not {number(loss)}.")
    described = f"{best.variant}, {count(best.steps, 'step')} of {course.spec.optimiser}, seed {seed + 1}"
    course.save.write(twin, described)
    return f"{course.save.path.name}: {described}; loss {number(again)} before rounding to the checkpoint's dtypes"
