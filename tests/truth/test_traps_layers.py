"""Layers whose derivatives torch takes in its own way: each is audited truly, or says what it lacks."""

from __future__ import annotations

import pytest
import torch
from landscapes import DOUBLE
from subjects import bench, cross_entropy, dense_hessian, half_square, measured, subject
from torch import nn

from landscape_audit.checks.ggn import ggn
from landscape_audit.checks.instrument import instrument
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.results import NotApplicable


def test_a_bag_of_embeddings_has_no_gauss_newton_part_and_says_why():
    torch.manual_seed(0)
    tokens = torch.randint(0, 9, (64, 5))
    model = nn.Sequential(nn.EmbeddingBag(9, 4), nn.Linear(4, 3))
    on = bench(subject(model, cross_entropy, tokens, tokens[:, 0] % 3))
    assert isinstance(outcome := ggn.measure(*(on.take(probe) for probe in ggn.probes)), NotApplicable)
    assert "differences of gradients" in outcome.reason
    assert measured(on, sharpness).estimates["lambda_max"].value > 0


class Slope(nn.Module):
    """The derivative in x of a small network, by torch.func."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x):
        return torch.func.vmap(torch.func.grad(lambda one: self.net(one).sum()))(x)


def test_torch_func_in_the_forward_pass_is_audited_with_graphs_rebuilt():
    torch.manual_seed(0)
    x = torch.randn(32, 3)
    on = bench(subject(Slope(), half_square, x, x, dtype=torch.float64), **DOUBLE)
    exact = dense_hessian(on.subject)
    v = torch.randn(len(exact), dtype=torch.float64)
    with on.outside_the_ledger("test"):
        assert torch.allclose(on.hvp(v), exact @ v, atol=1e-12)
    assert on.landscape.exact
    assert "graphs rebuilt, as torch.func" in on.landscape.engine


class Normed(nn.Module):
    """A linear map with weight g v / |v|, written out."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(3))
        self.g, self.v = nn.Parameter(torch.rand(3, 1) + 0.5), nn.Parameter(torch.randn(3, 4))

    def forward(self, x):
        return x @ (self.g * self.v / self.v.norm(dim=1, keepdim=True)).T + self.bias


class Unit(torch.autograd.Function):
    """v / |v| by rows, whose derivative is left out."""

    @staticmethod
    def forward(_ctx, v):
        return v / v.norm(dim=1, keepdim=True)

    @staticmethod
    def backward(_ctx, slope):
        return torch.zeros_like(slope)


class Length(torch.autograd.Function):
    """|v| by rows: its derivative is right, and the second one misses a part."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return v.norm(dim=1, keepdim=True)

    @staticmethod
    def backward(ctx, slope):
        return slope * Unit.apply(*ctx.saved_tensors)


class Fused(Normed):
    """The same through a kernel whose own double backward leaves a part out."""

    def forward(self, x):
        return x @ (self.g * self.v / Length.apply(self.v)).T + self.bias


def normed(kind, dtype):
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    return bench(subject(kind(), half_square, x, x[:, :3].tanh(), dtype=dtype), dtype=str(dtype).split(".")[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_derivatives_that_autograd_gets_wrong_are_differences_and_told(dtype):
    truth, fused = normed(Normed, dtype), normed(Fused, dtype)
    assert measured(truth, instrument).labels["agreement"].value == "agrees"
    assert measured(fused, instrument).labels["agreement"].value == "disagrees"
    assert truth.landscape.exact
    assert not fused.landscape.exact
    assert any("second derivative of this model is wrong by" in told for told in fused.adjustments)
    assert not fused.elsewhere(fused.subject.theta).exact
    top, about = (measured(on, sharpness).estimates["lambda_max"].value for on in (truth, fused))
    assert about == pytest.approx(top, rel=1e-2 if dtype == torch.float32 else 1e-6)
    v = torch.ones_like(truth.subject.theta)
    with truth.outside_the_ledger("test"), fused.outside_the_ledger("test"):
        exact = truth.hvp(v)
        assert (fused.hvp(v) - exact).norm() < 1e-2 * exact.norm()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Hardtanh])
def test_kinks_are_no_reason_for_differences(activation):
    torch.manual_seed(0)
    x = torch.randn(512, 4)
    model = nn.Sequential(nn.Linear(4, 64), activation(), nn.Linear(64, 3))
    on = bench(subject(model, cross_entropy, x, torch.arange(512) % 3))
    measured(on, instrument)
    assert on.landscape.exact
