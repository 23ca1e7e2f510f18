"""How a subject is read and joined, and tried before anything is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from landscape_audit.curvature.layout import Layout
from landscape_audit.errors import AuditError, DataError, LossError, ModelError
from landscape_audit.results import DataInfo, SubjectInfo
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.assembly import Assembly, assemble
from landscape_audit.subject.batch import Batch
from landscape_audit.subject.checkpoint import Checkpoint, read_checkpoint
from landscape_audit.subject.choice import choose
from landscape_audit.subject.code import UserCode, is_out_of_memory
from landscape_audit.subject.data import Sample, read_sample
from landscape_audit.subject.derivatives import is_checkpointed, layers_changed
from landscape_audit.subject.division import cut_adds_up
from landscape_audit.subject.intake import Intake
from landscape_audit.subject.loss import BatchLoss, Loss
from landscape_audit.subject.losses import resolve_loss
from landscape_audit.subject.losses.padding import counted_padding
from landscape_audit.subject.losses.returned import MODEL
from landscape_audit.subject.losses.weighing import weighed
from landscape_audit.subject.nested import tensors
from landscape_audit.subject.subject import Subject, audited, fixed
from landscape_audit.subject.weightless import in_batches_that_count
from landscape_audit.text import count

_LISTED = 4  # names spelled out in one sentence
_PLACES = {"host": "host memory", "file": "a temporary file"}


def load_subject(spec: AuditSpec, checkpoint: Path, base: Path, device: torch.device) -> Subject:
    """Everything that `spec` names, read and joined; user code and data are found from the folder `base`.

    Costs one forward pass over the sample and one gradient of its first batch, which show that the loss is finite
    and depends on the parameters; and, where batches were cut, two forward passes of one of them.
    """
    dtype: torch.dtype = getattr(torch, spec.protocol.dtype)
    code = UserCode(base)
    stored = read_checkpoint(checkpoint)
    assembly = assemble(spec.model, stored, code, dtype)
    sample = read_sample(spec.data, code, device, dtype, Intake.of(spec, assembly.model))
    return joined_subject(spec, Parts(stored, assembly, sample, resolve_loss(spec.loss, code), code), device)


@dataclass(frozen=True)
class Parts:
    """What an audit is made of, each part read and none of them tried."""

    stored: Checkpoint
    assembly: Assembly
    sample: Sample
    loss: Loss
    code: UserCode


def joined_subject(spec: AuditSpec, parts: Parts, device: torch.device) -> Subject:
    """The parts as one function of the parameters, tried as `load_subject` says."""
    assembly, sample, model = parts.assembly, parts.sample, parts.assembly.model
    chosen = choose(model, spec.model)
    layout = Layout.of(model, chosen.names)
    subject = Subject(
        theta=audited(model, layout, device),
        layout=layout,
        sample=sample,
        info=_subject_info(spec, parts.stored, assembly, layout),
        data=_data_info(sample, parts.loss),
        mode=_mode(model),
        adjustments=(*assembly.told, *chosen.told, *_batch_dependence(model), *_told(spec, sample)),
        model=model,
        fixed=fixed(model, layout, device),
        written=(),
        loss=parts.loss,
        code=parts.code,
        names=assembly.names,
        sources=parts.stored.sources,
        recompute=spec.protocol.recompute,
        output=spec.loss.output,
    )
    unweighed = spec.loss.name == MODEL and "weight" not in spec.loss.kwargs
    return _in_batches_that_add_up(weighed(subject) if unweighed else subject)


# ------------------------------------------------------------------------------------------------------------ assembly


def _subject_info(spec: AuditSpec, stored: Checkpoint, assembly: Assembly, layout: Layout) -> SubjectInfo:
    model, base = assembly.model, assembly.base
    return SubjectInfo(
        files=(*stored.files, *(base.files if base else ())),
        tensor_digest=stored.digest,
        base_digest=base.digest if base else None,
        tensor_groups=stored.groups,
        model=spec.model.factory,
        parameters=layout.size,
        parameter_tensors=len(layout.blocks),
        frozen_parameters=sum(value.numel() for value in model.parameters()) - layout.size,
        parameter_globs=spec.model.parameter_globs,
        buffers=sum(1 for _ in model.buffers()),
    )


def _data_info(sample: Sample, loss: Loss) -> DataInfo:
    return DataInfo(
        source=sample.source,
        n_samples=sample.size,
        n_batches=len(sample.batches),
        weight=sample.size,
        fingerprint=sample.fingerprint,
        draw=sample.draw.kind,
        draw_seed=sample.draw.seed,
        drawn_from=sample.draw.of,
        kept=sample.place,
        loss=loss.name,
        metric=loss.metric,
    )


def _mode(model: nn.Module) -> tuple[str, ...]:
    modules = list(model.modules())
    dropout = sum(isinstance(module, _DropoutNd) for module in modules)
    normed = sum(isinstance(module, _BatchNorm) and module.running_mean is not None for module in modules)
    sentences = ["Every module in eval() mode."]
    sentences += [f"Dropout off ({count(dropout, 'module')})."] if dropout else []
    sentences += [f"Batch normalisation by running statistics ({count(normed, 'module')})."] if normed else []
    sentences += layers_changed(model)
    return (*sentences, "Attention in the math kernel, which has second derivatives.")


def _batch_dependence(model: nn.Module) -> list[str]:
    named = model.named_modules()
    names = [name for name, module in named if isinstance(module, _BatchNorm) and module.running_mean is None]
    if not names:
        return []
    return [f"Batch normalisation without running statistics ({_listed(names)}): the loss depends on the batches."]


def _told(spec: AuditSpec, sample: Sample) -> Iterator[str]:
    asked = spec.data.n_samples
    if asked and asked > sample.size:
        yield f"{asked:,} examples asked for, {sample.size:,} there."
    if sample.draw.why:
        yield f"The first {sample.size:,} examples, not a random draw: {sample.draw.why}."
    if sample.place != "device":
        yield f"The sample is kept in {_PLACES[sample.place]}, and each batch moved when it is used."
    if sample.left_out:
        yield f"Given by the loader and not to the model: {_listed(sample.left_out)}."
    yield from counted_padding(spec.loss, sample.batches)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:_LISTED]) + (", …" if len(names) > _LISTED else "")


# --------------------------------------------------------------------------------------------------------------- trial


def _in_batches_that_add_up(subject: Subject) -> Subject:
    """The subject tried; in the loader's own batches where pieces of them have another loss, or none."""
    sample = subject.sample
    if not sample.is_cut:
        return _tried(subject)
    try:
        tried = _tried(subject)
    except (ModelError, LossError):
        if sum(batch.size for batch in sample.batches[: sample.cuts[0]]) <= sample.pass_size:
            with contextlib.suppress(AuditError):
                return _tried(_uncut(subject, "the model or the loss raised on pieces of them"))
        raise
    if cut_adds_up(replace(tried, sample=sample)):
        return tried
    return _tried(_uncut(subject, "the loss of a batch depends on what else is in it"))


