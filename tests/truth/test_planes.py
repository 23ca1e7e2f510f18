"""The planes and lines that are drawn, against quadratics whose spectrum is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from landscapes import DOUBLE, landscape, quadratic
from matrices import symmetric
from subjects import bench, cross_entropy, measured, subject
from torch import nn

from landscape_audit.checks.flatness import flatness
from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.surface import UNSETTLED, surface
from landscape_audit.probes.ascent import ADAPTIVE_FLOOR, SHARES, BallAscent
from landscape_audit.probes.eigenplane import FALLEN, RISEN, EigenplaneGrid, NoEigenplane
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.perturbations import RandomPerturbation
from landscape_audit.probes.sweep import KnownSweep
from landscape_audit.probes.walks import Slices
from landscape_audit.text import number

SPECTRUM = np.r_[40.0, 15.0, np.linspace(-0.5, 1.5, 17), -8.0]
QUICK = {**DOUBLE, "preset": "quick"}
WHOLE = {"lanczos_steps": 20, "eigen_tolerance": 1e-300}


def detail(on, check, name):
    return next((each for each in measured(on, check).details if each.name == name), None)


def classifier(sizes):
    torch.manual_seed(0)
    x, y = torch.randn(sum(sizes), 4), torch.randint(0, 2, (sum(sizes),))
    return subject(nn.Linear(4, 2), cross_entropy, x, y, sizes=sizes)


@pytest.mark.parametrize("spectrum", [SPECTRUM, np.linspace(0.1, 3.0, 12), -np.linspace(0.1, 3.0, 12)])
def test_on_a_quadratic_the_plane_of_the_ends_is_half_lambda_x_squared_on_both_sides(spectrum):
    # At the origin the one filter has the norm 1, so that a share of the filters' norms is a plain distance.
    on = bench(quadratic(spectrum), **QUICK, budgets={**WHOLE, "eigenplane_points": 7})
    plane = detail(on, surface, "eigenplane")
    x, y = np.meshgrid(plane.xs, plane.ys)
    truth = 1 + 0.5 * spectrum.max() * x**2 + 0.5 * spectrum.min() * y**2
    assert np.array(plane.z, float) == pytest.approx(truth, abs=1e-9)
    assert np.vectorize(plane.predicted.at)(x, y) == pytest.approx(truth, abs=1e-9)
    assert (plane.xs[3], plane.ys[3], plane.z[3][3]) == (0.0, 0.0, 1.0)
    for value, reach in ((spectrum.max(), plane.xs[-1]), (spectrum.min(), plane.ys[-1])):
        most = RISEN if value > 0 else FALLEN
        assert reach == pytest.approx(min(1.0, (2 * most / abs(value)) ** 0.5))


def test_a_saddle_is_lower_along_v_min_and_a_minimum_nowhere_in_the_plane():
    on = bench(quadratic(SPECTRUM), **QUICK, budgets=WHOLE)
    lowest = on.take(EigenplaneGrid()).lowest
    assert (lowest.x, abs(lowest.y)) == (0.0, pytest.approx(0.5))
    assert lowest.there.loss == pytest.approx(0.0, abs=1e-12)
    assert "is 1 ± " in detail(on, surface, "eigenplane").finding
    on = bench(quadratic(np.linspace(0.1, 3.0, 12)), **QUICK, budgets=WHOLE)
    assert on.take(EigenplaneGrid()).lowest.there.radius == 0.0
    assert detail(on, surface, "eigenplane").finding.startswith("No point of this plane is lower")


def test_a_window_ends_where_a_slice_saw_a_wall_that_curvature_does_not_know():
    walled = landscape(lambda t: 1 + 0.5 * (t[0] ** 2 + 1e-3 * t[1] ** 2) + 1e8 * t[1] ** 6, [0.0, 0.0])
    on = bench(walled, **QUICK)
    plane = on.take(EigenplaneGrid())
    assert on.take(Slices())[1].model(plane.y.points[-1].radius) < 1e-3
    assert plane.y.points[-1].radius > 0.01
    assert all(point.rise.value <= RISEN for point in plane.y.points)


@pytest.mark.parametrize("spectrum", [[2.0], [1.0] * 6, [0.0] * 3])
def test_one_eigenvalue_spans_no_plane_and_the_report_says_so(spectrum):
    on = bench(quadratic(spectrum), **QUICK)
    assert isinstance(on.take(EigenplaneGrid()), NoEigenplane)
    assert detail(on, surface, "eigenplane") is None
    assert "the two ends of the spectrum are one eigenvalue" in measured(on, surface).caveats[-1]
    assert on.ledgers["eigenplane"].cost.forwards == 0


def test_an_end_of_the_spectrum_that_few_products_have_not_settled_is_told_and_a_settled_one_is_not():
    spectrum = np.r_[40.0, np.linspace(-0.5, 1.5, 200)]
    few = bench(quadratic(spectrum), **QUICK, budgets={"lanczos_steps": 8, "eigen_tolerance": 1e-300})
    space = few.take(HessianKrylov())
    value, left = float(space.ritz_values[0]), float(space.residuals[0]) + space.reach(0.05).below
    (told,) = measured(few, surface).caveats
    assert value - left <= spectrum.min() < value - UNSETTLED * abs(value)
    assert told.startswith("v_min is the lowest curvature that 8 products found.")
    assert f"leaves {number(left, 2)}" in told
    assert not measured(bench(quadratic(SPECTRUM), **QUICK, budgets=WHOLE), surface).caveats


@pytest.mark.parametrize(("points", "side"), [(0, 0), (1, 3), (4, 5), (9, 9)])
def test_the_plane_of_the_ends_costs_what_is_planned(points, side):
    on = bench(quadratic(SPECTRUM), **QUICK, budgets={"eigenplane_points": points})
    on.take(EigenplaneGrid())
    planned, spent = EigenplaneGrid().cost(on.size).forwards, on.ledgers["eigenplane"].cost.forwards
    assert planned == spent == side**2


def test_slices_have_the_points_of_the_plane_that_lie_on_them():
    on = bench(quadratic(SPECTRUM), **QUICK, budgets={**WHOLE, "eigenplane_points": 7})
    plane = on.take(EigenplaneGrid())
    for name, value, line in (("v_max", 40.0, plane.x), ("v_min", -8.0, plane.y)):
        curve = detail(on, surface, f"slice_{name}").series[0]
        assert {point.radius for point in line.points} <= set(curve.x)
        assert np.array(curve.y) == pytest.approx(0.5 * value * np.array(curve.x) ** 2, abs=1e-9)


def test_rings_are_the_sweeps_radii_and_the_tolerance_only_where_it_was_measured_anyway():
    alone = bench(quadratic(SPECTRUM), **QUICK)
    rings = detail(alone, surface, "plane").rings
    assert [ring.radius for ring in rings] == list(alone.budgets.flatness_sigmas)
    assert "random_perturbation" not in alone.ledgers
    both = bench(quadratic(SPECTRUM), **QUICK)
    tolerated = measured(both, flatness).estimates["tolerance"].value
    (named,) = [ring for ring in detail(both, surface, "plane").rings if ring.label]
    assert named.radius == tolerated


def test_a_sweep_that_buys_more_draws_is_the_one_whose_tolerance_is_drawn():
    on = bench(classifier((8,) * 6), preset="quick", budgets={"flatness_draws": 3})
    on.take(RandomPerturbation())
    before = on.take(KnownSweep()).sample
    on.budgets = on.grown(RandomPerturbation.GROWTH, 12)
    on.retake(RandomPerturbation())
    assert before.draws < on.take(KnownSweep()).sample.draws == on.take(RandomPerturbation()).draws


def test_bands_are_the_paired_interval_over_batches_and_never_narrower_than_rounding():
    on = bench(classifier((8,) * 6), preset="quick")
    walk = next(walk for walk in on.take(Slices()) if walk.direction == "random")
    curve = detail(on, surface, "slice_random").series[0]
    far = max(range(len(curve.x)), key=lambda index: abs(curve.x[index]))
    point = next(point for point in walk.points if point.radius == curve.x[far])
    assert curve.high[far] - curve.y[far] == pytest.approx(point.rise.half_width(0.95))
    centre = curve.x.index(0.0)
    assert curve.high[centre] > 0 > curve.low[centre]


def test_one_batch_says_nothing_of_others_so_its_slices_have_no_band():
    on = bench(classifier((24,)), preset="quick")
    for line in (detail(on, surface, "slice_v_max"), detail(on, negative_curvature, "walk")):
        assert set(line.series[0].low) == {None}
        assert "There is no band" in line.reading


def test_the_quadratic_model_is_drawn_finely_and_holds_every_measured_radius():
    line = detail(bench(quadratic(SPECTRUM), **QUICK), surface, "slice_v_max")
    curve, model = line.series
    assert set(curve.x) < set(model.x)
    assert max(np.diff(model.x)) < (curve.x[-1] - curve.x[0]) / 50


def test_a_step_up_the_gradient_of_a_quadratic_rises_by_its_slope_and_half_its_curvature_in_both_balls():
    matrix = symmetric(SPECTRUM)
    on = bench(landscape(lambda t: 400 + 0.5 * t @ matrix @ t, torch.linspace(-1.0, 2.0, 20).tolist()), **QUICK)
    found, start = on.take(BallAscent()), on.subject.theta
    slope = matrix @ start
    for ball, stretch in ((found.raw, torch.ones(20)), (found.adaptive, start.abs() + ADAPTIVE_FLOOR)):
        step = stretch * stretch * slope / (stretch * slope).norm()
        for share, point in zip(SHARES, ball.steps, strict=True):
            far = share * ball.radius * step
            assert point.rise.value == pytest.approx(float(slope @ far + 0.5 * far @ matrix @ far), rel=1e-9)
    raw, adaptive, *_ = detail(on, flatness, "one_step").series
    assert raw.y == pytest.approx((0.0, *(point.rise.value for point in found.raw.steps)))
    assert adaptive.y == pytest.approx((0.0, *(point.rise.value for point in found.adaptive.steps)))


def test_without_a_gradient_there_is_no_step_up_it_and_the_highest_found_is_drawn_alone():
    line = detail(bench(landscape(lambda t: 1 + 0 * t.sum(), [1.0, 2.0]), **QUICK), flatness, "one_step")
    assert [series.name for series in line.series] == ["raw, highest found", "adaptive, highest found"]
    assert "the gradient is zero" in line.finding
