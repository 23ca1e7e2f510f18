"""The mean and the worst rise of the loss around a checkpoint, against closed forms and by repetition."""

from __future__ import annotations

import functools
import math
import re

import numpy as np
import pytest
import torch
from landscapes import DOUBLE, landscape, quadratic
from matrices import symmetric
from subjects import Landscape, bench, cross_entropy, dense_hessian, half_square, measured, output, subject
from torch import nn

from landscape_audit.checks.flatness import flatness
from landscape_audit.checks.tolerance import tolerance
from landscape_audit.config_error import validated
from landscape_audit.curvature.trace import form, inside
from landscape_audit.errors import ConfigError
from landscape_audit.gates.demand import on_number
from landscape_audit.policy import Gate, Policy
from landscape_audit.probes.ascent import BallAscent
from landscape_audit.probes.krylov import HessianKrylov, KrylovTrace
from landscape_audit.probes.m_sharpness import MSharpness
from landscape_audit.probes.perturbations import Cloud, RandomPerturbation
from landscape_audit.settle import settle
from landscape_audit.spec import ProtocolSpec

SPECTRUM = np.r_[40.0, 15.0, 6.0, np.linspace(-0.5, 1.5, 27)]
REPEATS = 200


def trained(inputs, targets, *, seed=0, sizes=(6, 16, 2), steps=150):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(sizes[0], sizes[1]), nn.Tanh(), nn.Linear(sizes[1], sizes[2]))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimiser.step()
    return model


@functools.cache
def network():
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] * x[:, 1] > 0).long()
    return subject(trained(x, y), cross_entropy, x, y, sizes=(100, 100), dtype=torch.float64)


def sampled(audited, seed=0, **budgets):
    return bench(audited, seed=seed, **DOUBLE, budgets=budgets).take(RandomPerturbation())


def test_the_mean_of_the_krylov_quadratic_over_directions_is_what_it_says():
    audited = network()
    on = bench(audited, **DOUBLE)
    space, layout = on.take(HessianKrylov()), audited.layout
    expected = inside(space, weights=on.scale.variances(layout)).weighted
    forms = [form(space, on.scale.direction(layout, on.generator(f"{draw}"))) for draw in range(300)]
    assert not space.complete
    assert abs(np.mean(forms) - expected) < 4 * np.std(forms) / math.sqrt(300)


def test_a_complete_space_knows_the_form_of_every_direction():
    audited = quadratic(SPECTRUM)
    space = bench(audited, **DOUBLE, budgets={"lanczos_steps": 30, "eigen_tolerance": 1e-300}).take(HessianKrylov())
    d = torch.randn(30, dtype=torch.float64)
    assert form(space, d) == pytest.approx(float(d @ symmetric(SPECTRUM) @ d), rel=1e-9)


def test_a_quadratic_whose_space_is_complete_has_its_mean_rise_without_an_error():
    # The filter at the origin has the norm 1, so that E rise = σ² tr H / 2P.
    on = bench(quadratic(SPECTRUM), **DOUBLE, budgets={"lanczos_steps": 30, "eigen_tolerance": 1e-300})
    found = measured(on, flatness).estimates
    for sigma in (0.05, 0.4):
        rise, truth = found[f"rise@{sigma}"], 0.5 * sigma**2 * SPECTRUM.sum() / 30
        assert rise.low <= truth <= rise.high
        assert rise.high - rise.low < 1e-9 * truth


def quartic():
    matrix, point = symmetric(SPECTRUM), torch.zeros(1, 1)
    made = Landscape(lambda t: 1 + 0.5 * t @ matrix @ t + 3 * t.pow(4).sum(), torch.zeros(len(SPECTRUM)))
    return subject(made, output, point, point, dtype=torch.float64)


def test_the_mean_rise_is_unbiased_and_its_interval_covers_it_as_often_as_it_says():
    # For d uniform on the unit sphere of R^P, E d_i² = 1/P and E d_i⁴ = 3 / P(P + 2).
    sigma, size = 0.5, len(SPECTRUM)
    truth = 0.5 * sigma**2 * SPECTRUM.sum() / size + 3 * sigma**4 * 3 / (size + 2)
    budgets = {"lanczos_steps": 5, "flatness_sigmas": (sigma,), "flatness_draws": 12, "flatness_tolerance": 0.05}
    audited = quartic()
    means = [sampled(audited, seed, **budgets).clouds[0].rise for seed in range(REPEATS)]
    values = np.array([mean.value for mean in means])
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(REPEATS)
    assert {mean.n for mean in means} > {6}  # some stopped early, some went on
    covered = sum(abs(mean.value - truth) <= mean.half_width(0.95) for mean in means)
    assert 0.90 <= covered / REPEATS <= 0.99


