"""How a subject is read and joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from landscape_audit.curvature.layout import Layout
from landscape_audit.results import DataInfo, SubjectInfo
from landscape_audit.spec import AuditSpec, LossSpec
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint, read_checkpoint
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.intake import Intake
from landscape_audit.subject.data.sample import Sample, read_sample
from landscape_audit.subject.losses import resolve_loss
from landscape_audit.subject.losses.loss import Loss
from landscape_audit.subject.losses.padding import counted_padding
from landscape_audit.subject.losses.returned import MODEL
from landscape_audit.subject.losses.weighing import weighed
from landscape_audit.subject.model.assembly import Assembly, assemble
from landscape_audit.subject.model.choice import choose
from landscape_audit.subject.model.derivatives import layers_changed
from landscape_audit.subject.subject import Subject, audited, fixed
from landscape_audit.subject.trial import tried
from landscape_audit.text import count, listed

_PLACES = {"host": "host memory", "file": "a temporary file"}


def load_subject(spec: AuditSpec, checkpoint: Path, base: Path, device: torch.device) -> Subject:
    """Everything that `spec` names, read and joined; user code and data are found from the folder `base`.

    Costs one forward pass over the sample and one gradient of its first batch, which show that the loss is finite
    and depends on the parameters; and, where batches were cut, two forward passes of one of them.
    """
    return joined_subject(spec, read_parts(spec, checkpoint, base, device), device)


@dataclass(frozen=True)
class Parts:
    """What an audit is made of, each part read and none of them tried."""

    stored: Checkpoint
    assembly: Assembly
    sample: Sample
    loss: Loss
    code: UserCode


def read_parts(spec: AuditSpec, checkpoint: Path, base: Path, device: torch.device) -> Parts:
    """The parts that `spec` names, read."""
    dtype: torch.dtype = getattr(torch, spec.protocol.dtype)
    code = UserCode(base)
    stored = read_checkpoint(checkpoint)
    assembly = assemble(spec.model, stored, code, dtype)
    sample = read_sample(spec.data, code, device, dtype, Intake.of(spec, assembly.model))
    return Parts(stored, assembly, sample, resolve_loss(spec.loss, code), code)


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
        data=_data_info(sample, parts.loss, _settings(spec.loss)),
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
    return tried(weighed(subject) if unweighed else subject)


def _subject_info(spec: AuditSpec, stored: Checkpoint, assembly: Assembly, layout: Layout) -> SubjectInfo:
    model, base = assembly.model, assembly.base
    return SubjectInfo(
        files=(*stored.files, *(base.files if base else ())),
        tensor_digest=stored.digest,
        base_digest=base.digest if base else None,
        tensor_groups=stored.groups,
        model=_model_in_words(spec.model.factory, model),
        parameters=layout.size,
        parameter_tensors=len(layout.blocks),
        frozen_parameters=sum(value.numel() for value in model.parameters()) - layout.size,
        parameter_globs=spec.model.parameter_globs,
        buffers=sum(1 for _ in model.buffers()),
    )


def _model_in_words(factory: str, model: nn.Module) -> str:
    """The factory; of transformers, which has many, the class as well."""
    return f"{factory}: {type(model).__name__}" if factory == "transformers" else factory


def _data_info(sample: Sample, loss: Loss, settings: str) -> DataInfo:
    return DataInfo(
        source=sample.source,
        n_samples=sample.size,
        n_batches=len(sample.batches),
        batches=sample.sizes,
        weight=sample.size,
        fingerprint=sample.fingerprint,
        draw=sample.draw.kind,
        draw_seed=sample.draw.seed,
        drawn_from=sample.draw.of,
        kept=sample.place,
        loss=loss.name,
        loss_settings=settings,
        loss_code=loss.code,
        metric=loss.metric,
    )


def _settings(spec: LossSpec) -> str:
    given = {**spec.kwargs, **({} if spec.output is None else {"output": spec.output})}
    return ", ".join(f"{name} = {value!r}" for name, value in sorted(given.items()))


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
    return [f"Batch normalisation without running statistics ({listed(names)}): the loss depends on the batches."]


def _told(spec: AuditSpec, sample: Sample) -> Iterator[str]:
    asked = spec.data.n_samples
    if asked and asked > sample.size:
        yield f"{asked:,} examples asked for, {sample.size:,} there."
    if sample.draw.why:
        yield f"The first {sample.size:,} examples, not a random draw: {sample.draw.why}."
    if sample.place != "device":
        yield f"The sample is kept in {_PLACES[sample.place]}, and each batch moved when it is used."
    if sample.left_out:
        yield f"Given by the loader and not to the model: {listed(sample.left_out)}."
    yield from counted_padding(spec.loss, sample.batches)
