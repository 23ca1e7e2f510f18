"""An audit rehearsed: every step that it would begin with, on the first two batches and no more."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from landscape_audit.checks import chosen
from landscape_audit.checks.sam import sam
from landscape_audit.cli.options import Request, require_named_checkpoint
from landscape_audit.cli.progress import seconds
from landscape_audit.cli.steps import Step, Steps
from landscape_audit.errors import AuditError
from landscape_audit.forecast import forecast
from landscape_audit.machine import device_of, exact_arithmetic, memory_for
from landscape_audit.no_code import is_declared
from landscape_audit.plan import Plan, Silent
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.instrument import Agreement, InstrumentTrial
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.spec import AuditSpec, DataSpec, ModelSpec, ProtocolSpec
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint, read_checkpoint
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.intake import Intake
from landscape_audit.subject.data.sample import Sample, read_sample
from landscape_audit.subject.loading import Parts, joined_subject
from landscape_audit.subject.losses import resolve_loss
from landscape_audit.subject.model.assembly import Assembly, assemble
from landscape_audit.subject.model.factory import build_model
from landscape_audit.subject.subject import Subject
from landscape_audit.text import count, mebibytes, number

BATCHES = 2
_AT_ONCE = 64  # examples a batch, where a file or a data set has no batches and audit.toml asks for no size


def rehearse(asked: Request, steps: Steps) -> None:
    """Try what is asked for, step by step.

    The checkpoint is read whole; the model is built, and run on two batches: a loss, a gradient and a product each, and
    on a piece of the first batch everything that the instrument is tried by.
    """
    with exact_arithmetic():
        spec = asked.spec
        dtype: torch.dtype = getattr(torch, spec.protocol.dtype)
        code = FirstBatches(asked.base, spec.data.loader)
        device = steps.take("device", lambda: device_of(spec.protocol), device_in_words)
        stored = steps.take("checkpoint", lambda: _read(asked), _stored)
        model = _model(spec.model, code, steps)
        assembly = steps.take(
            "weights",
            lambda: assemble(spec.model, stored.get(), code, dtype, lambda *_: model.get()),
            lambda found: " ".join(("every tensor fits.", *found.told)),
        )
        if is_declared(spec.model.factory):
            steps.take("model", lambda: assembly.get().model, _built)
        sample = steps.take(
            "data",
            lambda: read_sample(_sparing(spec.data), code, device.get(), dtype, _intake(spec, model, assembly)),
            code.read,
        )
        loss = steps.take("loss", lambda: resolve_loss(spec.loss, code), lambda loss: loss.name)
        subject = steps.take(
            "gradient",
            lambda: joined_subject(
                _as_read(spec), Parts(stored.get(), assembly.get(), sample.get(), loss.get(), code), device.get()
            ),
            _tried,
        )
        trial = steps.take("curvature", lambda: _trial(spec.protocol, subject.get()), _agreement)
        if trial.result:
            _tell_of(steps, trial.get())
        costs = steps.take("plan", lambda: (trial.get(), _costs(spec, subject.get(), code))[1], _plan)
        steps.take("memory", costs.get, _memory)
        if costs.result and costs.get().told:
            steps.told("memory", costs.get().told)
        if sam in chosen(spec.checks):
            steps.told("sam", "its training is not tried here, nor in the plan; `landscape-audit plan` has it")


def _model(spec: ModelSpec, code: UserCode, steps: Steps) -> Step[tuple[nn.Module, tuple[str, ...]]]:
    """The user's factory called by itself; a declared model is built to the size of its weights, with them."""
    if is_declared(spec.factory):
        return Step("model", None)
    return steps.take("model", lambda: build_model(spec, code), lambda built: _built(built[0]))


def _intake(spec: AuditSpec, model: Step[tuple[nn.Module, tuple[str, ...]]], assembly: Step[Assembly]) -> Intake:
    """What the model takes; anything, where there is none."""
    module = assembly.get().model if assembly.result else model.get()[0] if model.result else None
    return Intake.of(spec, module)


class FirstBatches(UserCode):
    """User code whose loader ends after `BATCHES`, however much there is."""

    def __init__(self, base: Path, loader: str | None) -> None:
        super().__init__(base)
        self._loader = loader
        self.batches: int | None = None
        """How many the loader says that it has."""

    def find(self, spec: str, error: type[AuditError]) -> Any:
        """As ever, but for the loader."""
        found = super().find(spec, error)
        if spec != self._loader:
            return found
        return (lambda **kwargs: self._shortened(found(**kwargs))) if callable(found) else self._shortened(found)

    def read(self, sample: Sample) -> str:
        """What was read, in words."""
        of = f" of {self.batches:,}" if self.batches is not None else ""
        read = f"{count(sample.size, 'example')} from {sample.source}, its first {BATCHES} batches{of}"
        return f"{read}: the same on a second pass. Whatever comes after them was not looked at"

    def _shortened(self, loader: Any) -> Any:
        if _is_data_set(loader):
            self.batches = math.ceil(len(loader) / _AT_ONCE)
            rows = range(min(len(loader), BATCHES * _AT_ONCE))
            return loader.select(rows) if hasattr(loader, "select") else Subset(loader, rows)
        with contextlib.suppress(Exception):  # a DataLoader of a stream has a length, which raises
            self.batches = len(loader)
        if isinstance(loader, Iterator):
            return itertools.islice(loader, BATCHES)
        return _First(loader) if isinstance(loader, Iterable) else loader