def test_on_a_trained_network_the_quadratic_takes_nine_tenths_of_the_variance():
    budgets = {"flatness_sigmas": (0.05,), "flatness_draws": 60, "flatness_tolerance": 1e-9}
    (cloud,) = sampled(network(), **budgets).clouds
    rises, controlled = np.array(cloud.rises), np.array(cloud.controlled)
    assert rises.var() > 10 * controlled.var()
    assert abs((rises - controlled).mean()) < 4 * (rises - controlled).std() / math.sqrt(60)
    assert 2 * (controlled.std() / (0.01 * controlled.mean())) ** 2 < 250  # forwards for 1 %


def test_far_out_where_the_loss_levels_off_the_quadratic_is_left_out():
    cloud = Cloud(1.0, (1.0, 1.1, 0.9, 1.05), (5.0, -8.0, 3.0, -4.0), ())
    assert cloud.controlled == cloud.rises
    near = Cloud(1.0, (5.9, -6.9, 3.9, -2.95), (5.0, -8.0, 3.0, -4.0), ())
    assert near.controlled == pytest.approx((0.9, 1.1, 0.9, 1.05))


def test_two_checkpoints_that_are_close_differ_far_less_draw_by_draw_than_either_varies():
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] * x[:, 1] > 0).long()
    budgets = {"flatness_sigmas": (0.01,), "flatness_draws": 16, "flatness_tolerance": 1e-9}
    tables = []
    for steps in (150, 151):
        audited = subject(trained(x, y, steps=steps), cross_entropy, x, y, sizes=(100, 100), dtype=torch.float64)
        found = measured(bench(audited, **DOUBLE, budgets=budgets), flatness)
        (table,) = [detail for detail in found.details if detail.name == "draws"]
        tables.append(np.array(table.rows)[:, 1])
        assert tables[-1].mean() == pytest.approx(found.estimates["rise@0.01"].value)
    one, other = tables
    assert (one - other).var() < (one.var() + other.var()) / 100


def test_draws_stop_once_they_are_precise_and_go_on_where_they_were():
    budgets = {"flatness_sigmas": (0.01, 0.05), "flatness_draws": 30, "flatness_tolerance": 0.05}
    on = bench(network(), **DOUBLE, budgets=budgets)
    first = on.take(RandomPerturbation())
    assert 6 <= first.draws < 30
    assert first.clouds[1].rise.error <= 0.05 * first.clouds[1].rise.value
    assert on.ledgers["random_perturbation"].cost.forwards == 1 + 2 * 2 * first.draws
    on.budgets = on.budgets.model_copy(update={"flatness_tolerance": 1e-9})
    on.retake(RandomPerturbation())
    after = on.take(RandomPerturbation())
    assert after.draws == 30
    assert after.clouds[0].rises[: first.draws] == first.clouds[0].rises
    assert after == sampled(network(), **{**budgets, "flatness_tolerance": 1e-9})


def test_an_undecided_gate_on_the_tolerance_buys_more_draws():
    on = bench(network(), **DOUBLE, budgets={"flatness_draws": 3})

    def estimates():
        return {f"flatness.{name}": estimate for name, estimate in measured(on, flatness).estimates.items()}

    before = estimates()["flatness.tolerance"]
    limit = before.value + 0.5 * (before.high - before.value)
    policy = Policy.model_validate({"gates": {"flatness.tolerance": {"at_most": limit, "why": "a test"}}})
    assert settle(on, (flatness,), policy, estimates)
    assert on.budgets.flatness_draws > 3
    assert estimates()["flatness.tolerance"].high < before.high


