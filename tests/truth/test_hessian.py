"""Products against closed forms, an independent dense Hessian, differences, and a second library."""

from __future__ import annotations

import pytest
import torch
from subjects import cross_entropy, dense_hessian, half_square, subject
from torch import nn

from landscape_audit.curvature.differences import difference_product
from landscape_audit.curvature.hessian import Hessian, gradient
from landscape_audit.probes.evaluation import by_batch, terms


def classifier(sizes=None, dtype=torch.float64, n=60):
    torch.manual_seed(3)
    x, y = torch.randn(n, 5), torch.randint(0, 3, (n,))
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
    return subject(model, cross_entropy, x, y, sizes=sizes, dtype=dtype)


def product_of(audited, memory):
    return Hessian(audited.theta, audited.layout, by_itself(audited), memory)


def by_itself(audited):
    batches = audited.sample.batches
    return terms(audited, by_batch(batches, range(len(batches)), most=1000))


@pytest.mark.parametrize("memory", [0, 200_000, 1 << 30])
def test_ragged_batches_give_the_full_batch_hessian_whether_graphs_are_kept_or_not(memory):
    audited = classifier(sizes=[50, 7, 2, 1])
    hessian = product_of(audited, memory)
    columns = torch.stack([hessian(e) for e in torch.eye(audited.layout.size, dtype=torch.float64)])
    assert torch.allclose(columns, dense_hessian(audited), atol=1e-12)


def test_the_hessian_of_linear_regression_is_the_covariance_of_the_inputs():
    torch.manual_seed(0)
    x, y = torch.randn(100, 4), torch.randn(100, 1)
    audited = subject(nn.Linear(4, 1, bias=False), half_square, x, y, dtype=torch.float64)
    hessian = product_of(audited, 0)
    columns = torch.stack([hessian(e) for e in torch.eye(4, dtype=torch.float64)])
    assert torch.allclose(columns, (x.T @ x / 100).double(), atol=1e-7)  # y and x were drawn in float32


def test_the_hessian_of_softmax_regression_is_its_closed_form():
    torch.manual_seed(0)
    x, y = torch.randn(80, 4), torch.randint(0, 3, (80,))
    audited = subject(nn.Linear(4, 3, bias=False), cross_entropy, x, y, dtype=torch.float64)
    p = torch.softmax(x.double() @ audited.theta.view(3, 4).T, 1)
    curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    closed = torch.einsum("nab,ni,nj->aibj", curvature, x.double(), x.double()).reshape(12, 12) / 80
    hessian = product_of(audited, 1 << 30)
    assert torch.allclose(torch.stack([hessian(e) for e in torch.eye(12, dtype=torch.float64)]), closed, atol=1e-14)


def test_forms_by_batch_average_to_the_form_of_the_whole():
    audited = classifier(sizes=[40, 15, 5])
    hessian = product_of(audited, 1 << 30)
    v = torch.randn(audited.layout.size, dtype=torch.float64)
    shares = list(hessian.by_term(v))
    mean = sum(float(v @ share.vector) for share in shares) / sum(share.weight for share in shares)
    assert mean == pytest.approx(float(v @ hessian(v)), rel=1e-12)


def test_a_difference_of_gradients_converges_to_the_product_with_the_square_of_the_step():
    audited = classifier()

    def whole(theta):
        parts = [gradient(theta, audited.layout, term) for term in by_itself(audited)]
        return sum(part.vector for part in parts) / sum(part.weight for part in parts)

    v = torch.randn(audited.layout.size, dtype=torch.float64)
    exact = product_of(audited, 0)(v)
    errors = [float((difference_product(whole, audited.theta, v, h) - exact).norm()) for h in (1e-2, 1e-3)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.1)


def test_stale_gradients_on_the_model_do_not_change_a_product():
    audited = classifier()
    v = torch.randn(audited.layout.size, dtype=torch.float64)
    before = product_of(audited, 1 << 30)(v)
    for parameter in audited.model.parameters():
        parameter.grad = torch.full_like(parameter, 1e6)
    assert torch.equal(product_of(audited, 1 << 30)(v), before)


def test_curvlinops_gives_the_same_products():
    curvlinops = pytest.importorskip("curvlinops")
    audited = classifier(sizes=[20, 20, 20])
    data = [(batch.inputs, batch.targets) for batch in audited.sample.batches]
    parameters = dict(audited.model.named_parameters())
    operator = curvlinops.HessianLinearOperator(audited.model, nn.CrossEntropyLoss(), list(parameters.values()), data)
    v = torch.randn(audited.layout.size, dtype=torch.float64)
    assert torch.allclose(operator @ v, product_of(audited, 1 << 30)(v), atol=1e-10)


def test_a_loss_without_curvature_has_a_hessian_of_zeros():
    x = torch.randn(20, 3)
    audited = subject(nn.Linear(3, 1), lambda out, _: _linear(out), x, x, dtype=torch.float64)
    assert float(product_of(audited, 1 << 30)(torch.ones(4, dtype=torch.float64)).norm()) == 0.0


def _linear(outputs):
    from subjects import output

    return output(outputs.flatten(), outputs)