def _uncut(subject: Subject, why: str) -> Subject:
    sample = subject.sample.as_given()
    batches = count(len(sample.batches), "batch", "batches")
    told = f"The loader's own {batches} kept, too few for good standard errors: {why}."
    return replace(
        subject,
        sample=sample,
        data=_data_info(sample, subject.loss),
        fixed=fixed(
            subject.model, subject.layout, subject.theta.device
        ),  # the trial of the pieces may have written to them
        adjustments=(*subject.adjustments, told),
    )


def _tried(subject: Subject) -> Subject:
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
        told.append(f"{count(len(unused), 'parameter tensor')} without influence on the loss: {_listed(unused)}.")
    if written:
        told.append(f"The forward pass writes to {_listed(written)}: each evaluation begins from the stored values.")
    if is_checkpointed(subject.model):
        told.append("Activation checkpoints inside the model are left out: the same numbers, with more memory.")
    sample, joined = in_batches_that_count(subject.sample, weights)
    told += [joined] if joined else []
    data = {"weight": sum(weights), "n_batches": len(sample.batches), "n_samples": sample.size}
    return replace(
        subject,
        sample=sample,
        fixed=fixed(subject.model, subject.layout, subject.theta.device) if written else subject.fixed,
        written=written,
        adjustments=tuple(told),
        data=subject.data.model_copy(update=data),
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
