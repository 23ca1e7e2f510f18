"""The checks against landscapes whose numbers are known."""

from __future__ import annotations

import math

import pytest
import torch
from subjects import Landscape, bench, cross_entropy, dense_hessian, half_square, measured, output, subject
from torch import nn

from landscape_audit.checks.flatness import flatness
from landscape_audit.checks.gradient import gradient
from landscape_audit.checks.loss import loss
from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.spectral_density import spectral_density
from landscape_audit.checks.surface import surface
from landscape_audit.checks.trace import trace


def landscape(function, theta, dtype=torch.float64):
    points = torch.zeros(32, 1)
    return subject(Landscape(function, torch.tensor(theta)), output, points, points, dtype=dtype)


def network(seed=0, n=200, dtype=torch.float32):
    torch.manual_seed(seed)
    x = torch.randn(n, 6)
    y = (x[:, 0] * x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 2))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return subject(model, cross_entropy, x, y, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_curvature_agrees_with_the_dense_hessian_inside_its_own_intervals(dtype):
    audited = network(dtype=getattr(torch, dtype))
    truth = torch.linalg.eigvalsh(dense_hessian(audited))
    on = bench(audited, dtype=dtype)
    found = {**measured(on, sharpness).estimates, **measured(on, negative_curvature).estimates}
    for name, exact in [("lambda_max", truth[-1]), ("lambda_2", truth[-2]), ("lambda_min", truth[0])]:
        residual = next(part for part in found[name].parts if part.kind == "residual")
        slack = 4 * next(part.high - found[name].value for part in found[name].parts if part.kind == "rounding")
        assert residual.low - slack <= float(exact) <= residual.high + slack, name
    total = measured(on, trace).estimates["trace"]
    assert total.low <= float(truth.sum()) <= total.high


def test_density_shares_are_those_of_the_dense_spectrum():
    audited = network(dtype=torch.float64)
    truth = torch.linalg.eigvalsh(dense_hessian(audited))
    on = bench(audited, dtype="float64", budgets={"lanczos_steps": 200, "eigen_tolerance": 1e-300})
    assert on.take(spectral_density.probes[0]).complete
    share = measured(on, spectral_density).estimates["near_zero_share"]
    assert share.value == pytest.approx(float((truth.abs() <= 0.01 * truth.abs().max()).double().mean()))


def test_the_unbiased_signal_is_right_on_average_where_the_norm_is_not():
    # ∇ℓ_i = x_i with mean μ, so |E∇ℓ|² = |μ|² while E|ḡ|² = |μ|² + tr Σ / N.
    mean = torch.full((20,), 0.05)
    signals, norms = [], []
    for seed in range(200):
        x = mean + torch.randn(64, 20, generator=torch.Generator().manual_seed(seed))
        model = nn.Linear(20, 1, bias=False)
        audited = subject(model, lambda out, _: output(out.flatten(), out), x, x, dtype=torch.float64)
        sample = bench(audited, seed=seed, dtype="float64").take(gradient.probes[0])
        from landscape_audit.checks.gradient import _signal_squared

        signals.append(_signal_squared(sample).value)
        norms.append(sample.norm**2)
    spread = torch.tensor(signals).std() / math.sqrt(200)
    assert abs(float(torch.tensor(signals).mean()) - 0.05) < 5 * float(spread)
    assert float(torch.tensor(norms).mean()) > 0.3


def test_the_noise_scale_of_a_known_mixture_is_inside_its_interval():
    x = 0.5 + torch.randn(1600, 10, generator=torch.Generator().manual_seed(1))
    audited = subject(nn.Linear(10, 1, bias=False), lambda out, _: output(out.flatten(), out), x, x)
    found = measured(bench(audited), gradient).estimates["noise_scale"]
    assert found.low <= 10 / (10 * 0.25) <= found.high


def test_a_sphere_rises_by_the_square_of_the_distance_and_its_tolerance_is_the_root_of_a_tenth():
    # L = |θ|²/2: moving the whole by σ|θ| in any direction raises L by σ²L on antithetic average, exactly.
    audited = landscape(lambda t: 0.5 * (t * t).sum(), [3.0, 4.0])
    found = measured(bench(audited, dtype="float64"), flatness).estimates
    assert found["rise@0.1"].value == pytest.approx(12.5 * 0.01, rel=1e-9)
    assert found["tolerance"].value == pytest.approx(math.sqrt(0.1), rel=1e-6)
    assert found["worst_case"].value == pytest.approx(0.5 * 5.05**2 - 12.5, rel=1e-9)
    assert found["worst_case"].high is None


def test_the_adaptive_worst_case_moves_each_weight_by_its_own_size():
    # Maximise (a + b·u)·slopes over |u| ≤ ρ with b = |θ| + 0.01: for a linear loss the maximum is ρ |b ∘ slopes|.
    slopes, theta = torch.tensor([1.0, -2.0], dtype=torch.float64), [3.0, 0.0]
    audited = landscape(lambda t: 1 + (slopes * t).sum(), theta)
    found = measured(bench(audited, dtype="float64"), flatness).estimates["worst_case_adaptive"]
    assert found.value == pytest.approx(0.5 * math.hypot(3.01 * 1, 0.01 * 2), rel=1e-6)


def test_a_loss_that_never_rises_by_a_tenth_has_a_tolerance_bounded_from_below_only():
    audited = landscape(lambda t: 1 + 1e-6 * (t * t).sum(), [1.0, 1.0])
    found = measured(bench(audited, dtype="float64"), flatness).estimates["tolerance"]
    assert found.value == 0.4
    assert found.high is None


def test_the_checkpoint_is_the_centre_of_the_surface_and_cells_without_a_loss_stay_empty():
    # log of a distance is not a number on half of the plane.
    audited = landscape(lambda t: torch.log(t[0] - 0.5) ** 2 + t[1] ** 2, [1.5, 1.0])
    found = measured(bench(audited, dtype="float64", preset="quick"), surface)
    plane = found.details[0]
    middle = len(plane.xs) // 2
    assert plane.xs[middle] == plane.ys[middle] == 0.0
    assert plane.z[middle][middle] == pytest.approx(1.0)
    missing = sum(cell is None for row in plane.z for cell in row)
    assert missing == found.estimates["nonfinite_cells"].value > 0


def test_the_loss_and_its_standard_error_are_those_of_the_examples():
    audited = network(n=300)
    found = measured(bench(audited), loss).estimates
    inputs = torch.cat([batch.inputs for batch in audited.sample.batches])
    targets = torch.cat([batch.targets for batch in audited.sample.batches])
    each = nn.functional.cross_entropy(audited.model(inputs), targets, reduction="none").detach().double()
    assert found["value"].value == pytest.approx(float(each.mean()), rel=1e-6)
    half = 1.968 * float(each.std()) / math.sqrt(300)  # Student's quantile for 299 degrees of freedom
    assert found["value"].value - found["value"].low == pytest.approx(half, rel=1e-3)


def test_wilson_leaves_room_below_a_metric_of_one():
    x, y = torch.randn(100, 2), torch.zeros(100, dtype=torch.long)
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight)
    model.bias.data = torch.tensor([5.0, 0.0])
    metric = measured(bench(subject(model, cross_entropy, x, y)), loss).estimates["metric"]
    assert metric.value == 1.0
    assert metric.low == pytest.approx(0.963, abs=1e-3)
    assert metric.high == 1.0


