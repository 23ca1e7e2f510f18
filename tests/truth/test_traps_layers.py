"""Layers whose derivatives torch takes in its own way: each is audited truly, or says what it lacks."""

from __future__ import annotations

import torch
from landscapes import DOUBLE
from subjects import bench, cross_entropy, dense_hessian, half_square, measured, subject
from torch import nn

from landscape_audit.checks.ggn import ggn
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
