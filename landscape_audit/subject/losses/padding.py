"""Tokens that are padding for the model, and count for the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from landscape_audit.spec import LossSpec
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.losses.returned import IGNORED, MODEL
from landscape_audit.text import count

_OF_TOKENS = frozenset({"causal_lm", "masked_lm", MODEL})


def counted_padding(spec: LossSpec, batches: Sequence[Batch]) -> Iterator[str]:
    """A line if there are any: given labels are taken as they are, as transformers does, whatever the mask says."""
    if spec.name not in _OF_TOKENS:
        return
    ignored = spec.kwargs.get("ignore_index", IGNORED)
    found = sum(_counted(batch, ignored) for batch in batches)
    if found:
        yield (
            f"{count(found, 'target')} under padding (attention_mask 0) count: the labels there are not {ignored}, "
            "and a mask alone takes none out of the loss."
        )


def _counted(batch: Batch, ignored: int) -> int:
    mask = batch.inputs.get("attention_mask") if isinstance(batch.inputs, dict) else None
    targets = batch.targets
    if not (isinstance(mask, Tensor) and isinstance(targets, Tensor) and mask.shape == targets.shape):
        return 0
    return int(((mask == 0) & (targets != ignored)).sum())
