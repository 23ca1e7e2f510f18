"""Small subjects whose landscape is known, put together without files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from landscape_audit.checks.check import Check
from landscape_audit.curvature.layout import Layout
from landscape_audit.plan import Silent
from landscape_audit.probes.bench import Bench
from landscape_audit.results import DataInfo, Measured, SubjectInfo
from landscape_audit.spec import ProtocolSpec, SamSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.data.sample import Sample
from landscape_audit.subject.losses.loss import BatchLoss, Loss
from landscape_audit.subject.subject import Subject
from landscape_audit.training.twins import Course, tried

INFO = SubjectInfo(
    files=(),
    tensor_digest="",
    tensor_groups=(),
    model="tests",
    parameters=0,
    parameter_tensors=0,
    frozen_parameters=0,
    buffers=0,
)


def subject(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], BatchLoss],
    inputs: Tensor,
    targets: Tensor,
    *,
    sizes: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Subject:
    """A model on data, split into batches of the given sizes (16 by default)."""
    model = model.eval().to(dtype)
    layout = Layout.of(model)
    named = dict(model.named_parameters())
    sizes = sizes or [len(part) for part in torch.arange(len(inputs)).tensor_split(min(16, len(inputs)))]
    cast = [part.to(dtype) if part.is_floating_point() else part for part in (inputs, targets)]
    batches = tuple(Batch(x, y) for x, y in zip(*(part.split(list(sizes)) for part in cast), strict=True))
    return Subject(
        theta=layout.flatten([named[name].detach() for name in layout.names]),
        layout=layout,
        sample=Sample(batches, "", "tests"),
        info=INFO,
        data=DataInfo(
            source="tests",
            n_samples=len(inputs),
            n_batches=len(batches),
            weight=float(len(inputs)),
            fingerprint="",
            loss="tests",
        ),
        mode=(),
        adjustments=(),
        model=model,
        fixed={name: buffer.detach().clone() for name, buffer in model.named_buffers()},
        written=(),
        loss=Loss(name="tests", metric=None, measure=loss, check=lambda *_: None),
        code=UserCode(Path(__file__).parent),
    )


def cross_entropy(outputs: Tensor, targets: Tensor) -> BatchLoss:
    losses = nn.functional.cross_entropy(outputs, targets, reduction="none")
    return _whole(losses, (outputs.argmax(1) == targets).sum())


def half_square(outputs: Tensor, targets: Tensor) -> BatchLoss:
    return _whole(0.5 * (outputs - targets).flatten(1).square().sum(1))


def output(outputs: Tensor, targets: Tensor) -> BatchLoss:
    """The model's output is its loss, one number an example."""
    del targets
    return _whole(outputs)


def _whole(losses: Tensor, correct: Tensor | None = None) -> BatchLoss:
    weight = torch.tensor(float(losses.numel()), dtype=torch.float64)
    return BatchLoss(
        total=losses.sum(dtype=torch.float64),
        weight=weight,
        examples=losses.detach(),
        example_weights=torch.ones_like(losses),
        metric=None if correct is None else correct.double(),
        metric_weight=None if correct is None else weight,
    )


class Landscape(nn.Module):
    """A function of one parameter vector, the same for every example."""

    def __init__(self, function: Callable[[Tensor], Tensor], theta: Tensor) -> None:
        super().__init__()
        self.function = function
        self.theta = nn.Parameter(theta)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.theta).expand(len(x))


def bench(audited: Subject, **protocol: object) -> Bench:
    """A subject on the bench, with the protocol's settings given by name."""
    return Bench(audited, ProtocolSpec.model_validate(protocol), Silent(), memory=1 << 30)


def with_course(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], BatchLoss] | None = None,
    *,
    seed: int = 0,
    **settings: object,
) -> Bench:
    """A model on the bench with what SAM twins need; they are trained on the audited sample."""
    audited = subject(model, loss or half_square, x, y)
    on = bench(audited, preset="quick", seed=seed)
    spec = SamSpec.model_validate({"enabled": True, "train": "tests:none", "batch_size": 8, **settings})
    on.course = tried(audited, Course(spec, spec.lr or 0.01, Batch(x, y), len(x), "key", None, None))
    return on


def measured(on: Bench, check: Check) -> Measured:
    """What a check of the battery measures."""
    outcome = check.measure(*(on.take(probe) for probe in check.probes))
    assert isinstance(outcome, Measured), outcome
    return outcome


def dense_hessian(audited: Subject) -> Tensor:
    """H in float64, column by column by torch.autograd.functional on the whole sample at once."""
    double = audited.in_dtype(torch.float64)
    inputs = torch.cat([batch.inputs for batch in double.sample.batches])
    targets = torch.cat([batch.targets for batch in double.sample.batches])
    whole = Batch(inputs, targets)

    def loss(theta: Tensor) -> Tensor:
        found = double.batch_loss(double.layout.views(theta), whole)
        return found.total / found.weight

    return torch.autograd.functional.hessian(loss, double.theta)


def dense_gauss_newton(audited: Subject) -> Tensor:
    """G in float64 from the dense Jacobian of the outputs and the dense Hessian of the loss in them."""
    double = audited.in_dtype(torch.float64)
    total, weight = torch.zeros(audited.layout.size, audited.layout.size, dtype=torch.float64), 0.0
    for batch in double.sample.batches:

        def outputs(theta: Tensor, batch: Batch = batch) -> Tensor:
            return double.outputs(double.layout.views(theta), batch).flatten()

        def loss(z: Tensor, batch: Batch = batch) -> Tensor:
            return double.loss.measure(z.view(batch.size, -1), batch.targets).total

        z = outputs(double.theta)
        jacobian = torch.autograd.functional.jacobian(outputs, double.theta)
        total += jacobian.T @ torch.autograd.functional.hessian(loss, z) @ jacobian
        weight += float(double.loss.measure(z.view(batch.size, -1), batch.targets).weight)
    return total / weight


def on_device(audited: Subject, device: torch.device) -> Subject:
    """The same subject there."""
    batches = audited.sample.batches
    return replace(
        audited,
        theta=audited.theta.to(device),
        sample=replace(audited.sample, batches=tuple(batch.to(device, audited.theta.dtype) for batch in batches)),
        fixed={name: value.to(device) for name, value in audited.fixed.items()},
    )
