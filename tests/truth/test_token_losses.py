"""Losses over tokens and weighted classes, in the probes that look at outputs: against dense matrices and optima."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from subjects import bench, dense_hessian, measured, subject
from torch import Tensor, nn
from torch.nn import functional

from landscape_audit.checks import ggn
from landscape_audit.checks import loss as loss_check
from landscape_audit.probes.constant import ConstantPrediction
from landscape_audit.results import NotApplicable
from landscape_audit.subject.losses.classes import causal_lm, cross_entropy, masked_lm
from landscape_audit.subject.losses.loss import Loss
from landscape_audit.subject.losses.returned import model
from landscape_audit.subject.losses.values import huber, l1
from landscape_audit.subject.subject import Subject

CASES = [causal_lm(), masked_lm(), cross_entropy(class_axis=-1, weight=[0.3, 2.0, 1.0, 0.5], label_smoothing=0.1)]


def texts(loss: Loss) -> Subject:
    """Twenty rows of five tokens, some of which do not count."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(20, 5, 2, generator=generator)
    y = torch.randint(0, 4, (20, 5), generator=generator)
    y[torch.rand(20, 5, generator=generator) < 0.3] = -100
    torch.manual_seed(2)
    audited = subject(nn.Linear(2, 4), loss.measure, x, y, sizes=[11, 9], dtype=torch.float64)
    return replace(audited, loss=loss, data=audited.data.model_copy(update={"loss": loss.name}))


@pytest.mark.parametrize("loss", CASES, ids=lambda loss: loss.name)
def test_for_a_linear_model_the_gauss_newton_part_is_the_dense_hessian(loss: Loss) -> None:
    audited = texts(loss)
    on = bench(audited, dtype="float64").landscape
    columns = torch.stack([on.ggn(e) for e in torch.eye(audited.layout.size, dtype=torch.float64)])
    torch.testing.assert_close(columns, dense_hessian(audited), rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", CASES, ids=lambda loss: loss.name)
def test_the_best_constant_is_where_the_loss_has_no_slope(loss: Loss) -> None:
    audited = texts(loss)
    found = bench(audited, dtype="float64").take(ConstantPrediction())
    assert found is not None
    constant = torch.zeros(4, dtype=torch.float64, requires_grad=True)

    def height() -> Tensor:
        given = [batch.targets for batch in audited.sample.batches]
        parts = [loss.measure(constant.expand(*targets.shape, 4), targets) for targets in given]
        return sum(part.total for part in parts) / sum(part.weight for part in parts)

    assert found.chance == pytest.approx(height().item(), rel=1e-12)
    optimiser = torch.optim.LBFGS([constant], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def slope() -> float:
        optimiser.zero_grad()
        value = height()
        value.backward()
        return value.item()

    optimiser.step(slope)
    assert found.loss == pytest.approx(height().item(), rel=1e-9)


def test_losses_whose_best_constant_is_not_known_have_none() -> None:
    audited = texts(causal_lm())
    for loss in (l1(), huber(), model()):
        assert bench(replace(audited, loss=loss)).take(ConstantPrediction()) is None


def test_a_loss_that_the_model_returns_has_no_gauss_newton_part() -> None:
    class Returns(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return functional.softplus(super().forward(x)).mean()

    audited = subject(Returns(3, 1), model().measure, torch.randn(32, 3), torch.zeros(32))
    on = bench(replace(audited, loss=model()))
    found = ggn.measure(*(on.take(probe) for probe in ggn.probes))
    assert isinstance(found, NotApplicable)
    assert "returns its own loss" in found.reason


def test_the_perplexity_is_exp_of_the_loss_with_its_interval_carried_through() -> None:
    found = measured(bench(texts(causal_lm()), dtype="float64"), loss_check).estimates
    for side in ("value", "low", "high"):
        expected = math.exp(getattr(found["value"], side))
        assert getattr(found["perplexity"], side) == pytest.approx(expected, rel=1e-12)
