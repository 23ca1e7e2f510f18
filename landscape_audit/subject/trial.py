"""The first evaluation of a subject: that it has a loss and a gradient, and in which batches."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from landscape_audit.errors import AuditError, DataError, LossError, ModelError
from landscape_audit.subject.code.user_code import is_out_of_memory
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.data.nested import tensors
from landscape_audit.subject.data.weightless import in_batches_that_count
from landscape_audit.subject.division import cut_adds_up
from landscape_audit.subject.losses.loss import BatchLoss
from landscape_audit.subject.model.derivatives import is_checkpointed
from landscape_audit.subject.subject import Subject, fixed
from landscape_audit.text import count, listed


def tried(subject: Subject) -> Subject:
    """The subject tried; in the loader's own batches where pieces of them have another loss, or none."""
    sample = subject.sample
    if not sample.is_cut:
        return _in_its_batches(subject)
    try:
        cut = _in_its_batches(subject)
    except (ModelError, LossError):
        if sum(batch.size for batch in sample.batches[: sample.cuts[0]]) <= sample.pass_size:
            with contextlib.suppress(AuditError):
                return _in_its_batches(_uncut(subject, "the model or the loss raised on pieces of them"))
        raise
    if cut_adds_up(replace(cut, sample=sample)):
        return cut
    return _in_its_batches(_uncut(subject, "the loss of a batch depends on what else is in it"))


def _uncut(subject: Subject, why: str) -> Subject:
    sample = subject.sample.as_given()
    batches = count(len(sample.batches), "batch", "batches")
    told = f"The loader's own {batches} kept, too few for good standard errors: {why}."
    return replace(
        subject,
        sample=sample,
        data=subject.data.model_copy(update={"n_batches": len(sample.batches), "batches": sample.sizes}),
        # Anew, as the trial of the pieces may have written to them.
        fixed=fixed(subject.model, subject.layout, subject.theta.device),
        adjustments=(*subject.adjustments, told),
    )


def _in_its_batches(subject: Subject) -> Subject:
    """The subject after one evaluation: its weight known, and what the trial found told."""
    before = {name: value._version for name, value in subject.fixed.items()}  # noqa: SLF001 - counts in-place writes
    unused = _check_differentiable(subject)
    losses = [checked_loss(subject, index, batch) for index, batch in enumerate(subject.sample.batches)]
    weights = [loss.weight.item() for loss in losses]
    if not any(weights):
        raise LossError(
            f"{subject.loss.name}: no target of the sample counts; the weights of all batches are zero.",
            remedy="Is ignore_index, or the mask, the wrong way round?",
        )
    written = tuple(name for name, value in subject.fixed.items() if value._version != before[name])  # noqa: SLF001 - likewise
    told = [*subject.adjustments, *subject.loss.told]
    if unused:
        told.append(f"{count(len(unused), 'parameter tensor')} without influence on the loss: {listed(unused)}.")
    sample, joined = in_batches_that_count(subject.sample, weights)
    told += [joined] if joined else []
    if written:
        told.append(f"The forward pass writes to {listed(written)}: each evaluation begins from the stored values.")
    if is_checkpointed(subject.model):
        told.append("Activation checkpoints inside the model are left out: the same numbers, with more memory.")
    return replace(
        subject,
        fixed=fixed(subject.model, subject.layout, subject.theta.device) if written else subject.fixed,
        written=written,
        adjustments=tuple(told),
        sample=sample,
        data=subject.data.model_copy(
            update={
                "weight": sum(weights),
                "n_samples": sample.size,
                "n_batches": len(sample.batches),
                "batches": sample.sizes,
            }
        ),
    )


def _check_differentiable(subject: Subject) -> list[str]:
    """The names of the parameters that the first batch's loss does not depend on; all of them is an error."""
    parameters = [view.detach().requires_grad_() for view in subject.layout.views(subject.theta)]
    total = _height(subject, 0, _evaluated(subject, parameters, 0, subject.sample.batches[0]))
    with subject.code.lent(f"{subject.info.model}: backward", ModelError):
        found = torch.autograd.grad(total, parameters, allow_unused=True) if total.requires_grad else ()
    unused = [name for name, grad in zip(subject.layout.names, found, strict=False) if grad is None]
    if len(unused) == len(found):
        raise LossError(
            f"{subject.loss.name}: the loss of {subject.info.model} does not depend on any trainable parameter.",
            remedy="Look for detach(), torch.no_grad(), .item() or numpy between the parameters and the loss.",
        )
    for name, grad in zip(subject.layout.names, found, strict=True):
        if grad is not None:
            _check_gradient(subject, name, grad)
    return unused


def _check_gradient(subject: Subject, name: str, grad: Tensor) -> None:
    if grad.layout != torch.strided:
        raise ModelError(
            f"{subject.info.model}: '{name}' gets a sparse gradient, which has no second derivative.",
            remedy="Build the embedding with sparse=False: neither its values nor the checkpoint change.",
        )
    if not grad.isfinite().all():
        raise not_finite(subject, name, int((~grad.isfinite()).sum()), grad.numel())


def not_finite(subject: Subject, name: str, bad: int, elements: int) -> LossError:
    """The error of a gradient that is not a number where the loss is one."""
    return LossError(
        f"{subject.loss.name}: the loss is finite, but its gradient is not, in {count(bad, 'element')} of "
        f"{elements:,} of '{name}'.",
        remedy="Look for sqrt, norm or log at zero, and for masks that leave nothing of a row: nan_to_num() and "
        "where() mend the loss and not its gradient.",
    )


@torch.no_grad()
def checked_loss(subject: Subject, index: int, batch: Batch) -> BatchLoss:
    """The loss of one batch at theta, found to be one: outputs and targets go together, and it is finite."""
    loss = _evaluated(subject, subject.layout.views(subject.theta), index, batch)
    _height(subject, index, loss)
    return loss


def _height(subject: Subject, index: int, loss: BatchLoss) -> Tensor:
    if not loss.total.isfinite():
        raise LossError(
            f"{subject.loss.name}: the loss of batch {index} is {loss.total.item()}, which is no height.",
            remedy="Do checkpoint, data and loss belong together? Is the input normalised as in training?",
        )
    return loss.total


def _evaluated(subject: Subject, parameters: Sequence[Tensor], index: int, batch: Batch) -> BatchLoss:
    try:
        batch = subject.placed(batch)
        outputs = subject.outputs(parameters, batch)
        with subject.code.lent(f"{subject.loss.name}: batch {index}", LossError):
            subject.loss.check(outputs, batch.targets)
            return subject.loss.of(outputs, batch)
    except ModelError as raised:
        if not any(part.dtype is torch.uint8 for part in tensors(batch.inputs)):
            raise
        raise ModelError(
            raised.what, remedy="Inputs are uint8, as images are stored: give them as in training, scaled floats."
        ) from raised
    except (RuntimeError, MemoryError) as raised:
        if not is_out_of_memory(raised):
            raise
        raise DataError(
            f"{subject.sample.source}: out of memory on batch {index}, with {count(batch.size, 'example')}.",
            remedy="Make the batches smaller:  [data] batch_size = 8",
        ) from None
