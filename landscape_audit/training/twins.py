"""Twins: copies of the audited model, trained on from it with the same batches, order and dropout."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from landscape_audit import __version__
from landscape_audit.errors import DataError, LossError, ModelError, SubjectError
from landscape_audit.probes.kept_twins import require_files
from landscape_audit.spec import AuditSpec, DataSpec, SamSpec
from landscape_audit.subject.checkpoint.checkpoint import tensor_digest
from landscape_audit.subject.code.process import undisturbed
from landscape_audit.subject.code.user_code import is_out_of_memory
from landscape_audit.subject.data.batch import Batch, joined
from landscape_audit.subject.data.intake import Intake
from landscape_audit.subject.data.nested import arguments
from landscape_audit.subject.data.sample import read_sample
from landscape_audit.subject.losses.loss import BatchLoss
from landscape_audit.subject.losses.output import chosen
from landscape_audit.subject.subject import Subject
from landscape_audit.subject.trial import checked_loss
from landscape_audit.text import count
from landscape_audit.training.sam import Asam, Ascent, Sam, take_step
from landscape_audit.training.twin_file import TwinFile

RATES = {"sgd": 0.01, "adamw": 0.001}
"""Rates where none is given: small for training from scratch, usual for training on."""


@dataclass(frozen=True)
class Course:
    """What twins are trained on and how: the settings, the rate, all training examples, kept on the host."""

    spec: SamSpec
    rate: float
    examples: Batch
    audited: int
    """N, the size of the audited sample: a gradient of that is the unit of cost."""
    key: str
    """SHA-256 over all that a twin's numbers depend on, but for the seed: what resuming goes by."""
    folder: Path | None
    """Where finished seeds are kept."""
    save: TwinFile | None
    fingerprint: str = ""
    """SHA-256 over the training examples."""
    refused: str = ""
    """Why twins on these examples would not be comparable, or would not be trained at all; empty where they are."""

    def knowing(self, *told: object) -> Self:
        """The same course, its key changed by what else the twins depend on."""
        return replace(self, key=_digest([self.key, *told]))

    @property
    def told(self) -> str:
        """What the numbers of a twin are of: another word here is another training; seeds only narrow intervals."""
        settings = self.spec.model_dump(mode="json", exclude={"enabled", "save", "lr", "seeds"})
        given = {**settings, "lr": self.rate, "fingerprint": self.fingerprint}
        return ", ".join(f"{name} = {value}" for name, value in given.items())

    @property
    def batch_size(self) -> int:
        """Examples a step: never more than there are."""
        return min(self.spec.batch_size, self.examples.size)

    @property
    def gradient(self) -> float:
        """What the gradient of one batch costs, in gradients of the audited sample."""
        return self.batch_size / self.audited

    def ascent(self, variant: str) -> Ascent | None:
        """The ascent of a variant; none for the base optimiser."""
        return {"base": None, "sam": Sam(self.spec.rho), "asam": Asam(self.spec.adaptive_rho)}[variant]


def read_course(spec: AuditSpec, subject: Subject, checkpoint: Path, folder: Path | None = None) -> Course:
    """The training data that `[checks.sam]` names, and the settings with their defaults filled in.

    Finished seeds are kept in `folder`. Examples that the model or the loss cannot take, and a file that cannot be
    written, are errors now, not after training. Costs one forward pass over the training examples and one gradient.
    """
    settings = spec.checks.sam
    if folder is not None:
        require_files(folder, settings.seeds)
    is_file = settings.train.endswith((".npz", ".safetensors"))
    source = {"file" if is_file else "loader": settings.train}
    data = DataSpec.model_validate({**source, "batch_size": settings.batch_size})
    cpu, dtype = torch.device("cpu"), subject.theta.dtype
    sample = read_sample(data, subject.code, cpu, dtype, Intake.of(spec, subject.model))
    examples = joined(sample.batches)
    rate = settings.lr or spec.protocol.learning_rate or RATES[settings.optimiser]
    path = settings.save and subject.code.base / settings.save
    save = TwinFile.at(path, checkpoint, subject) if path else None
    key = _key(spec, subject, sample.fingerprint, rate)
    return tried(subject, Course(settings, rate, examples, subject.sample.size, key, folder, save, sample.fingerprint))