def test_what_curvature_predicts_is_half_the_mean_form_of_the_dense_hessian():
    on = bench(network(), **DOUBLE)
    truth = float(on.scale.variances(network().layout) @ dense_hessian(network()).diagonal())
    mean = on.take(KrylovTrace()).perturbed
    assert abs(mean.value - truth) <= mean.half_width(0.999)
    assert mean.error < 0.2 * truth
    _, predicted = measured(on, flatness).details[0].series
    assert predicted.role == "predicted"
    assert predicted.y == pytest.approx([0.5 * sigma**2 * mean.value for sigma in predicted.x])


def test_the_worst_case_at_a_critical_point_of_a_quadratic_is_half_lambda_max_radius_squared():
    for spectrum in (SPECTRUM, np.linspace(-8.0, 3.0, 30)):
        found = measured(bench(quadratic(spectrum), **DOUBLE, budgets={"eigen_tolerance": 1e-12}), flatness).estimates
        assert found["worst_case"].value == pytest.approx(0.5 * 0.05**2 * spectrum.max(), rel=1e-6)
        assert found["worst_case"].high is None


def test_no_worst_case_is_below_the_one_step_value_or_any_other_start():
    on = bench(network(), **DOUBLE)
    worst = on.take(BallAscent())
    slope, here = on.landscape.gradient(network().theta)
    one_step = on.landscape.evaluate(network().theta + 0.05 * slope / slope.norm()).loss - here
    assert worst.raw.ascents[0].first == pytest.approx(one_step)
    for ball in (worst.raw, worst.adaptive):
        assert [ascent.start for ascent in ball.ascents] == ["one step", "v_max", "-v_max"]
        assert all(ascent.first <= ascent.rise <= ball.rise for ascent in ball.ascents)


def test_at_a_maximum_the_worst_case_is_where_one_is():
    found = measured(bench(quadratic(-np.ones(4)), **DOUBLE), flatness).estimates
    assert found["worst_case"].value == 0.0


def test_m_sharpness_is_each_batchs_own_one_step_rise_averaged_by_weight():
    x, y = torch.randn(50, 4, generator=torch.Generator().manual_seed(1)).double().split((3, 1), 1)
    model = nn.Linear(3, 1).double()
    audited = subject(model, half_square, x, y, sizes=(20, 20, 10), dtype=torch.float64)
    found = measured(bench(audited, **DOUBLE), flatness)

    def rise(x, y):
        parameters = list(model.parameters())

        def loss(weight, bias):
            return 0.5 * (nn.functional.linear(x, weight, bias) - y).square().mean()

        slopes = torch.autograd.grad(loss(*parameters), parameters)
        length = torch.sqrt(sum(slope.square().sum() for slope in slopes))
        moved = [p + 0.05 * slope / length for p, slope in zip(parameters, slopes, strict=True)]
        return float((loss(*moved) - loss(*parameters)).detach())

    each = [rise(*part) for part in zip(x.split((20, 20, 10)), y.split((20, 20, 10)), strict=True)]
    assert found.estimates["m_sharpness"].value == pytest.approx(np.average(each, weights=(2, 2, 1)), rel=1e-9)
    assert found.estimates["m_sharpness"].n == 3
    assert any("m = 10 to 20 examples" in caveat for caveat in found.caveats)


def test_m_sharpness_costs_a_gradient_and_a_forward():
    on = bench(network(), **DOUBLE)
    on.take(MSharpness())
    assert on.ledgers["m_sharpness"].cost == MSharpness().cost(on.size)


def test_a_network_at_the_origin_has_finite_numbers_and_no_slope_to_climb():
    x, y = torch.randn(64, 4), torch.arange(64) % 2
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    found = measured(bench(subject(model, cross_entropy, x, y, dtype=torch.float64), **DOUBLE), flatness).estimates
    assert all(estimate.nonfinite is None for estimate in found.values())
    assert found["rise@0.05"].value == pytest.approx(0, abs=1e-3)
    assert found["worst_case"].value >= 0


def test_a_loss_of_zero_has_no_tolerance_and_moves_nothing():
    found = measured(bench(landscape(lambda t: 0 * t.sum(), [1.0, 2.0]), **DOUBLE), flatness)
    assert "tolerance" not in found.estimates
    assert any("zero" in caveat for caveat in found.caveats)
    for name in ("rise@0.05", "worst_case", "worst_case_adaptive", "m_sharpness"):
        assert found.estimates[name].value == 0.0, name


