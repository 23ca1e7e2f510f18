"""Figures: readable on any axis, harmless whatever they are labelled with, and gone without a trace."""

from __future__ import annotations

import contextlib
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from pydantic import ValidationError

from landscape_audit.detail import Axis, Bar, Bars, Line, Mark, Panel, Panels, Series, Surface
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


# ---------------------------------------------------------------------------------------------------- groups and ratios


def some_ratios(*bars: Bar, scale: str = "log") -> Bars:
    axis = Axis(label="Ratio", unit="ratio", scale=scale)
    return Bars(name="ratios", title="Ratios", finding="", axis=axis, bars=bars, reference=1.0)


def some_panels(*values: tuple[float | None, ...]) -> Panels:
    panel = Panel(axis=Axis(label="Loss", unit="loss"), values=values, mark=Mark(label="checkpoint", y=1.5))
    groups = ("base", "SAM", HOSTILE)[: len(values)]
    return Panels(name="twins", title="Twins", finding="", groups=groups, repeat="seed", panels=(panel, panel))


def test_a_group_has_one_colour_and_one_point_in_every_figure():
    picture, _ = drawn(some_panels((1.0, 2.0), (1.5, 1.0)))
    ratios, _ = drawn(some_ratios(Bar(label="λ_max", value=0.5, low=0.4, high=0.6, group="SAM")))
    for group in (b"#e69f00",):
        assert group in picture.lower()
        assert group in ratios.lower()
    assert b"#0072b2" not in ratios.lower()


def test_an_interval_without_an_end_does_not_crush_the_others_and_is_told_in_words():
    wide = Bar(label="rise", value=1.1, low=None, high=None, group="ASAM")
    told = (Bar(label="λ_max", value=0.5, low=0.4, high=1e250, group="SAM"), Bar(label="lost", value=None), wide)
    picture, words = drawn(some_ratios(*told))
    labels = words_of(picture)
    assert "not finite" in labels
    assert not any("e" in label and label[0].isdigit() for label in labels)
    assert words == "Ratios. λ_max 0.5 (0.4 to 1e250), lost not finite, rise 1.1. Against 1."
    assert drawn(some_ratios(Bar(label="a", value=-1.0, low=None, high=0.0)))[0]
    assert drawn(some_ratios(Bar(label="a", value=None)))[0]


def test_panels_say_the_means_and_count_what_is_not_finite():
    picture, words = drawn(some_panels((1.0, 2.0), (None, 3.0), (None, None)))
    assert "Means of 2 by seed. Loss: base 1.5, SAM not finite, <script>" in words
    assert "not finite, checkpoint 1.5" in words
    labels = words_of(picture)
    assert labels.count("1 not") == labels.count("2 not") == 2
    assert any("dotted the checkpoint" in label for label in labels)
    assert drawn(some_panels((1e150, -1e150)))[0]


def test_panels_have_a_row_for_every_group_and_as_many_repeats_in_each():
    with pytest.raises(ValidationError, match="a row for each group"):
        some_panels((1.0, 2.0), (1.0,))