def _key(spec: AuditSpec, subject: Subject, training_data: str, rate: float) -> str:
    told = {
        "landscape_audit": __version__,
        "torch": torch.__version__,
        "device": subject.theta.device.type,
        "checkpoint": subject.info.tensor_digest,
        "base": subject.info.base_digest,
        "model": [spec.model.model_dump(mode="json"), str(subject.model)],
        "code": subject.code.sources(),
        "loss": spec.loss.model_dump(mode="json"),
        "data": [subject.data.fingerprint, [batch.size for batch in subject.sample.batches], training_data],
        "protocol": [spec.protocol.seed, spec.protocol.dtype, spec.protocol.budget().model_dump(mode="json")],
        "course": [spec.checks.sam.model_dump(mode="json", exclude={"enabled", "seeds", "save", "variants"}), rate],
    }
    return _digest(told)


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def trained(
    subject: Subject,
    course: Course,
    variant: str,
    generator: Generator,
    stops: Sequence[int],
    spend: Callable[[int], None],
) -> list[Subject]:
    """The twin as it is after each of `stops` steps, ascending, as subjects to measure; `subject` stays as it is.

    Everything in train() mode, but batch normalisation whose own parameters are frozen. `generator` decides the order
    of the batches and the dropout: equal generators make twins. `spend` is told the examples of every gradient.
    Cost: a gradient of one batch a step, two with an ascent.
    """
    ascent, found = course.ascent(variant), []
    with undisturbed():
        model = in_training(subject)
        optimiser = _optimiser(model, course)
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        orders = _orders(course.examples.size, course.batch_size, generator)
        for step, rows in zip(range(1, stops[-1] + 1), orders, strict=False):
            batch = course.examples.rows(rows)
            batch = batch.to(subject.theta.device, subject.theta.dtype)
            take_step(model, optimiser, lambda batch=batch: _loss(subject, model, batch), ascent)  # type: ignore[misc] # the default binds this step's batch
            spend(batch.size * (1 if ascent is None else 2))
            if step in stops:
                found.append(subject.at(model))
    return found


def in_training(subject: Subject) -> nn.Module:
    """A copy of the audited module on its device, in the mode in which it is trained."""
    try:
        model = copy.deepcopy(subject.model).to(subject.theta.device)
    except Exception as raised:
        raise ModelError(
            f"{subject.info.model}: cannot be copied, so there are no twins: {type(raised).__name__}: {raised}.",
            remedy="copy.deepcopy(model) must work: keep no file, lock or computed tensor in the module.",
        ) from raised
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in subject.layout.names)
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, _BatchNorm) and own and not any(parameter.requires_grad for parameter in own):
            module.eval()
    return model


def _optimiser(model: nn.Module, course: Course) -> Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    spec = course.spec
    if spec.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=course.rate, weight_decay=spec.weight_decay)
    return torch.optim.SGD(parameters, lr=course.rate, momentum=spec.momentum, weight_decay=spec.weight_decay)


def _orders(n: int, size: int, generator: Generator) -> Iterator[Tensor]:
    """Batches of exactly `size` of n rows, for ever: one permutation after another."""
    left = torch.empty(0, dtype=torch.int64)
    while True:
        while len(left) < size:
            left = torch.cat([left, torch.randperm(n, generator=generator)])
        yield left[:size]
        left = left[size:]


def _loss(subject: Subject, model: nn.Module, batch: Batch) -> Tensor:
    """The mean loss of one batch in training mode; zero where no target of it counts."""
    with _memory_for(batch):
        return _mean(subject.loss.of(_outputs(subject, model, batch), batch))


def _outputs(subject: Subject, model: nn.Module, batch: Batch) -> Any:
    with subject.code.lent(f"{subject.info.model}: forward in training", ModelError):
        given, named = arguments(batch.inputs)
        return chosen(model(*given, **named), subject.output, subject.loss.usual)


