"""Checkpoint, model, data and loss joined into one function of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_audit.curvature.layout import Layout
from landscape_audit.results import DataInfo, SubjectInfo
from landscape_audit.subject.data import Batch, Sample
from landscape_audit.subject.loss import BatchLoss


@dataclass(frozen=True)
class Subject:
    """L(theta) on one sample. The user's module only lends its structure; every tensor it computes with is our copy.

    `theta` (P,) are the trainable parameters in the audit's dtype, on the device, in the order of `layout`; they are
    never written to. `mode` says what makes the loss one smooth function, `adjustments` what differs from what was
    asked.
    """

    theta: Tensor
    layout: Layout
    sample: Sample
    info: SubjectInfo
    data: DataInfo
    mode: tuple[str, ...]
    adjustments: tuple[str, ...]
    model: nn.Module
    fixed: Mapping[str, Tensor]
    loss: Callable[[Tensor, Tensor], BatchLoss]

    def batch_loss(self, parameters: Sequence[Tensor], batch: Batch) -> BatchLoss:
        """The loss of one batch at `parameters`, tensors in the order of the layout (`layout.views(theta)`).

        Twice differentiable: attention runs in the math kernel.
        """
        tensors = {**self.fixed, **dict(zip(self.layout.names, parameters, strict=True))}
        with sdpa_kernel(SDPBackend.MATH):
            outputs = functional_call(self.model, tensors, (batch.inputs,))
        return self.loss(outputs, batch.targets)

    def in_dtype(self, dtype: torch.dtype) -> Subject:
        """The same function computed in another precision: the difference is rounding."""
        fixed = {name: value.to(dtype) if value.is_floating_point() else value for name, value in self.fixed.items()}
        sample = self.sample.to(self.theta.device, dtype)
        return replace(self, theta=self.theta.to(dtype), sample=sample, fixed=fixed)
