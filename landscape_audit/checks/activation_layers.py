"""The places that the activations check counts over, worst first, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landscape_audit.detail import Column, Table
from landscape_audit.estimate import finite_or_none
from landscape_audit.probes.activations import Kind, Observed, Site, Tally
from landscape_audit.statistics import Floats
from landscape_audit.text import count, number

COLLAPSED = 0.01
"""Relative entropy below which a head looks at one key: with 64 keys, a weight of about 0.995 on it."""
UNIFORM = 0.99
"""Above, a head looks at all keys alike: the scores of 64 keys then have a standard deviation under 0.3."""
MOST_ROWS = 30
"""Layers or heads that a table names; the others are summed in its last row."""

Place = tuple[str, str, int | None]
Row = tuple[str | int | float | None, ...]


@dataclass(frozen=True)
class Layer:
    """One site: which of its units or heads are off on the whole sample."""

    site: Site
    tally: Tally

    @property
    def shares(self) -> Floats:
        """By unit, at which share of positions it is off; by head with more than one key, its mean relative entropy."""
        has = self.tally.counts > 0
        return self.tally.sums[has] / self.tally.counts[has]

    @property
    def size(self) -> int:
        """Units or heads."""
        return len(self.shares)

    @property
    def off(self) -> int:
        """Units that are off at every position, or heads that look at one key."""
        found = self.shares < COLLAPSED if self.site.kind == "attention" else self.shares == 1
        return int(np.count_nonzero(found))

    @property
    def uniform(self) -> int:
        """Heads that look at all keys alike."""
        return int(np.count_nonzero(self.shares > UNIFORM))

    @property
    def share(self) -> float:
        """Of its units or heads that are off."""
        return self.off / self.size

    @property
    def values_off(self) -> float:
        """Single values that are off."""
        return float(self.tally.sums.sum())

    @property
    def values(self) -> float:
        """Single values."""
        return float(self.tally.counts.sum())

    @property
    def place(self) -> Place:
        """Where it is: the module, the function in it, which call."""
        return self.site.module or "the model itself", self.site.function, self.site.call

    @property
    def name(self) -> str:
        """The same in words."""
        module, function, call = self.place
        return f"{module} ({function}{'' if call == 1 else f', call {call}'})"


def layers_of(seen: Observed, kind: Kind) -> tuple[Layer, ...]:
    """The sites of a kind, worst first; among equals the one nearest to the input. Empty ones are left out."""
    found = [Layer(site, tally) for site, tally in seen.tallies.items() if site.kind == kind and tally.counts.any()]
    return tuple(sorted(found, key=lambda layer: (-layer.share, -layer.off)))


_PLACE = (
    Column(name="layer", title="Layer"),
    Column(name="function", title="Function"),
    Column(name="call", title="Call"),
)


def unit_table(name: str, state: str, layers: Sequence[Layer]) -> Table:
    """Units by layer: how many are off everywhere, and how much is off in all."""

    def row(place: Place, some: Sequence[Layer]) -> Row:
        units, off = sum(layer.size for layer in some), sum(layer.off for layer in some)
        values = sum(layer.values_off for layer in some) / sum(layer.values for layer in some)
        return (*place, units, off, off / units, values)

    units, off = sum(layer.size for layer in layers), sum(layer.off for layer in layers)
    worst = f" The worst is {layers[0].name}: {layers[0].off:,} of {layers[0].size:,}." if off else ""
    return Table(
        name=name,
        title=f"{state.capitalize()} units by layer",
        finding=f"Of {count(units, 'unit')} in {count(len(layers), 'layer')}, {off:,} "
        f"{'is' if off == 1 else 'are'} {state} on the whole sample.{worst}",
        expected="none, or few",
        columns=(
            *_PLACE,
            Column(name="units", title="Units"),
            Column(name=state, title=f"{state.capitalize()} everywhere"),
            Column(name="share", title="Share of units"),
            Column(name="values", title="Share of values"),
        ),
        rows=(
            *(row(layer.place, (layer,)) for layer in layers[:MOST_ROWS]),
            *(row(_others(layers, "layer"), rest) for rest in (layers[MOST_ROWS:],) if rest),
        ),
    )


def head_tables(layers: Sequence[Layer]) -> tuple[Table, Table]:
    """Attention by layer, and head by head."""
    return _by_layer(layers), _by_head(layers)


def _by_layer(layers: Sequence[Layer]) -> Table:
    def row(place: Place, some: Sequence[Layer]) -> Row:
        entropies = np.concatenate([layer.shares for layer in some])
        mean = finite_or_none(float(entropies.mean()))
        return (*place, len(entropies), sum(layer.off for layer in some), sum(layer.uniform for layer in some), mean)

    heads, collapsed = sum(layer.size for layer in layers), sum(layer.off for layer in layers)
    uniform = sum(layer.uniform for layer in layers)
    return Table(
        name="attention",
        title="How widely attention looks, by layer",
        finding=f"Of {count(heads, 'head')}, {collapsed:,} collapsed onto one key and {uniform:,} look at all alike.",
        expected="heads between the two; one that looks at one key may do so on purpose",
        columns=(
            *_PLACE,
            Column(name="heads", title="Heads"),
            Column(name="collapsed", title="Collapsed"),
            Column(name="uniform", title="Uniform"),
            Column(name="entropy", title="Mean relative entropy"),
        ),
        rows=(
            *(row(layer.place, (layer,)) for layer in layers[:MOST_ROWS]),
            *(row(_others(layers, "layer"), rest) for rest in (layers[MOST_ROWS:],) if rest),
        ),
    )


def _by_head(layers: Sequence[Layer]) -> Table:
    """Those nearest to either end first."""
    heads = [
        (layer.place, index, float(total / queries))
        for layer in layers
        for index, (total, queries) in enumerate(zip(layer.tally.sums, layer.tally.counts, strict=True))
        if queries
    ]
    heads.sort(key=lambda head: min(head[2], 1 - head[2]))
    lowest, highest = (finite_or_none(float(end([head[2] for head in heads]))) for end in (np.min, np.max))
    rest = [entropy for _, _, entropy in heads[MOST_ROWS:]]
    return Table(
        name="heads",
        title="Attention by head",
        finding=f"Relative entropies reach from {number(lowest)} to {number(highest)}.",
        expected="neither 0, a look at one key, nor 1, at all alike",
        columns=(*_PLACE, Column(name="head", title="Head, from 0"), Column(name="entropy", title="Relative entropy")),
        rows=(
            *((*place, index, finite_or_none(entropy)) for place, index, entropy in heads[:MOST_ROWS]),
            *([(*_others(heads, "head"), None, finite_or_none(float(np.mean(rest))))] if rest else []),
        ),
    )


def _others(all_of_them: Sequence[object], noun: str) -> Place:
    return count(len(all_of_them) - MOST_ROWS, f"other {noun}"), "", None
