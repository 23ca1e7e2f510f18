"""The gradient by parameter tensor: what a step would change there, and what a short dtype would lose of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from landscape_audit.detail import Axis, Bar, Bars, Column, Table
from landscape_audit.estimate import Estimate
from landscape_audit.probes.gradients import BlockGradient, GradientSample
from landscape_audit.text import number

VANISHING = 1e-3
"""Of the median ratio: a weight that moves a thousand times less than the others is not being trained with them."""
ROUNDING = 1e3
"""In units of eps, of a weight's gradient: the sum over positions that is zero for its bias is rounded to less."""


def ratios(blocks: Sequence[BlockGradient]) -> dict[str, Estimate]:
    """The median update ratio, and the least over the median; not a number where no weight has a ratio."""
    found = _ratios(weights(blocks))
    middle = median(found.values()) if found else math.nan
    weakest = min(found.values()) / middle if found else math.nan
    return {
        "update_ratio": Estimate.exact(middle, n=len(found)),
        "weakest_tensor": Estimate.exact(weakest, direction="higher", n=len(found)),
    }


def vanishing(blocks: Sequence[BlockGradient]) -> list[str]:
    """The weights without a gradient, or with a ratio of at most `VANISHING` times the median."""
    judged = weights(blocks)
    found = _ratios(judged)
    limit = VANISHING * median(found.values()) if found else 0.0
    return [block.name for block in judged if block.gradient_norm == 0 or found.get(block.name, math.inf) <= limit]


def weights(blocks: Sequence[BlockGradient]) -> list[BlockGradient]:
    """All tensors but the biases of weights: a layer trains if its weight does, whatever its bias gets."""
    return [block for block in blocks if not any(map(block.is_bias_of, blocks))]


def without_influence(blocks: Sequence[BlockGradient], eps: float) -> list[str]:
    """The biases whose gradient is zero up to rounding where that of their weight is not."""
    return [
        block.name
        for block in blocks
        if any(
            block.is_bias_of(weight) and block.gradient_norm <= ROUNDING * eps * weight.gradient_norm
            for weight in blocks
            if weight.gradient_norm != 0
        )
    ]


def _ratios(blocks: Sequence[BlockGradient]) -> dict[str, float]:
    found = ((block.name, _ratio(block)) for block in blocks if block.gradient_norm != 0)
    return {name: ratio for name, ratio in found if ratio is not None and math.isfinite(ratio)}


def _ratio(block: BlockGradient) -> float | None:
    return block.gradient_norm / block.weight_norm if block.weight_norm > 0 else None


def underflow(sample: GradientSample) -> dict[str, Estimate]:
    """What the checkpoint's dtype would lose of the gradient; nothing where it is of more than 16 bits."""
    if sample.held is None:
        return {}
    there = sum(block.elements - block.zeros for block in sample.blocks)
    less = sum(block.lost + block.subnormal for block in sample.blocks)
    share = less / there if there else math.nan
    return {
        "underflow": Estimate.exact(share, unit="share", direction="lower", n=there),
        "lost_norm": Estimate.exact(lost_share(sample), unit="share", direction="lower", n=there),
    }


def lost_share(sample: GradientSample) -> float:
    """The share of |g| in the elements that would be zero; not a number where g is zero."""
    lost = math.hypot(*(block.lost_norm for block in sample.blocks))
    whole = math.hypot(*(block.gradient_norm for block in sample.blocks))
    return lost / whole if whole else math.nan


def bars(blocks: Sequence[BlockGradient]) -> Bars:
    """|g| by tensor, largest first."""
    top = blocks[0]
    return Bars(
        name="layers",
        title="Gradient by parameter tensor",
        finding=f"The largest part of the gradient is in {top.name}, {number(top.gradient_norm)}.",
        expected="small everywhere; no tensor orders of magnitude above the others",
        axis=Axis(label="|g|", unit="loss per unit of parameter", scale="log"),
        bars=tuple(Bar(label=block.name, value=block.gradient_norm) for block in blocks),
    )


def table(blocks: Sequence[BlockGradient], held: str | None, eps: float) -> Table:
    """Norms, ratios and lost elements by tensor, and which get no gradient."""
    told = dict.fromkeys(vanishing(blocks), "vanishing")
    told |= dict.fromkeys(without_influence(blocks, eps), "no influence, its weight has")
    columns = [
        Column(name="parameter", title="Parameter"),
        Column(name="elements", title="Elements"),
        Column(name="gradient_norm", title="|g|", unit="loss per unit of parameter"),
        Column(name="weight_norm", title="|θ|"),
        Column(name="update_ratio", title="|g| / |θ|"),
        Column(name="zeros", title="Exact zeros"),
        Column(name="underflows", title="Below float16"),
        Column(name="note", title="Note"),
    ]
    if held:
        columns += [
            Column(name="lost", title=f"Zero in {held}"),
            Column(name="subnormal", title=f"Subnormal in {held}"),
        ]
    return Table(
        name="layer_ratios",
        title="Update ratios",
        finding="What a step of size one along −g would change in each tensor, relative to what is there.",
        columns=tuple(columns),
        rows=tuple(_row(block, told.get(block.name, ""))[: len(columns)] for block in blocks),
    )


def _row(block: BlockGradient, note: str) -> tuple[str | int | float | None, ...]:
    return (
        block.name,
        block.elements,
        block.gradient_norm,
        block.weight_norm,
        _ratio(block),
        block.zeros,
        block.underflows,
        note,
        block.lost,
        block.subnormal,
    )
