"""Whether the loss of a batch is the sum of its pieces' losses: only then may batches be cut or joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from landscape_audit.subject.data.batch import joined

if TYPE_CHECKING:
    from landscape_audit.subject.data.batch import Batch
    from landscape_audit.subject.subject import Subject

_ROUNDING = 1e3  # in units of eps: sums in another order differ by less


@torch.no_grad()
def adds_up(subject: Subject, whole: Batch, pieces: Sequence[Batch]) -> bool:
    """Whether the summed loss at θ of the pieces, each alone, is that of the whole: not where examples see each other.

    What is not a number tells nothing, and is left to those who look for it. Cost: two forward passes of `whole`.
    """
    views = subject.layout.views(subject.theta)
    together, apart = (
        sum(float(subject.batch_loss(views, batch).total) for batch in over) for over in ((whole,), pieces)
    )
    if math.isnan(together - apart):
        return True
    return abs(together - apart) <= _ROUNDING * torch.finfo(subject.theta.dtype).eps * max(abs(together), abs(apart))


def cut_adds_up(subject: Subject) -> bool:
    """Whether the first batch that was cut, as much of it as goes into one call, has the loss of its pieces."""
    sample, begin = subject.sample, 0
    for cuts in sample.cuts:
        pieces = sample.batches[begin : begin + cuts]
        begin += cuts
        if cuts > 1:
            most = max(2, sample.pass_size // pieces[0].size)
            return adds_up(subject, joined(pieces[:most]), pieces[:most])
    return True
