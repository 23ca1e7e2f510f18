"""What a model's own loss is the mean of, found by measuring."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from landscape_audit.errors import LossError, ModelError
from landscape_audit.subject.data.batch import Batch, joined
from landscape_audit.subject.losses.returned import Weight, by_example, model
from landscape_audit.subject.subject import Subject, fixed

_PAIRS = 2
"""Examples from each end of each order that the trial takes."""
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Relative, by what the model computes in: models upcast or downcast their logits to float32 for the loss."""
_NAMES: dict[Weight, str] = {
    "examples": "examples",
    "targets": "targets that count",
    "shifted": "targets that count behind the first of each row",
}
_REMEDY = 'Say what it is the mean of:  [loss] kwargs = { weight = "examples" | "targets" | "shifted" }'


def weighed(subject: Subject) -> Subject:
    """The subject with its model's loss weighted so that a batch's loss is the weighted mean of its pieces' losses.

    A mean over tokens that is averaged over examples is another loss as soon as batches are ragged. Which it is shows
    on examples with unequal counts: their own losses against that of all of them together. Costs a few forward passes
    of single examples. Where the candidates are proportional to each other on the whole sample, any of them is right.
    """
    candidates = _candidates(subject.sample.batches)
    trial = _trial(subject.sample.batches, candidates)
    if trial is None:
        if not _proportional(candidates):
            raise LossError(
                "[loss] model: what the model's loss is the mean of cannot be measured: no two examples of one shape "
                "have targets that count.",
                remedy=_REMEDY,
            )
        return replace(subject, loss=model("examples"))
    right = _fitting(subject, trial, list(candidates))
    if not right:
        raise LossError(
            "[loss] model: the model's loss of a batch is the mean of its pieces' losses neither by examples nor by "
            "targets. Is it a sum, or do examples see each other?",
            remedy=_REMEDY + ", or have the model return a mean.",
        )
    if not _proportional({name: candidates[name] for name in right}):
        several = " and ".join(f'"{name}"' for name in right)
        raise LossError(
            f"[loss] model: by the examples tried, the model's loss could be weighted by {several}, which differ.",
            remedy=_REMEDY,
        )
    told = f"The model's own loss is a mean over the {_NAMES[right[0]]}, as was found by measuring."
    return replace(subject, loss=model(right[0]), adjustments=(*subject.adjustments, told))


def _candidates(batches: Sequence[Batch]) -> dict[Weight, Tensor]:
    """The weights of all examples, (N,) each, by what may be counted in these targets."""
    found: dict[Weight, Tensor] = {}
    for name in get_args(Weight):
        counts = [by_example(name, batch.targets) for batch in batches]
        known = [count for count in counts if count is not None]
        if len(known) == len(counts) and any(count.any() for count in known):
            found[name] = torch.cat(known).cpu()
    return found


def _proportional(candidates: dict[Weight, Tensor]) -> bool:
    """Whether all of them weigh the sample's examples alike."""
    shares = [weights / weights.sum() for weights in candidates.values()]
    return all(torch.allclose(share, shares[0], rtol=1e-12) for share in shares)


def _trial(batches: Sequence[Batch], candidates: dict[Weight, Tensor]) -> Batch | None:
    """A few examples of one shape that differ in their counts as much as there are; None where there are no two."""
    groups: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, batch in enumerate(batches):
        groups[repr(batch.shape)] += [(index, row) for row in range(batch.size)]
    starts = torch.tensor([0, *(batch.size for batch in batches)]).cumsum(0).tolist()
    table = torch.stack(list(candidates.values()))
    chosen: list[tuple[int, int]] = []
    widest = -1.0
    for places in groups.values():
        own = table[:, [starts[index] + row for index, row in places]]
        usable = (own > 0).all(0).nonzero().flatten().tolist()  # a mean over nothing is not a number
        few = _extremes(own, usable)
        if len(few) > 1 and (spread := _spread(own[:, few])) > widest:
            chosen, widest = [places[at] for at in few], spread
    return joined([batches[index].rows(slice(row, row + 1)) for index, row in chosen]) if chosen else None


def _extremes(own: Tensor, usable: list[int]) -> list[int]:
    """Examples with the least and the most of each count, and of the last in relation to the one before."""
    ratio = own[-1] / own[-2].clamp(min=1) if len(own) > 1 else own[-1]
    found: dict[int, None] = {}
    for order in (*own, ratio):
        ranked = sorted(usable, key=lambda at, order=order: float(order[at]))  # type: ignore[misc]
        found |= dict.fromkeys([*ranked[:_PAIRS], *ranked[-_PAIRS:]])
    return list(found)


def _spread(own: Tensor) -> float:
    """How much the candidates differ in how they weigh these examples."""
    shares = own / own.sum(1, keepdim=True)
    return float((shares.amax(0) - shares.amin(0)).sum())


def _fitting(subject: Subject, trial: Batch, names: list[Weight]) -> list[Weight]:
    """The candidates by which the loss of the trial is the mean of its examples' own; in float64 where that runs."""
    try:
        (whole, apart), tolerance = _losses(subject, trial, torch.float64), _TOLERANCE[torch.float64]
    except ModelError:  # some models compute in float32 whatever their weights are
        (whole, apart), tolerance = _losses(subject, trial, subject.theta.dtype), _TOLERANCE[torch.float32]
    right = []
    for name in names:
        weights = by_example(name, trial.targets)
        assert weights is not None  # noqa: S101 - candidates can be counted in all batches
        mean = float((weights.cpu() * apart).sum() / weights.sum())
        if abs(whole - mean) <= tolerance * float(apart.abs().max()):
            right.append(name)
    return right


@torch.no_grad()
def _losses(subject: Subject, trial: Batch, dtype: torch.dtype) -> tuple[float, Tensor]:
    """The model's loss of the trial at θ, and those of its examples alone."""
    # Copies, as it is not known yet which buffers the forward pass writes to.
    copies = fixed(subject.model, subject.layout, subject.theta.device)
    there = replace(subject, loss=model("examples"), fixed=copies).in_dtype(dtype)
    views = there.layout.views(there.theta)

    def loss(batch: Batch) -> float:
        found = there.batch_loss(views, batch)
        return float(found.total / found.weight)

    apart = [loss(each) for each in trial.split(trial.size)]
    return loss(trial), torch.tensor(apart, dtype=torch.float64)