def _is_data_set(loader: Any) -> bool:
    """Whether it gives examples by number, and no batches."""
    by_number = hasattr(loader, "__getitem__") and hasattr(loader, "__len__")
    return by_number and not isinstance(loader, (Sequence, Mapping, DataLoader))


@dataclass(frozen=True)
class _First:
    """The same loader each time it is passed through, so that one that shuffles is found out."""

    loader: Iterable[Any]

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self.loader, BATCHES)


def _read(asked: Request) -> Checkpoint:
    require_named_checkpoint(asked)
    return read_checkpoint(asked.checkpoint)


def _sparing(data: DataSpec) -> DataSpec:
    """As many examples as two batches have, where the data are one file; of a loader all that it may still give."""
    most = BATCHES * (data.batch_size or _AT_ONCE)
    return data.model_copy(update={"n_samples": min(data.n_samples or most, most) if data.file else None})


def _as_read(spec: AuditSpec) -> AuditSpec:
    """Without a number of examples, of which two batches say nothing."""
    return spec.model_copy(update={"data": spec.data.model_copy(update={"n_samples": None})})


# -------------------------------------------------------------------------------------------------- curvature and cost


@dataclass(frozen=True)
class _Trial:
    """How the instrument came out on a piece of the first batch."""

    examples: int
    agreements: tuple[Agreement, ...]
    told: tuple[str, ...]


def _trial(protocol: ProtocolSpec, subject: Subject) -> _Trial:
    """The instrument tried as an audit does first of all, on the first piece of the sample alone."""
    first = replace(subject.sample, batches=subject.sample.batches[:1], cuts=())
    bench = _bench(protocol, replace(subject, sample=first))
    try:
        found = bench.take(InstrumentTrial())
    except ProbeFailedError as error:
        remedy = "Call the model on the first batch, and its loss's backward(), in Python: it is raised there too."
        raise AuditError(str(error), remedy=remedy) from None
    return _Trial(first.size, found.agreements, bench.adjustments)


def _agreement(trial: _Trial) -> str:
    compared = next(each for each in trial.agreements if each.name == "hvp_differences")
    return (
        f"on {count(trial.examples, 'example')}, {compared.meaning} differ by {number(compared.difference, 2)} "
        f"(tolerance {number(compared.tolerance, 2)})"
    )


def _tell_of(steps: Steps, trial: _Trial) -> None:
    for each in trial.agreements:
        if not each.agrees:
            off = f"{each.meaning} differ by {number(each.difference, 2)}, tolerance {number(each.tolerance, 2)}"
            steps.told("instrument", f"{off}: an audit would start, and say that it disagrees with itself")
    for sentence in trial.told:
        steps.told("curvature", sentence)


@dataclass(frozen=True)
class _Costs:
    """What the whole audit would cost, from what two batches did."""

    plan: Plan
    basis: int
    graphs: int
    may_take: int
    told: str
    whole: bool
    """Whether it is known how much more there is than two batches."""


def _costs(spec: AuditSpec, subject: Subject, code: FirstBatches) -> _Costs:
    bench = _bench(spec.protocol, subject)
    plan = forecast(bench, [check for check in chosen(spec.checks) if check is not sam])
    read, whole = subject.sample.size, _size(spec.data, subject.sample, code)
    factor = (whole or read) / read
    kept = int(bench.landscape.kept_bytes * factor)
    return _Costs(
        plan=replace(plan, n_samples=whole or read, gradient_seconds=plan.gradient_seconds * factor),
        basis=bench.rows * bench.room.storage.row_bytes(plan.parameters),
        graphs=min(kept, bench.room.graphs),
        may_take=memory_for(spec.protocol, subject.theta.device),
        told=bench.room.adjustment,
        whole=whole is not None,
    )


def _size(data: DataSpec, sample: Sample, code: FirstBatches) -> int | None:
    """How many examples an audit would be on, as far as audit.toml and the loader tell without being read."""
    if code.batches is None:
        return data.n_samples
    there = max(sample.size, sample.size * code.batches // BATCHES)
    return min(data.n_samples or there, there)


def _memory(costs: _Costs) -> str:
    return (
        f"{mebibytes(costs.basis)} for the basis and about {mebibytes(costs.graphs)} for kept graphs, of "
        f"{mebibytes(costs.may_take)} that they may take"
    )


def _plan(costs: _Costs) -> str:
    plan = costs.plan
    what = f"about {plan.gradients:.0f} gradients of the whole sample"
    if costs.whole:
        return f"{what} of up to {plan.n_samples:,} examples, {seconds(plan.seconds)} here"
    return f"{what}, {seconds(plan.seconds)} here if these {plan.n_samples:,} examples were all; in proportion for more"


def _bench(protocol: ProtocolSpec, subject: Subject) -> Bench:
    return Bench(subject, protocol, Silent(), memory_for(protocol, subject.theta.device))


# --------------------------------------------------------------------------------------------------------------- words


def device_in_words(device: torch.device) -> str:
    """What it is, and how much of it is free."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    return f"cpu, {count(torch.get_num_threads(), 'thread')}"


def _stored(checkpoint: Checkpoint) -> str:
    tensors, files = count(len(checkpoint.tensors), "tensor"), count(len(checkpoint.files), "file")
    elements = sum(group.elements for group in checkpoint.groups)
    return f"{checkpoint.name}: {tensors}, {elements:,} numbers, all finite, in {files}"


def _built(model: nn.Module) -> str:
    parameters = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return f"{type(model).__name__} with {parameters:,} trainable parameters"


def _tried(subject: Subject) -> str:
    return " ".join((f"{subject.data.loss} and its gradient are finite.", *subject.adjustments))
