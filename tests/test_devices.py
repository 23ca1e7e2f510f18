"""The engine on every device there is, against float64 on the host."""

from __future__ import annotations

import pytest
import torch
from subjects import bench, cross_entropy, dense_gauss_newton, dense_hessian, measured, on_device, subject
from torch import nn

from landscape_audit.checks import BATTERY, sharpness
from landscape_audit.results import NotApplicable
from landscape_audit.subject.subject import Subject

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Attentive(nn.Module):
    """Convolution, batch normalisation, layer normalisation and attention: what has had wrong second derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(3, 8, 3, padding=1), nn.BatchNorm1d(8)
        self.even, self.mix, self.head = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.tanh(self.norm(self.conv(x))).transpose(1, 2)
        q, k, v = self.mix(self.even(x)).chunk(3, -1)
        return self.head((x + nn.functional.scaled_dot_product_attention(q, k, v)).mean(1))


def on(device: str, dtype=torch.float32) -> Subject:
    torch.manual_seed(0)
    x, y = torch.randn(48, 3, 6), torch.randint(0, 3, (48,))
    return on_device(subject(Attentive(), cross_entropy, x, y, sizes=[20, 20, 8], dtype=dtype), torch.device(device))


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def test_losses_gradients_and_products_agree_with_float64_on_the_host(device):
    truth, landscape = on("cpu", torch.float64), bench(on(device)).landscape
    exact = bench(truth, dtype="float64").landscape
    v = torch.randn(truth.layout.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    there = v.float().to(device)
    assert landscape.evaluate(landscape.subject.theta).loss == pytest.approx(exact.evaluate(truth.theta).loss, rel=1e-5)
    for found, wanted in (
        (landscape.gradient(landscape.subject.theta)[0], exact.gradient(truth.theta)[0]),
        (landscape.hvp(there), dense_hessian(truth) @ v),
        (landscape.ggn(there), dense_gauss_newton(truth) @ v),
    ):
        assert found.device.type == device
        assert float((found.cpu().double() - wanted).norm() / wanted.norm()) < 1e-4


def test_every_check_of_the_battery_is_measured(device):
    audited = bench(on(device), preset="quick")
    for check in BATTERY:
        outcome = check.measure(*(audited.take(probe) for probe in check.probes))
        assert not isinstance(outcome, NotApplicable), check.id


@pytest.mark.parametrize("basis", ["full", "half", "host"])
def test_the_largest_eigenvalue_is_the_dense_one_however_the_basis_is_kept(device, basis):
    exact = float(torch.linalg.eigvalsh(dense_hessian(on("cpu", torch.float64)))[-1])
    found = measured(bench(on(device), basis=basis), sharpness).estimates["lambda_max"]
    assert found.value == pytest.approx(exact, rel=1e-3)


def test_products_in_bfloat16_find_the_same_top(device):
    exact = float(torch.linalg.eigvalsh(dense_hessian(on("cpu", torch.float64)))[-1])
    found = measured(bench(on(device), products="bfloat16"), sharpness).estimates["lambda_max"]
    assert found.low <= exact
    assert found.high is None
    assert found.value == pytest.approx(exact, rel=2e-2)


def test_two_audits_on_one_device_are_the_same_to_the_last_bit(device):
    first, second = (measured(bench(on(device), preset="quick"), sharpness) for _ in range(2))
    assert first == second
