"""The bench: where probes are taken, once each, with their own random streams and their cost written down."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from landscape_audit.budgets import Budgets
from landscape_audit.plan import Plan, Progress, Silent
from landscape_audit.probes.probe import Growth, Probe, ProbeFailedError, Size, Taken_co, with_needs
from landscape_audit.probes.ranks import Ranks
from landscape_audit.probes.room import Room, furnish
from landscape_audit.results import Cost
from landscape_audit.spec import ProtocolSpec
from landscape_audit.text import described, words

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from landscape_audit.curvature.directions import FilterScale
    from landscape_audit.curvature.layout import Group
    from landscape_audit.probes.evaluation import Evaluation
    from landscape_audit.probes.keeping import Keeping, Standing
    from landscape_audit.probes.landscape import Landscape
    from landscape_audit.subject.subject import Subject
    from landscape_audit.training.twins import Course

MOST_LAYERS = 12
"""Groups of parameters that a table by layer has at most."""


class ProcessFailedError(Exception):
    """One of several processes cannot go on, and so none can."""


@dataclass
class Ledger:
    """What one probe spent, itself and not its needs."""

    cost: Cost = field(default_factory=Cost)
    seconds: float = 0.0


class Bench:
    """A subject on the bench: losses, gradients and products at θ and around it, shared by all probes."""

    def __init__(
        self, subject: Subject, protocol: ProtocolSpec, progress: Progress, memory: int, ranks: Ranks | None = None
    ) -> None:
        self.subject = subject
        self.protocol = protocol
        self.budgets = protocol.budget()
        self.ledgers: dict[str, Ledger] = {}
        self.ranks = ranks or Ranks()
        self._notes: list[str] = []
        self._memory = memory
        self._progress = progress
        self.deadline: float | None = None
        self.course: Course | None = None
        self.stopped: KeyboardInterrupt | None = None
        self.keeping: Keeping | None = None
        self.gradient_rounding: float = 0.0
        self.looks = 1
        self._taken: dict[Probe[Any], Any] = {}
        self._before: dict[Probe[Any], Any] = {}
        self._open: list[str] = []

    @property
    def size(self) -> Size:
        """What costs depend on."""
        return Size(
            self.subject.layout.size, len(self.subject.sample.batches), len(self.layers), self.budgets, self.course
        )

    def take(self, probe: Probe[Taken_co]) -> Taken_co:
        """The result of a probe: measured the first time, remembered after, failure included."""
        if probe not in self._taken:
            self._taken[probe] = self._measure(probe)
        result = self._taken[probe]
        if isinstance(result, ProbeFailedError):
            raise result
        return result  # type: ignore[no-any-return] # the key is the probe that made it

    def has(self, probe: Probe[Any]) -> bool:
        """Whether a probe was taken, well or not."""
        return probe in self._taken

    def before(self, probe: Probe[Taken_co]) -> Taken_co | None:
        """What a probe took with a smaller budget, to go on from; None the first time."""
        return self._before.get(probe)

    def retake(self, probe: Probe[Any]) -> None:
        """Take a probe again, from where it was, and then those that follow it; give `budgets` more first."""
        kept = {each: self._taken[each] for each in (probe, *self.followers(probe))}
        for each in kept:
            del self._taken[each]
        self._before |= kept
        try:
            for each in kept:
                self.take(each)
        except BaseException:
            self._taken |= kept  # what was measured before stays measured, all of it
            raise

    def followers(self, probe: Probe[Any]) -> tuple[Probe[Any], ...]:
        """The probes that were taken and say that they follow this one when it grows."""
        return tuple(taken for taken in self._taken if type(probe) in getattr(taken, "FOLLOWS", ()))

    def grown(self, growth: Growth, size: int) -> Budgets:
        """The budgets with one that is larger and, where there is one, a tolerance that no longer stops short of it."""
        changed: dict[str, float] = {growth.budget: size}
        if growth.tolerance:
            changed[growth.tolerance] = getattr(self.budgets, growth.tolerance) / 10
        return self.budgets.model_copy(update=changed)

    def has_time_for(self, probes: Iterable[Probe[Any]], plan: Plan) -> bool:
        """Whether what is still to be taken fits into the time left; a probe that can stop at any time always does."""
        if self.deadline is None:
            return True
        fixed = [p for p in with_needs(probes) if p not in self._taken and not getattr(p, "ANYTIME", False)]
        needed = sum(plan.in_gradients(probe.cost(self.size)) for probe in fixed) * plan.gradient_seconds
        return not self.ranks.agree(time.monotonic() + needed > self.deadline)

    def out_of_time(self) -> bool:
        """Whether the time that the audit may take is over; all processes agree."""
        return self.deadline is not None and self.ranks.agree(time.monotonic() >= self.deadline)

    def _measure(self, probe: Probe[Any]) -> Any:
        try:
            for need in probe.needs:
                self.take(need)
        except ProbeFailedError as error:
            return error
        ledger = self.ledgers.setdefault(probe.name, Ledger())
        if self.keeping and (saved := self.keeping.again(self, probe)):
            ledger.cost, ledger.seconds = saved.cost, saved.seconds
            return saved.found
        spent, others, notes = ledger.cost, len(self._taken), len(self._notes)
        found = self._take_now(probe, ledger)
        # What spent nothing is taken again for nothing, and what took others rests on what they saved.
        worth_it = ledger.cost != spent and len(self._taken) == others and not getattr(probe, "KEEPS_ITSELF", False)
        if self.keeping and worth_it and not self._was_cut_short:
            self.keeping.keep(self, probe, found, self._notes[notes:])
        return found

    def _take_now(self, probe: Probe[Any], ledger: Ledger) -> Any:
        self._open.append(probe.name)
        self._progress.started(probe.name)
        start = time.perf_counter()
        try:
            return probe.take(self)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a hook of the model may raise SystemExit, which must not end an audit
            if self.ranks.size > 1:  # the others may be waiting for this process's sums, and must not get others
                raise ProcessFailedError(f"process {self.ranks.rank}: {probe.name}: {words(error)}") from error
            return ProbeFailedError(f"{probe.name}: {described(error)}")
        finally:
            ledger.seconds += time.perf_counter() - start
            self._open.pop()

    @property
    def _was_cut_short(self) -> bool:
        return self.stopped is not None or self.out_of_time()

    def spend(self, cost: Cost) -> None:
        """Write a cost down under the probe that is being taken."""
        ledger = self.ledgers[self._open[-1]]
        ledger.cost = ledger.cost + cost
        self._progress.spent(cost)

    def tell(self, doing: str) -> None:
        """Say which part of the running probe is being done."""
        self._progress.started(doing)

    def beside(self, subject: Subject, budgets: Budgets) -> Bench:
        """A bench for another point, with the same random streams; what is spent there is written down here.

        Products are in full precision, as nothing measures them again. Has half of the memory of this one, whose
        graphs are kept meanwhile.
        """
        protocol = self.protocol.model_copy(update={"budgets": budgets, "products": "full"})
        return Bench(subject, protocol, _Relay(self), self._memory // 2, self.ranks)

    def adopt(self, other: Bench) -> None:
        """Take over what was done differently there, once."""
        for message in other.adjustments:
            if message not in self._notes:
                self.note(message)

    @contextlib.contextmanager
    def summed(self, part: str) -> Iterator[Ledger]:
        """What is spent on one part of the running probe, to be written down at its end as one sum."""
        ledger = self.ledgers[part] = Ledger()
        self._open.append(part)
        try:
            yield ledger
        finally:
            self._open.pop()
            del self.ledgers[part]
            whole = self.ledgers[self._open[-1]]
            whole.cost = whole.cost + ledger.cost

    @contextlib.contextmanager
    def outside_the_ledger(self, reason: str) -> Iterator[None]:
        """Work that no probe asked for: timed and counted nowhere."""
        self.ledgers[reason] = Ledger()
        self._open.append(reason)
        try:
            yield
        finally:
            self._open.pop()
            del self.ledgers[reason]

    def seed(self, stream: str) -> int:
        """The seed of a named random stream: independent of every other stream, and of which probes were taken."""
        words = f"{self.protocol.seed}:{stream}".encode()
        return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1

    def generator(self, stream: str) -> Generator:
        """A random stream of its own for each name."""
        import torch

        return torch.Generator().manual_seed(self.seed(stream))

    # ------------------------------------------------------------------------------------------- around the subject

    @functools.cached_property
    def room(self) -> Room:
        """How the Krylov basis is kept, and what that leaves for graphs."""
        return furnish(self.subject.theta, self.rows, self._memory, self.protocol.basis)

    @property
    def eps(self) -> float:
        """Relative rounding of what is audited: its dtype's, or what the instrument found where that is coarser."""
        import torch

        return max(torch.finfo(self.subject.theta.dtype).eps, self.gradient_rounding)

    @property
    def rows(self) -> int:
        """Vectors as long as θ that Krylov spaces hold at once: the Hessian's, and the longest of those beside it."""
        budgets = self.budgets
        short = (budgets.trust_region_steps, budgets.ggn_steps, budgets.layer_steps, budgets.reparametrisation_steps)
        beside = max(steps or 0 for steps in short)
        return min(2 + (budgets.lanczos_steps or 0) + beside, self.subject.theta.numel())

    @functools.cached_property
    def landscape(self) -> Landscape:
        """The loss around θ, which costs nothing here: use the methods below, which write costs down."""
        import torch

        from landscape_audit.probes.landscape import Landscape

        autocast = torch.bfloat16 if self.protocol.products == "bfloat16" else None
        graphs = 0 if self.subject.recompute else self.room.graphs
        return Landscape(self.subject, self.ranks, graphs, autocast)

    def distrust(self, why: str) -> None:
        """Take second derivatives from differences of gradients from here on, also elsewhere and beside."""
        self.subject = replace(self.subject, distrusted=why)
        vars(self).pop("landscape", None)

    def elsewhere(self, theta: Tensor) -> Landscape:
        """The loss around another point, shape (P,), with graphs in the memory that those at θ leave.

        Costs nothing here, and is not kept: its user writes costs down.
        """
        from landscape_audit.probes.landscape import Landscape

        graphs = 0 if self.subject.recompute else max(0, self.room.graphs - self.landscape.kept_bytes)
        return Landscape(replace(self.subject, theta=theta), self.ranks, graphs)

    @property
    def double(self) -> Subject | None:
        """The subject in float64, to measure what rounding does; None where the model refuses. Not kept: large."""
        import torch

        return self.subject.in_dtype(torch.float64) if self._runs_in_double else None

    @functools.cached_property
    def _runs_in_double(self) -> bool:
        import torch

        problem = ""
        try:
            double = self.subject.in_dtype(torch.float64)
            double.batch_loss(double.layout.views(double.theta), double.sample.batches[0])
        except Exception as error:  # noqa: BLE001 - the model's own code runs here
            problem = f"The model does not run in float64, so rounding is bounded, not measured: {error}"
        if self.ranks.most(float(bool(problem))):
            self._notes.append(problem or "Another process could not run the model in float64: rounding is bounded.")
            return False
        return True

    @functools.cached_property
    def scale(self) -> FilterScale:
        """The filter norms at θ."""
        from landscape_audit.curvature.directions import FilterScale

        return FilterScale.at(self.subject.theta, self.subject.layout)

    @functools.cached_property
    def layers(self) -> tuple[Group, ...]:
        """The parameters by layer, as far down as stays readable."""
        return self.subject.layout.groups(MOST_LAYERS)

    @property
    def adjustments(self) -> tuple[str, ...]:
        """Whatever was measured differently from what was asked."""
        room = (self.room.adjustment,) if self.room.adjustment else ()
        return (*room, *self.landscape.adjustments, *self._notes)

    @property
    def standing(self) -> Standing:
        """How the probes that were taken so far have left the bench."""
        from landscape_audit.probes.keeping import Standing

        runs_in_double = vars(self).get("_runs_in_double")
        return Standing(self.subject.distrusted, runs_in_double, self.landscape.footing, self.gradient_rounding)

    def go_on_from(self, standing: Standing, notes: Sequence[str]) -> None:
        """Be as a probe left the bench when it was taken in an earlier run."""
        if standing.distrusted != self.subject.distrusted:
            self.distrust(standing.distrusted)
        if standing.runs_in_double is not None:
            vars(self)["_runs_in_double"] = standing.runs_in_double
        self.landscape.stand_on(standing.footing)
        self.gradient_rounding = standing.gradient_rounding
        self._notes += notes

    def tell_now(self, message: str) -> None:
        """Tell of something that is not for the results."""
        self._progress.note(message)

    def note(self, message: str) -> None:
        """Tell of something done differently, now and in the results."""
        self._notes.append(message)
        self._progress.note(message)

    def hvp(self, v: Tensor) -> Tensor:
        """H v at θ, shape (P,)."""
        product = self.landscape.hvp(v)
        self.spend(Cost(hvps=1))
        return product

    def ggn(self, v: Tensor) -> Tensor:
        """G v at θ, shape (P,), with G the Gauss-Newton part of the Hessian."""
        product = self.landscape.ggn(v)
        self.spend(Cost(hvps=1))
        return product

    def evaluate(self, displacement: Tensor | None = None) -> Evaluation:
        """The loss at θ + displacement."""
        theta = self.subject.theta if displacement is None else self.subject.theta + displacement
        evaluation = self.landscape.evaluate(theta)
        self.spend(Cost(forwards=1))
        return evaluation

    def gradient(self, displacement: Tensor | None = None) -> tuple[Tensor, float]:
        """The gradient and the loss at θ + displacement."""
        theta = self.subject.theta if displacement is None else self.subject.theta + displacement
        found = self.landscape.gradient(theta)
        self.spend(Cost(gradients=1))
        return found


class _Relay(Silent):
    """Passes on what one bench spends to another."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def spent(self, cost: Cost) -> None:
        """Write it down there."""
        self._bench.spend(cost)
