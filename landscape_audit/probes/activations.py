"""What the non-linearities and the attention of the model do on the audited sample, counted by unit and by head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size

SATURATED = 0.99
"""A tanh larger in size has under 2 % of its greatest slope; a sigmoid larger, or under 0.01, less than 4 %."""
GELU_OFF = -4.0
"""Below, the slope of a GELU is under 0.0006 in size, and so is its output."""
SILU_OFF = -10.0
"""Below, the slope of a SiLU is under 0.0005, and so is its output."""

Kind = Literal["relu", "sigmoid", "attention"]


@dataclass(frozen=True)
class Site:
    """One place in the forward pass where a non-linearity or attention is computed."""

    kind: Kind
    module: str
    """The innermost module that runs there; empty for the model itself."""
    function: str
    call: int
    """The how-manieth call of the function by this module in one pass, from 1."""
    size: int
    """Units, or heads."""


@dataclass(frozen=True)
class Tally:
    """Sums over the whole sample by unit or head, shape (size,), and over how much they go.

    Non-linearities: at how many positions the unit is off, and how many positions there are. Attention: relative
    entropies, and queries with more than one key.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """Every site in the order of the forward pass, and the modules that compute theirs where it cannot be seen."""

    tallies: Mapping[Site, Tally]
    hidden: tuple[str, ...]


@dataclass(frozen=True)
class WatchedForward:
    """One forward of the sample, with every torch function in it watched; attention computes its weights once more.

    Counting takes time of its own: a third of a forward more on a convolutional network here, as much again as one
    where attention is most of the work.
    """

    name: str = "watched_forward"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """One forward."""
        del size
        return Cost(forwards=1)

    def take(self, bench: Bench) -> Observed:
        """All batches once, of all processes."""
        from landscape_audit.probes.watch import observe

        here = bench.landscape.by_calls(observe)
        bench.spend(Cost(forwards=1))
        return merged(bench.ranks.gather(here))


def merged(parts: Iterable[Observed]) -> Observed:
    """What several processes saw of one sample."""
    tallies: dict[Site, Tally] = {}
    hidden: dict[str, None] = {}
    for part in parts:
        hidden |= dict.fromkeys(part.hidden)
        for site, tally in part.tallies.items():
            known = tallies.get(site)
            tallies[site] = tally if known is None else Tally(known.sums + tally.sums, known.counts + tally.counts)
    return Observed(tallies, tuple(hidden))
