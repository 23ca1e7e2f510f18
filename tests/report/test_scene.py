"""The surface that turns shows what the figure beside it shows."""

from __future__ import annotations

import math

import pytest
from hostile_audit import DETAILS

from landscape_audit.detail import Axis, Mark
from landscape_audit.figures.surface import BANDS, colours, shades_of
from landscape_audit.report.scene import MOST_CELLS, scene_of

PLANE = DETAILS[1]
LOG = Axis(label="Loss", unit="loss", scale="log")


def scene(**changes):
    return scene_of(PLANE.model_copy(update=changes), "words")


def test_heights_run_from_the_lowest_to_the_highest_value_and_holes_stay_holes():
    assert scene().heights == ((1.0, 0.3333, None), (0.3333, 0.0, 0.3333), (1.0, 0.3333, 1.0))


def test_heights_are_logarithmic_where_the_colours_are_and_it_is_said():
    seen = scene(z_axis=LOG)
    assert seen.heights[1] == (0.5, 0.0, 0.5)  # 1 is half way from 0.5 to 2
    assert seen.notes[0] == "Heights are on a logarithmic scale, as the colours are."
    assert "logarithmic" not in " ".join(scene().notes)


def test_one_scale_holds_for_both_sides_of_the_plane():
    seen = scene(xs=(-2.0, 0.0, 2.0), ys=(0.0, 0.5, 1.0))
    assert seen.xs == (-1.0, 0.0, 1.0)
    assert seen.ys == (-0.25, 0.0, 0.25)


def test_sides_with_a_scale_each_fill_the_box():
    seen = scene(xs=(-2.0, 0.0, 2.0), ys=(-0.01, 0.0, 0.01), aspect="free")
    assert seen.xs == seen.ys == (-1.0, 0.0, 1.0)
    assert (seen.x.high, seen.y.high) == ("2", "0.01")


def test_a_mark_lies_on_its_cell_and_one_between_cells_or_on_a_hole_is_left_out():
    marks = (Mark(label="here", x=0.0, y=0.0), Mark(label="between", x=0.3, y=0.0), Mark(label="hole", x=1.0, y=-1.0))
    (point,) = scene(marks=marks).points
    assert (point.label, point.x, point.y, point.height) == ("here", 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"z": ((1.0,) * 3,) * 3},
        {"z": ((None,) * 3,) * 3},
        {"z": ((-1e308, 1e308, 0.0),) * 3},
        {"xs": (0.0,), "z": ((1.0,), (2.0,), (3.0,))},
        {"xs": (), "ys": (), "z": ()},
        {"xs": tuple(map(float, range(MOST_CELLS))), "z": (tuple(map(float, range(MOST_CELLS))),) * 3},
    ],
    ids=["flat", "only holes", "beyond numbers", "a line", "nothing", "too fine"],
)
def test_where_there_is_nothing_to_turn_there_is_no_scene(changes):
    assert scene(**changes) is None


@pytest.mark.parametrize("axis", [PLANE.z_axis, LOG])
def test_a_height_falls_into_the_band_that_the_figure_fills(axis):
    shades = shades_of(PLANE.model_copy(update={"z_axis": axis}))
    for band, (low, high) in enumerate(zip(shades.levels, shades.levels[1:], strict=False)):
        middle = math.sqrt(low * high) if shades.log else (low + high) / 2
        assert math.floor(shades.share(middle) * BANDS) == band
    assert len(set(colours())) == BANDS
