"""Figures: readable on any axis, harmless whatever they are labelled with, and gone without a trace."""

from __future__ import annotations

import contextlib
import itertools
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from landscape_audit.detail import Axis, Line, Ring, Series, Surface
from landscape_audit.figures import drawn
from landscape_audit.figures.svg import decades, new_canvas

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script> & 'DejaVu Sans' style=\"a: b\""


def a_curve(x: Axis, y: Axis, values: tuple[float | None, ...], name: str = "rise") -> Line:
    places = tuple(10.0 ** (index - 2) for index in range(len(values)))
    return Line(name="curve", title="Curve", finding="", x=x, y=y, series=(Series(name=name, x=places, y=values),))


def words_of(picture: bytes) -> list[str]:
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314 - drawn here


def test_hostile_names_are_letters_in_a_figure_and_nothing_else():
    axis = Axis(label=HOSTILE[:60], unit="loss")
    words = words_of(drawn(a_curve(axis, axis, (1.0, 2.0), name=HOSTILE))[0])
    assert any(word.startswith("<script>alert(1)</script> & 'DejaVu Sans'") for word in words)


@pytest.mark.parametrize("span", [(0.9, 1.1), (0.03, 0.05), (1.0, 40.0), (1e-6, 1e6)])
def test_a_logarithmic_axis_has_at_least_two_numbers_however_little_it_spans(span: tuple[float, float]):
    log = Axis(label="Loss", unit="loss", scale="log")
    flat = Axis(label="Distance", unit="share", scale="log")
    picture = ET.fromstring(drawn(a_curve(flat, log, span))[0])  # noqa: S314 - drawn here
    axis = next(group for group in picture.iter(f"{SVG}g") if group.get("id") == "matplotlib.axis_2")
    labels = [text.text for text in axis.iter(f"{SVG}text") if text.text]
    assert len(labels) >= 3  # two numbers and the name of the axis


@pytest.mark.parametrize(
    ("linthresh", "low", "high"), [(4e-4, -2e3, 2e2), (1e-9, 0.0, 1e6), (1.0, -0.5, 0.5), (3e-4, -9e-4, 9e-4)]
)
def test_ticks_of_a_symmetric_axis_hold_zero_are_few_and_lie_on_it(linthresh: float, low: float, high: float):
    ticks = decades(linthresh, low, high)
    assert 0.0 in ticks
    assert 3 <= len(ticks) <= 10
    assert low <= ticks[0] < ticks[-1] <= high
    assert ticks == sorted(set(ticks))


def test_a_curve_without_a_finite_point_is_drawn_empty():
    axis = Axis(label="Loss", unit="loss", scale="symlog")
    assert words_of(drawn(a_curve(axis, axis, (None, None)))[0])


def test_a_drawing_that_fails_leaves_the_settings_of_matplotlib_as_they_were():
    before = dict(mpl.rcParams)
    with contextlib.suppress(ZeroDivisionError), new_canvas():
        assert dict(mpl.rcParams) != before
        _ = 1 / 0
    assert dict(mpl.rcParams) == before


def a_plane(span: float, rise: float) -> Surface:
    side = Axis(label="Second direction", unit="share of the filters' norms")
    xs = tuple(span * step / 5 for step in range(-5, 6))
    z = tuple(tuple(4.1743 + rise * (x * x + y * y) for x in xs) for y in xs)
    loss = Axis(label="Loss", unit="loss", scale="log")
    return Surface(name="plane", title="t", finding="f", expected="e", x=side, y=side, z_axis=loss, xs=xs, ys=xs, z=z)


@pytest.mark.parametrize(("span", "rise"), [(1.0, 1e-3), (0.05, 1e-3), (0.1, 1e4)])
def test_the_label_beside_a_plane_lies_on_the_page_whatever_its_ticks(span: float, rise: float):
    rotated = re.findall(rb"rotate\(-90 ([-\d.]+) ", drawn(a_plane(span, rise))[0])
    assert len(rotated) == 2
    assert all(9 <= float(baseline) <= 360 for baseline in rotated)  # letters of 9 points stand on it


def test_the_colours_of_a_plane_that_hardly_rises_have_different_numbers():
    shown = [word for word in words_of(drawn(a_plane(1.0, 1e-3))[0]) if word.startswith("4.")]
    assert len(set(shown)) == len(shown) > 2


def test_rings_are_named_where_they_fit_and_left_out_under_the_mark_and_beyond_the_plane():
    rings = (
        *(Ring(radius=radius) for radius in (0.01, 0.2, 0.4, 3.0)),
        Ring(radius=0.3, label=HOSTILE),
    )
    picture, alt = drawn(a_plane(1.0, 1e-3).model_copy(update={"rings": rings}))
    words = words_of(picture)
    assert {"0.2", "0.4"} <= set(words)
    assert not {"0.01", "3"} & set(words)
    assert any(word.startswith("<script>") for word in words)
    assert "0.01, 0.2, 0.4, 3" in alt


def test_the_long_numbers_of_a_narrow_window_do_not_touch():
    plane = a_plane(1.0, 1e-3)
    narrow = plane.model_copy(update={"xs": tuple(0.02 * x for x in plane.xs), "aspect": "free"})
    picture = ET.fromstring(drawn(narrow)[0])  # noqa: S314 - drawn here
    axis = next(group for group in picture.iter(f"{SVG}g") if group.get("id") == "matplotlib.axis_1")
    places = [float(text.get("x", "")) for text in axis.iter(f"{SVG}text") if text.text][:-1]  # the last is the name
    assert len(places) >= 3
    assert all(b - a > 30 for a, b in itertools.pairwise(places))  # "−0.015" is 28 wide
