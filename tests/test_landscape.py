"""What the landscape does when memory runs out, when there is no second derivative, and in other arithmetic."""

from __future__ import annotations

import pytest
import torch
from subjects import bench, cross_entropy, dense_hessian, measured, subject
from torch import nn

from landscape_audit.checks import loss, negative_curvature, sharpness, stationarity
from landscape_audit.curvature.basis import Basis, Storage
from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.probes.room import furnish


def layers(bend=None):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), bend or nn.Tanh(), nn.Linear(5, 2))


def network(model=None, *, n=64, sizes=(30, 30, 4), dtype=torch.float32):
    model = model or layers()
    torch.manual_seed(1)
    x, y = torch.randn(n, 4), torch.randint(0, 2, (n,))
    return subject(model, cross_entropy, x, y, sizes=list(sizes), dtype=dtype)


class Greedy(nn.Module):
    """A model that runs out of memory on more than `most` examples at once."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.seen = most, set()
        self.layers = layers()

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.seen.add(len(x))
        return self.layers(x)


@pytest.mark.parametrize("most", [17, 4, 1])
def test_out_of_memory_halves_the_pieces_and_changes_no_number(most):
    short, plain = bench(network(Greedy(most))), bench(network())
    v = torch.randn(plain.size.parameters)
    with short.outside_the_ledger("test"), plain.outside_the_ledger("test"):
        assert short.evaluate().sums == pytest.approx(plain.evaluate().sums, rel=1e-6)
        assert torch.allclose(short.gradient()[0], plain.gradient()[0], atol=1e-7)
        assert torch.allclose(short.hvp(v), plain.hvp(v), atol=1e-6)
        assert torch.allclose(short.ggn(v), plain.ggn(v), atol=1e-6)
    assert max(short.subject.model.seen) <= most
    assert any("examples at once" in told or "1 example at once" in told for told in short.adjustments)


def test_out_of_memory_keeps_the_intervals_of_every_batch():
    short, plain = bench(network(Greedy(4))), bench(network())
    for check in (loss, sharpness):
        a, b = measured(short, check), measured(plain, check)
        for name, estimate in b.estimates.items():
            if name not in {"lambda_max_bias", "lambda_max_corrected"}:  # a cut batch's length is bounded only
                assert a.estimates[name].value == pytest.approx(estimate.value, rel=1e-4), name
    assert short.take(BatchGradients()).gram == pytest.approx(plain.take(BatchGradients()).gram, rel=1e-4, abs=1e-9)


def test_one_example_that_does_not_fit_is_an_error_and_no_zero():
    on = bench(network(Greedy(0)))
    with on.outside_the_ledger("test"), pytest.raises(torch.OutOfMemoryError):
        on.evaluate()


class _OnceTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y**2)


class Once(nn.Module):
    def forward(self, x):
        return _OnceTanh.apply(x)


def test_without_a_second_derivative_products_are_differences_whose_error_is_told_and_true():
    on = bench(network(layers(Once())))
    exact = dense_hessian(network()).float()
    with on.outside_the_ledger("test"):
        misses = []
        for seed in range(20):
            v = torch.randn(len(exact), generator=torch.Generator().manual_seed(seed))
            misses.append(float((on.hvp(v) - exact @ v).norm() / (exact @ v).norm()))
    assert not on.landscape.exact
    assert max(misses) < 5 * on.landscape.error
    assert "central differences of gradients" in on.landscape.engine
    assert any("no second derivative" in told for told in on.adjustments)


def test_differences_support_the_top_and_never_claim_negative_curvature():
    exact, differences = (bench(network(layers(bend)), preset="quick") for bend in (None, Once()))
    top, about = (measured(on, sharpness).estimates["lambda_max"] for on in (exact, differences))
    assert about.low <= top.value <= about.high
    assert about.value == pytest.approx(top.value, rel=0.05)
    found = measured(differences, negative_curvature)
    assert found.estimates["rayleigh"].high is None
    assert found.labels["certainty"].value != "negative"
    assert measured(differences, stationarity).labels["class"].value != "saddle"


def test_products_in_bfloat16_are_corrected_by_what_is_measured_in_full():
    plain = measured(bench(network()), sharpness).estimates["lambda_max"]
    on = bench(network(), products="bfloat16")
    rough = measured(on, sharpness).estimates["lambda_max"]
    assert "bfloat16" in on.landscape.engine
    assert rough.value != plain.value
    assert rough.value == pytest.approx(plain.value, rel=1e-2)
    assert rough.low <= plain.value * (1 + 1e-5)
    assert rough.high is None  # the run saw another matrix: nothing it missed can be ruled out


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_basis_kept_in_another_precision_computes_in_full(dtype):
    like = torch.zeros(5000)
    basis = Basis(like, Storage(dtype, like.device))
    rows = [torch.nn.functional.normalize(torch.randn(5000), dim=0) for _ in range(20)]
    for row in rows:
        basis = basis.with_row(row)
    kept = torch.stack(list(basis))
    assert torch.allclose(kept, torch.stack(rows), atol=1e-4)
    v, w = torch.randn(5000), torch.randn(20)
    assert torch.allclose(basis.coefficients(v), kept @ v, atol=1e-4)
    assert torch.allclose(basis.combine(w), w @ kept, atol=1e-5)


def test_bases_that_grow_from_the_same_rows_never_share_what_is_beyond_them():
    basis = Basis(torch.zeros(3))
    for value in range(5):
        basis = basis.with_row(torch.full((3,), float(value)))
    one, other = basis.with_row(torch.full((3,), 10.0)), basis.with_row(torch.full((3,), 20.0))
    assert [float(row[0]) for row in one] == [0, 1, 2, 3, 4, 10]
    assert [float(row[0]) for row in other] == [0, 1, 2, 3, 4, 20]
    assert len(basis) == 5


@pytest.mark.parametrize("storage", ["half", "host"])
def test_lambda_max_hardly_depends_on_how_the_basis_is_kept(storage):
    plain = measured(bench(network(n=200, sizes=[50] * 4)), sharpness).estimates["lambda_max"]
    on = bench(network(n=200, sizes=[50] * 4), basis=storage)
    kept = measured(on, sharpness).estimates["lambda_max"]
    assert kept.value == pytest.approx(plain.value, rel=1e-4)
    assert any("as asked" in told for told in on.adjustments)


def test_a_basis_that_does_not_fit_is_kept_in_half_precision_and_said_so():
    theta = torch.zeros(1000)
    roomy, tight = furnish(theta, 50, 10**7, "auto"), furnish(theta, 50, 300_000, "auto")
    assert roomy.storage.dtype == torch.float32
    assert not roomy.adjustment
    assert tight.storage.dtype == torch.float16
    assert "float16" in tight.adjustment
