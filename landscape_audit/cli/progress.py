"""Progress on stderr: a bar with the time left on a terminal, a line a probe where there is none."""

from __future__ import annotations

import contextlib
import sys
import time

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from landscape_audit.cli.doing import doing
from landscape_audit.plan import Plan, Silent
from landscape_audit.plan import Progress as Listener
from landscape_audit.results import Cost
from landscape_audit.text import mebibytes, printable


def listener(*, quiet: bool) -> Listener:
    """What fits the stream that stderr is."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()


class Lines:
    """One plain line when a probe starts, with the share done and the time left."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._total = self._done = 0.0
        self._plan: Plan | None = None

    def planned(self, plan: Plan) -> None:
        """Say what it will cost."""
        self._total, self._plan, self._start = plan.gradients, plan, time.monotonic()
        tell(forecast(plan))

    def started(self, probe: str) -> None:
        """Say which probe starts."""
        if self._total:
            tell(f"  {100 * self._share():3.0f} %  {doing(probe)}{self._left()}")

    def spent(self, cost: Cost) -> None:
        """Count."""
        self._done += self._plan.in_gradients(cost) if self._plan else 0.0

    def note(self, message: str) -> None:
        """Say it."""
        tell(f"  note: {printable(message)}")

    def _share(self) -> float:
        return min(1.0, self._done / self._total)

    def _left(self) -> str:
        share, elapsed = self._share(), time.monotonic() - self._start
        return f", about {seconds(elapsed / share - elapsed)} left" if share > 0.02 else ""


class Bar:
    """A bar that fills with the gradients spent."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None
        self._plan: Plan | None = None

    def planned(self, plan: Plan) -> None:
        """Say what it will cost, and start."""
        self._plan = plan
        tell(forecast(plan))
        self._task = self._bar.add_task("starting", total=plan.gradients)
        self._bar.start()

    def started(self, probe: str) -> None:
        """Name the probe."""
        if self._task is not None:
            self._bar.update(self._task, description=doing(probe))

    def spent(self, cost: Cost) -> None:
        """Fill."""
        if self._task is not None and self._plan is not None:
            self._bar.advance(self._task, self._plan.in_gradients(cost))

    def note(self, message: str) -> None:
        """Say it above the bar."""
        with contextlib.suppress(OSError):
            self._bar.console.print(f"note: {printable(message)}", markup=False, highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        with contextlib.suppress(OSError):
            self._bar.stop()


def tell(line: str) -> None:
    """A line of progress; nobody who reads along, and leaves, ends an audit."""
    with contextlib.suppress(OSError):
        typer.echo(line, err=True)


def forecast(plan: Plan) -> str:
    """One sentence on what an audit will cost."""
    return (
        f"Auditing {plan.parameters:,} parameters on {plan.n_samples:,} examples: about {plan.gradients:.0f} gradients "
        f"of the whole sample, {seconds(plan.seconds)}, {mebibytes(plan.memory_bytes)}."
    )


def seconds(value: float) -> str:
    """A duration as people say it."""
    if value < 100:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.1f} h"
