"""Negative curvature that one random start cannot see, and what is claimed of what no start has seen."""

from __future__ import annotations

import math

import pytest
import torch
from landscapes import landscape, quadratic
from subjects import bench, measured

from landscape_audit.checks.stationarity import stationarity
from landscape_audit.curvature import vectors
from landscape_audit.curvature.lanczos import lanczos
from landscape_audit.probes import starts
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.starts import STARTS, FurtherStarts, Starts, shares

SIZE = 60
SPECTRUM = torch.cat([torch.tensor([-0.4]), torch.linspace(0.02, 3.0, SIZE - 1)])
SHORT = {"lanczos_steps": 8, "top_k": 1, "eigen_tolerance": 1e-12}


def valley():
    """0.01 − 0.2 θ₀² + … with a quartic that bounds it: leaving along the first axis is worth 0.04."""

    def function(t):
        return 0.01 + 0.5 * (SPECTRUM.to(t) * t * t).sum() + 0.25 * t[0] ** 4

    return landscape(function, [0.0] * SIZE)


def blind(monkeypatch):
    """The first start is drawn orthogonal to the one direction that curves down; those after it are not."""
    first, drawn = HessianKrylov.take, vectors.unit_gaussian

    def without(size, generator, like):
        start = drawn(size, generator, like)
        start[0] = 0.0
        return start / start.norm()

    def take(self, on):
        with monkeypatch.context() as patch:
            patch.setattr(vectors, "unit_gaussian", without)
            return first(self, on)

    monkeypatch.setattr(HessianKrylov, "take", take)


@pytest.mark.parametrize("seed", range(5))
def test_a_second_start_finds_the_direction_that_the_first_was_drawn_orthogonal_to(monkeypatch, seed):
    blind(monkeypatch)
    on = bench(valley(), dtype="float64", seed=seed, budgets=SHORT)
    assert on.take(HessianKrylov()).ritz_values[0] > 0  # one start sees a bowl
    found = on.take(FurtherStarts())
    assert len(found.steps) == 2
    assert found.lower is not None
    assert found.lower.quotients.value < -0.1
    assert found.lower.escape.worth > 1e-4
    assert measured(on, stationarity).labels["class"].value == "saddle"
    assert on.ledgers["further_starts"].cost.hvps <= SHORT["lanczos_steps"] + 2


def test_nothing_is_spent_where_the_first_run_settles_the_floor():
    on = bench(quadratic(torch.linspace(0.5, 3.0, 12).tolist()), dtype="float64")
    found = on.take(FurtherStarts())
    assert found.steps == (12,)
    assert on.ledgers["further_starts"].cost.hvps == 0


def test_nothing_is_spent_where_negative_curvature_is_seen_already():
    on = bench(valley(), dtype="float64", budgets={**SHORT, "lanczos_steps": 30})
    assert on.take(HessianKrylov()).ritz_values[0] < 0
    assert on.take(FurtherStarts()).lower is None
    assert on.ledgers["further_starts"].cost.hvps == 0


def test_a_run_that_stopped_early_goes_on_before_another_start_is_drawn():
    audited = quadratic([0.5, *torch.linspace(1.0, 300.0, 59).tolist()])
    on = bench(audited, dtype="float64", budgets={"lanczos_steps": 59, "top_k": 1, "eigen_tolerance": 0.5})
    first, found = on.take(HessianKrylov()), on.take(FurtherStarts())
    assert first.steps < 60
    assert len(found.steps) == 1
    assert found.run.steps > first.steps
    assert measured(on, stationarity).labels["class"].value == "minimum"


def starts_of(spectrum, steps, generator, level):
    size, floors = len(spectrum), []
    for _ in steps:
        start = vectors.unit_gaussian(size, generator, spectrum)
        run = lanczos(lambda v: spectrum * v, start, steps[0], generator)
        floors.append(tuple(run.floor(share) for share in shares(level)))
    return Starts(run, tuple(floors), steps)


@pytest.mark.parametrize("count", range(1, STARTS + 1))
def test_the_floor_of_several_starts_is_above_the_smallest_eigenvalue_no_more_often_than_it_says(count):
    # The highest floor of three, instead of the lowest, would miss in a third of the draws.
    spectrum = torch.cat([torch.tensor([-1.0]), torch.linspace(0.0, 1.0, 299)]).double()
    generator, misses, level, draws = torch.Generator().manual_seed(0), 0, 0.9, 200
    finite = 0
    for _ in range(draws):
        floor = starts_of(spectrum, (3,) * count, generator, level).floor
        misses += floor > -1.0
        finite += math.isfinite(floor)
    assert finite == draws
    assert misses <= (1 - level) * draws + 3 * math.sqrt(draws * level * (1 - level))


def test_more_starts_never_lower_the_floor_and_raise_it_where_they_agree():
    row = (-3.0, -2.0, -1.5)
    assert Starts(None, (row,), (1,)).floor == -3.0
    assert Starts(None, (row, row), (1, 1)).floor == -2.0
    assert Starts(None, (row, row, row), (1, 1, 1)).floor == -1.5
    assert Starts(None, (row, (-9.0, -9.0, -9.0)), (1, 1)).floor == -3.0


def test_k_shares_multiply_to_an_equal_part_of_the_chance_that_is_left():
    assert [share**k for k, share in enumerate(shares(0.95), 1)] == pytest.approx([0.05 / STARTS] * STARTS)


def test_a_run_has_none_below_its_floor_and_cannot_say_so_above_it():
    spectrum = torch.linspace(-1.0, 1.0, 200).double()
    generator = torch.Generator().manual_seed(0)
    run = lanczos(lambda v: spectrum * v, vectors.unit_gaussian(200, generator, spectrum), 12, generator)
    floor = run.floor(0.01)
    assert floor < -1.0
    assert run.has_none_below(floor - 0.01, 0.01)
    assert not run.has_none_below(floor + 0.01, 0.01)
    assert not run.has_none_below(0.0, 0.01)


def test_a_second_basis_is_held_only_where_there_is_room_and_what_was_left_out_is_told(monkeypatch):
    blind(monkeypatch)
    monkeypatch.setattr(starts, "_rows", lambda _: 1)
    on = bench(valley(), dtype="float64", budgets=SHORT)
    assert len(on.take(FurtherStarts()).steps) == 1
    assert any("room for a further start of 1 steps" in note for note in on.adjustments)
    assert measured(on, stationarity).labels["class"].value == "undecided"