def _mean(loss: BatchLoss) -> Tensor:
    return loss.total / loss.weight.clamp(min=1e-300)


@contextlib.contextmanager
def _memory_for(batch: Batch) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as raised:
        if not is_out_of_memory(raised):
            raise
        raise DataError(
            f"checks.sam: out of memory in training, with {count(batch.size, 'example')} a step.",
            remedy=f"[checks.sam] batch_size = {max(1, batch.size // 2)}",
        ) from None


# --------------------------------------------------------------------------------------------------------------- trial


def tried(subject: Subject, course: Course) -> Course:
    """The course, every example of it found usable, with the reason where it is refused.

    Its key knows the losses of all examples and the first gradient in training: names of code do not tell that the code
    was changed, numbers do.
    """
    losses = [_example_losses(subject, course, first) for first in range(0, course.examples.size, course.batch_size)]
    if not sum(loss.weight.item() for loss in losses):
        reason = f"no target of {course.spec.train} counts, so nothing would be trained: all weights are zero."
        return replace(course, refused=reason)
    reason, gradient = _first_step(subject, course)
    return replace(course.knowing([loss.total.item() for loss in losses], gradient), refused=reason)


def _example_losses(subject: Subject, course: Course, first: int) -> BatchLoss:
    """The loss of `batch_size` examples from `first` on, checked as those of the audited sample are."""
    rows = slice(first, first + course.batch_size)
    batch = course.examples.rows(rows)
    batch = batch.to(subject.theta.device, subject.theta.dtype)
    try:
        return checked_loss(subject, first // course.batch_size, batch)
    except SubjectError as raised:
        remedy = raised.remedy or "Training examples are of the shapes and types that those of [data] are of."
        if isinstance(raised, DataError):  # out of memory
            remedy = f"[checks.sam] batch_size = {max(1, batch.size // 2)}"
        where = f"{course.spec.train}, examples {first} to {first + batch.size - 1}"
        raise type(raised)(f"{where}: {raised.what}", details=raised.details, remedy=remedy) from raised


def _first_step(subject: Subject, course: Course) -> tuple[str, str]:
    """Why twins would not be comparable, or nothing, and the SHA-256 of the first batch's gradient in training mode."""
    batch = course.examples.first(course.batch_size).to(subject.theta.device, subject.theta.dtype)
    where = f"{course.spec.train}: first batch in training"
    with undisturbed(), torch.enable_grad(), _memory_for(batch), subject.code.lent(where, LossError):
        torch.manual_seed(0)
        model, watch = in_training(subject), _Autocast(subject.theta.device.type)
        with watch:
            outputs = _outputs(subject, model, batch)
            subject.loss.check(outputs, batch.targets)
            loss = _mean(subject.loss.of(outputs, batch))
        if not loss.isfinite():
            raise LossError(
                f"{where}: the loss is {float(loss)}.", remedy="Lower [checks.sam] lr, or look at the training data."
            )
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        found = torch.autograd.grad(loss, list(named.values()), allow_unused=True) if loss.requires_grad else ()
    gradient = {name: part for name, part in zip(named, found, strict=False) if part is not None}
    if not gradient:
        raise LossError(
            f"{where}: the loss does not depend on any trainable parameter.",
            remedy="Look for detach(), torch.no_grad(), .item() or numpy between the parameters and the loss.",
        )
    return _UNDER_AUTOCAST if watch.seen else "", tensor_digest(gradient)


_UNDER_AUTOCAST = (
    "the model computes under autocast: SAM's second gradient is of a step of the size of its rounding, and a loss "
    "scaler would skip steps of one twin and not of the other. Remove autocast from the model."
)


class _Autocast(TorchFunctionMode):
    """Watches whether anything is computed under autocast while it lasts."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.seen = device, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls in place of `func`."""
        del types
        self.seen = self.seen or torch.is_autocast_enabled(self.device)
        return func(*args, **(kwargs or {}))
