"""Gauss-Newton products and the check on them against dense matrices and closed forms."""

from __future__ import annotations

import pytest
import torch
from subjects import bench, cross_entropy, dense_gauss_newton, dense_hessian, half_square, measured, output, subject
from torch import nn

from landscape_audit.checks import ggn
from landscape_audit.results import NotApplicable


def classifier(dtype=torch.float64, sizes=(40, 13, 7)):
    torch.manual_seed(2)
    x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
    return subject(
        nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)), cross_entropy, x, y, sizes=sizes, dtype=dtype
    )


def test_products_are_those_of_the_dense_matrix_for_ragged_batches():
    audited = classifier()
    on, exact = bench(audited, dtype="float64").landscape, dense_gauss_newton(audited)
    columns = torch.stack([on.ggn(e) for e in torch.eye(len(exact), dtype=torch.float64)])
    assert torch.allclose(columns, exact, atol=1e-12)


def test_for_a_linear_model_the_gauss_newton_part_is_the_whole_hessian():
    torch.manual_seed(0)
    audited = subject(nn.Linear(4, 2), half_square, torch.randn(50, 4), torch.randn(50, 2), dtype=torch.float64)
    on = bench(audited, dtype="float64").landscape
    v = torch.randn(audited.layout.size, dtype=torch.float64)
    assert torch.allclose(on.ggn(v), on.hvp(v), atol=1e-12)


def test_the_check_finds_the_largest_eigenvalue_and_the_share_along_the_hessians_own():
    audited = classifier()
    g, h = dense_gauss_newton(audited), dense_hessian(audited)
    found = measured(bench(audited, dtype="float64", budgets={"ggn_steps": 30}), ggn)
    top = torch.linalg.eigh(h).eigenvectors[:, -1]
    estimate = found.estimates["lambda_max"]
    exact = float(torch.linalg.eigvalsh(g)[-1])
    assert estimate.value == pytest.approx(exact, rel=1e-3)
    assert estimate.value <= exact * (1 + 1e-9)
    assert estimate.high is None
    assert found.estimates["explained"].value == pytest.approx(float((top @ g @ top) / (top @ h @ top)), rel=1e-3)


def test_a_linear_model_is_explained_wholly_and_a_loss_in_the_weights_alone_not_at_all():
    torch.manual_seed(0)
    linear = subject(nn.Linear(4, 2), half_square, torch.randn(50, 4), torch.randn(50, 2), dtype=torch.float64)
    assert measured(bench(linear, dtype="float64"), ggn).estimates["explained"].value == pytest.approx(1.0, abs=1e-9)

    class Bowl(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return (self.theta**2).sum().expand(len(x))

    # The output is the loss, so that the loss is linear in it and all curvature is the network's own.
    own = subject(Bowl(), output, torch.zeros(20, 1), torch.zeros(20), dtype=torch.float64)
    found = measured(bench(own, dtype="float64"), ggn)
    assert found.estimates["explained"].value == pytest.approx(0.0, abs=1e-12)
    assert found.estimates["lambda_max"].value == pytest.approx(0.0, abs=1e-12)


def test_outputs_that_are_not_one_tensor_have_no_gauss_newton_part():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return {"scores": self.layer(x)}

    def loss(outputs, targets):
        return cross_entropy(outputs["scores"], targets)

    torch.manual_seed(0)
    on = bench(subject(Two(), loss, torch.randn(30, 3), torch.randint(0, 2, (30,))))
    outcome = ggn.measure(*(on.take(probe) for probe in ggn.probes))
    assert isinstance(outcome, NotApplicable)
