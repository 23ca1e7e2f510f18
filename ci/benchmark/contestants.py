"""What is asked of every library, and what an answer is."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

TOP = 5
LAMBDA_MAX_TOLERANCE = 1e-3
ENDS_TOLERANCE = 1e-2
"""Of the five largest eigenvalues and of λ_min."""
TRACE_TOLERANCE = 2e-2
"""Of the trace's standard error."""

PROBES = (4, 8, 16, 32, 64, 128, 256)
"""How many random probes are tried, where a library has no rule of its own for stopping."""


@dataclass(frozen=True)
class Answer:
    """What was found, and the Hessian-vector products that finding it took, as counted where they are made."""

    products: float
    top: tuple[float, ...] = ()
    """The largest eigenvalues, largest first."""
    lambda_min: float | None = None
    trace: float | None = None
    enough: bool = True
    """Whether the library's own measure of its error says that the tolerance is met."""


@dataclass(frozen=True)
class Part:
    """One call of a library with a seed and a budget: the smallest of `budgets` whose answer is enough counts.

    Only that call is timed. What a user spends on finding the budget is given away.
    """

    call: Callable[[int, int], Answer]
    budgets: tuple[int, ...] = (0,)


class Contestant(Protocol):
    """A library with one workload."""

    name: str
    parts: Mapping[str, Part]
    """Its calls by name."""
    groups: Mapping[str, Sequence[str]]
    """Which parts together answer `lambda_max`, `ends`, `trace`, `spectrum` and `battery`; a part may serve several."""

    def product(self) -> Tensor:
        """The Hessian times the workload's direction, shape (P,)."""


def precise(samples: Sequence[float], offset: float = 0.0) -> bool:
    """Whether the standard error of offset + mean is within the trace's tolerance of it."""
    if len(samples) < PROBES[0]:
        return False
    error = statistics.stdev(samples) / len(samples) ** 0.5
    return error <= TRACE_TOLERANCE * abs(offset + statistics.mean(samples))