def test_a_loss_that_ends_at_some_distance_is_not_finite_there_and_tolerated_only_before():
    # At (3, 4) the one filter has the norm 5; no draw reaches |θ| > 6 below σ = 0.2.
    found = measured(
        bench(landscape(lambda t: 1 + 1e-9 * torch.log(1 - (t @ t) / 36 + 0 * t[0]), [3.0, 4.0]), **DOUBLE), flatness
    )
    assert found.estimates["rise@0.1"].nonfinite is None
    assert found.estimates["rise@0.4"].nonfinite == "nan"
    assert found.estimates["tolerance"].value <= 0.2
    (table,) = [detail for detail in found.details if detail.name == "draws"]
    assert None in {row[-1] for row in table.rows}


def test_the_tolerance_widens_by_what_rounding_leaves_open():
    clouds = [Cloud(sigma, (sigma**2,) * 4, (0.0,) * 4, ()) for sigma in (0.1, 0.2)]
    found = tolerance(clouds, 0.0225, 0.95, 0.001)
    assert found.value == pytest.approx(0.15)
    assert found.low < 0.15 < found.high
    exact = tolerance(clouds, 0.0225, 0.95, 0.0)
    assert exact.low == exact.high == pytest.approx(0.15)


def test_a_curve_that_is_above_the_target_from_its_first_radius_on_bounds_the_tolerance_from_above_alone():
    above = tolerance([Cloud(10.0, (25.0, 23.0, 24.0), (0.0,) * 3, ())], 0.1, 0.95, 0.0)
    assert (above.low, above.high) == (0.0, 10.0)
    assert {part.kind for part in above.parts} == {"bound"}
    gate = Gate(at_most=1.0, why="a test")
    assert on_number(gate, above).status == "undecided"
    unclear = tolerance([Cloud(sigma, (0.0, 3 * sigma), (0.0, 0.0), ()) for sigma in (1.0, 2.0)], 1.0, 0.95, 0.0)
    assert (unclear.low, unclear.high) == (0.0, None)


def test_a_curve_that_ends_between_two_radii_reaches_the_target_between_them():
    clouds = [Cloud(0.1, (0.01, 0.01), (0.0, 0.0), ()), Cloud(0.3, (0.09, math.nan), (0.0, 0.0), ())]
    found = tolerance(clouds, 0.05, 0.95, 0.0)
    assert (found.low, found.value, found.high) == (0.1, 0.1, 0.3)


def test_where_the_loss_is_not_finite_neither_is_the_metric():
    class Ends(nn.Linear):
        def forward(self, x):
            return super().forward(x) + 1e-9 * torch.log(36 - self.weight.square().sum())

    audited = subject(Ends(4, 2), cross_entropy, torch.randn(64, 4), torch.arange(64) % 2)
    (cloud,) = bench(audited, budgets={"flatness_sigmas": (100.0,)}).take(RandomPerturbation()).clouds
    assert math.isnan(cloud.rise.value)
    assert math.isnan(cloud.metric.value)


@pytest.mark.parametrize(
    ("sigmas", "says"),
    [
        ([1e-12, 0.1], "flatness_sigmas[0] is 1e-12: it must be at least 1e-06"),
        ([0.1, 1e308], "flatness_sigmas[1] is 1e+308: it must be at most 100"),
        ([0.1, 0.05, 0.1], "flatness_sigmas: 0.1 stands there more than once"),
        ([0.1, 0.10000001], "flatness_sigmas: 0.1 stands there more than once"),
    ],
)
def test_radii_are_within_reach_of_float32_and_told_apart_by_their_names(sigmas, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        validated(ProtocolSpec, {"budgets": {"flatness_sigmas": sigmas}}, "audit.toml")
    widest = validated(ProtocolSpec, {"budgets": {"flatness_sigmas": [1e-6, 100.0]}}, "audit.toml")
    assert widest.budget().flatness_sigmas == (1e-6, 100.0)


def test_a_metric_that_no_draw_moves_still_has_an_interval():
    on = bench(network(), **DOUBLE, preset="quick")
    found = measured(on, flatness).estimates["metric@0.01"]
    assert found.value is not None
    assert found.high - found.low >= 2 * 3 / (2 * found.n * on.subject.sample.size) - 1e-12
