"""What is not a number, or could not be measured, never becomes a number."""

from __future__ import annotations

import math

import pytest
import torch
from landscapes import DOUBLE, landscape
from subjects import bench, half_square, measured, subject
from torch import nn

from landscape_audit.checks.gradient import gradient
from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.spectral_density import spectral_density
from landscape_audit.checks.stationarity import stationarity
from landscape_audit.checks.trace import trace
from landscape_audit.errors import AuditError
from landscape_audit.probes.probe import ProbeFailedError

CURVATURE = (sharpness, negative_curvature, trace, spectral_density)


class NotTwice(torch.autograd.Function):
    """t²/2 with a derivative of t, whose own derivative at 0 is 0 · ∞."""

    @staticmethod
    def forward(ctx, t):
        ctx.save_for_backward(t)
        return 0.5 * t**2

    @staticmethod
    def backward(ctx, grad):
        return grad * (ctx.saved_tensors[0] + (0 * ctx.saved_tensors[0]).sqrt())


UNDEFINED = {
    # A logarithm of −1 has no value, and −1 and −1 for its derivatives.
    "loss": lambda t: t.square().sum() + torch.log(t[0] - 1),
    # As the norm of a difference of two equal vectors: 0, with a derivative of 0 / 0.
    "gradient": lambda t: 1 + t.square().sum() + t[0].square().sqrt(),
    "an infinite curvature": lambda t: 1 + t.square().sum() + t[0].clamp(min=0) ** 1.5,
    "one element of the Hessian": lambda t: 1 + t.square().sum() + NotTwice.apply(t[1]),
}


def undefined(which, size):
    if which == "one example":
        x = torch.ones(64, size)
        x[40, 1] = torch.nan
        return subject(nn.Linear(size, 1, bias=False), half_square, x, x[:, :1], dtype=torch.float64)
    return landscape(UNDEFINED[which], [0.0] * size)


def outcome_of(which, size, check):
    """What the check measured; None where it refused to."""
    try:
        return measured(bench(undefined(which, size), **DOUBLE), check)
    except (ProbeFailedError, AuditError, ValueError):
        return None


ALL = (*UNDEFINED, "one example")


@pytest.mark.filterwarnings("ignore:invalid value")  # numpy's, on the way to a refusal
@pytest.mark.parametrize("size", [2, 60])
@pytest.mark.parametrize("which", ALL)
@pytest.mark.parametrize("check", CURVATURE, ids=lambda check: check.id)
def test_what_is_not_a_number_never_becomes_one(check, which, size):
    outcome = outcome_of(which, size, check)
    assert not outcome or all(estimate.value is None for estimate in outcome.estimates.values()), outcome.estimates


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("which", ALL)
def test_a_point_without_curvature_is_of_no_class(which):
    outcome = outcome_of(which, 60, stationarity)
    assert not outcome or outcome.labels["class"].value == "undecided"


@pytest.mark.parametrize("which", ALL)
def test_a_curvature_that_is_not_a_number_is_told_in_words_and_not_by_what_it_broke(which):
    on = bench(undefined(which, 60), **DOUBLE)
    try:
        outcome = measured(on, sharpness)
    except (ProbeFailedError, AuditError) as told:
        assert any(word in str(told).lower() for word in ("nan", "finite", "number")), told  # noqa: PT017 - or a measurement
    else:
        assert outcome.estimates["lambda_max"].nonfinite


@pytest.mark.parametrize("which", ["gradient", "one example"])
def test_the_norm_of_a_gradient_that_is_not_a_number_is_not_zero(which):
    on = bench(undefined(which, 60), **DOUBLE)
    try:
        sample = on.take(gradient.probes[0])
    except ProbeFailedError:
        return
    assert math.isnan(sample.norm)


class OutOfMemory(nn.Linear):
    def forward(self, x):
        if self.armed and torch.is_grad_enabled() and float(x[0, 0]) == 3:
            raise torch.OutOfMemoryError
        return super().forward(x)


@pytest.mark.parametrize("check", [*CURVATURE, gradient], ids=lambda check: check.id)
def test_a_product_that_runs_out_of_memory_fails_and_is_no_zero_and_no_smaller_sample(check):
    x = torch.arange(4.0).repeat_interleave(8)[:, None]
    model = OutOfMemory(1, 1)
    model.armed = True
    with pytest.raises(ProbeFailedError, match=r"(?i)out.?of.?memory"):
        measured(bench(subject(model, half_square, x, x, sizes=[8] * 4)), check)
