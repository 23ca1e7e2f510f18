"""Checkpoint, model, data and loss joined into one function of the parameters."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_audit.curvature.layout import Layout
from landscape_audit.errors import ModelError
from landscape_audit.results import DataInfo, FileRecord, SubjectInfo
from landscape_audit.subject.checkpoint.checkpoint import tensor_digest
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.data.nested import arguments, mapped
from landscape_audit.subject.data.sample import Sample
from landscape_audit.subject.losses.loss import BatchLoss, Loss
from landscape_audit.subject.losses.output import chosen
from landscape_audit.subject.model.derivatives import exactly_differentiable
from landscape_audit.subject.model.filling import cast
from landscape_audit.subject.model.recompute import recomputing


@dataclass(frozen=True)
class Subject:
    """L(theta) on one sample. The user's module only lends its structure; every tensor it computes with is our copy.

    `theta` (P,) are the audited parameters in the audit's dtype, on the device, in the order of `layout`; they are
    never written to. `fixed` are all others and the buffers; `written` names those that the forward pass
    writes to. `mode` says what makes the loss one smooth function, `adjustments` what differs from what was asked.
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
    written: tuple[str, ...]
    loss: Loss
    code: UserCode
    names: Mapping[str, str] = field(default_factory=dict)
    """What each tensor of the checkpoint is called in the model."""
    sources: Mapping[Path, FileRecord] = field(default_factory=dict)
    """The files of the checkpoint as they were read, by path."""
    recompute: bool = False
    """Whether activations are computed again when a derivative needs them, which takes less memory and more time."""
    output: str | int | None = None
    """Which of the model's outputs the loss is held against."""
    distrusted: str = ""
    """Why autograd's second derivatives of this model are not to be used; empty where they are."""

    def batch_loss(
        self, parameters: Sequence[Tensor], batch: Batch, *, autocast: torch.dtype | None = None
    ) -> BatchLoss:
        """The loss of one batch at `parameters`, tensors in the order of the layout (`layout.views(theta)`).

        Twice differentiable, as attention runs in the math kernel. Not checked for being finite. Under `autocast` the
        model computes in that dtype where torch deems it safe; the loss itself does not.
        """
        batch = self.placed(batch)
        with torch.autocast(self.theta.device.type, dtype=autocast, enabled=autocast is not None):
            outputs = self.outputs(parameters, batch)
        if autocast is not None and isinstance(outputs, Tensor):
            outputs = outputs.to(self.theta.dtype)
        return self.loss.of(outputs, batch)

    def outputs(self, parameters: Sequence[Tensor], batch: Batch) -> Any:
        """What the model gives for one batch at `parameters`."""
        tensors = {**self.fixed, **dict(zip(self.layout.names, parameters, strict=True))}
        for name in self.written:
            tensors[name] = tensors[name].clone()
        kept = recomputing(self.model) if self.recompute else contextlib.nullcontext()
        exact = exactly_differentiable(self.model)
        # A copy: a model may write to what it is given.
        given, named = arguments(mapped(torch.clone, self.placed(batch).inputs))
        with self.code.lent(f"{self.info.model}: forward", ModelError), sdpa_kernel(SDPBackend.MATH), exact, kept:
            return chosen(functional_call(self.model, tensors, given, named), self.output, self.loss.usual)

    def placed(self, batch: Batch) -> Batch:
        """A batch of the sample, wherever that is kept, on the device and in the dtype of `theta`."""
        return batch.to(self.theta.device, self.theta.dtype)

    def in_dtype(self, dtype: torch.dtype) -> Subject:
        """The same function computed in another precision: the difference is rounding."""
        fixed = {name: cast(value, dtype) for name, value in self.fixed.items()}
        return replace(self, theta=self.theta.to(dtype), fixed=fixed)

    def at(self, model: nn.Module) -> Subject:
        """The same function at the parameters and buffers of another module of this architecture, copied."""
        device = self.theta.device
        theta = audited(model, self.layout, device).to(self.theta.dtype)
        return replace(self, theta=theta, fixed=fixed(model, self.layout, device))

    def state(self) -> str:
        """SHA-256 over all that an audit must leave alone: the module's tensors and flags, and torch's random state."""
        tensors = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        flags = {
            "training": {name: module.training for name, module in self.model.named_modules()},
            "trainable": {name: parameter.requires_grad for name, parameter in self.model.named_parameters()},
            "tensors": tensor_digest(tensors),
            "random": tensor_digest({"torch": torch.get_rng_state()}),
        }
        return hashlib.sha256(json.dumps(flags, sort_keys=True).encode()).hexdigest()


def audited(model: nn.Module, layout: Layout, device: torch.device) -> Tensor:
    """The parameters of a layout as they are in `model`, as one vector of shape (P,)."""
    named = dict(model.named_parameters())
    return layout.flatten([named[name].detach() for name in layout.names]).to(device)


def fixed(model: nn.Module, layout: Layout, device: torch.device) -> dict[str, Tensor]:
    """Copies of the buffers and of the parameters that are not in the layout, by name."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: value.detach().to(device, copy=True) for name, value in tensors.items() if name not in layout.names}