def test_sampling_intervals_of_sharpness_cover_the_large_sample_value():
    # Linear regression: H = E[x xᵀ] with λ_max = 4 along the first axis. Nominal 95 %, upward bias included.
    scales = torch.tensor([2.0, 1.0, 1.0, 0.5, 0.5])
    covered = 0
    for seed in range(100):
        x = scales * torch.randn(800, 5, generator=torch.Generator().manual_seed(seed))
        audited = subject(nn.Linear(5, 1, bias=False), half_square, x, torch.zeros(800, 1))
        found = measured(bench(audited, seed=seed), sharpness).estimates["lambda_max"]
        covered += found.low <= 4.0 <= found.high
    assert 88 <= covered <= 100


def test_a_negative_direction_is_certified_only_where_data_and_arithmetic_allow_it():
    audited = landscape(lambda t: 1 + t[0] ** 2 - 0.5 * t[1] ** 2, [0.0, 0.0])
    found = measured(bench(audited, dtype="float64"), negative_curvature)
    assert found.labels["certainty"].value == "negative"
    assert found.estimates["lambda_min"].value == pytest.approx(-1.0)
    flat = landscape(lambda t: 1 + t[0] ** 2 + 0 * t[1], [0.0, 0.0])
    assert measured(bench(flat, dtype="float64"), negative_curvature).labels["certainty"].value != "negative"
