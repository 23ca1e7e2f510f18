"""The validation sample: drawn once, in order, kept on the device, and the same on a second pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Examples along the first axis of both tensors."""

    inputs: Tensor
    targets: Tensor

    @property
    def size(self) -> int:
        """How many examples."""
        return self.inputs.shape[0]

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """The same batch there; only floating-point tensors change their dtype."""
        return Batch(_to(self.inputs, device, dtype), _to(self.targets, device, dtype))


@dataclass(frozen=True)
class Sample:
    """Everything the loss is measured on, in order."""

    batches: tuple[Batch, ...]
    fingerprint: str
    source: str

    @property
    def size(self) -> int:
        """N, the number of examples."""
        return sum(batch.size for batch in self.batches)

    def to(self, device: torch.device, dtype: torch.dtype) -> Sample:
        """The same sample there; only floating-point tensors change their dtype."""
        batches = tuple(batch.to(device, dtype) for batch in self.batches)
        return Sample(batches, self.fingerprint, self.source)


def _to(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    return tensor.to(device, dtype if tensor.is_floating_point() else None)
