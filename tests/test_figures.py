"""Figures: readable on any axis, harmless whatever they are labelled with, and gone without a trace."""

from __future__ import annotations

import contextlib
import itertools
import re
import warnings
from typing import get_args
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from odd_figures import FOREIGN, LOSS, ODD
from pydantic import ValidationError

from landscape_audit.detail import Axis, Bar, Bars, Line, Mark, Panel, Panels, Ring, Series, Surface
from landscape_audit.estimate import Estimate
from landscape_audit.figures import drawn, forest
from landscape_audit.figures.forest import Row, Standing
from landscape_audit.figures.lettering import SIZE, breadth
from landscape_audit.figures.scales import decades
from landscape_audit.figures.svg import HEIGHT, WIDTH, new_canvas
from landscape_audit.resources import template_dir

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
    rotated = re.findall(rb"translate\(([-\d.]+) [-\d.]+\) rotate\(-90\)", drawn(a_plane(span, rise))[0])
    assert len(rotated) == 1
    assert SIZE <= float(rotated[0]) <= 72 * WIDTH


def test_the_colours_of_a_plane_that_hardly_rises_have_different_numbers():
    shown = [word for word in words_of(drawn(a_plane(1.0, 1e-3))[0]) if word.startswith("4.")]
    assert len(set(shown)) == len(shown) > 2


def boxes_of(picture: bytes) -> list[tuple[str, float, float, float, float]]:
    """Every level word of a figure: itself, its left and right ends, its top and its foot."""
    boxes = []
    for text in ET.fromstring(picture).iter(f"{SVG}text"):  # noqa: S314 - drawn here
        if "rotate(-90" in text.get("transform", "") or not text.text:
            continue
        moved = re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", text.get("transform", ""))  # one of several lines
        x, y = map(float, moved.groups() if moved else (text.get("x", "nan"), text.get("y", "nan")))
        anchor = re.search(r"text-anchor: (\w+)", text.get("style", ""))
        wide = breadth(text.text)
        left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor[1] if anchor else "start"]
        boxes.append((text.text, left, left + wide, y - 0.76 * SIZE, y + 0.1 * SIZE))
    return boxes


def test_panels_of_numbers_as_large_as_there_are_are_drawn_without_a_warning():
    large = Panel(axis=LOSS, values=((1.7e308, -1.7e308), (1.7e308, 1.7e308)), mark=Mark(label="limit", y=1.7e308))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = Panels(name="p", title="P", finding="", groups=("a", "b"), repeat="seed", panels=(large,))
        assert not re.search(rb'(?:[ "]|\b)(nan|inf)\b', drawn(both)[0])


def hold_words_apart(picture: bytes) -> None:
    wide, tall = map(float, re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture).groups())
    boxes = boxes_of(picture)
    for word, left, right, top, foot in boxes:
        assert left >= 0, word
        assert right <= wide, word
        assert top >= 0, word
        assert foot <= tall, word
    for (one, a0, a1, a2, a3), (other, b0, b1, b2, b3) in itertools.combinations(boxes, 2):
        assert a1 <= b0 or b1 <= a0 or a3 <= b2 or b3 <= a2, (one, other)


@pytest.mark.parametrize("name", ODD)
def test_whatever_is_drawn_no_word_leaves_the_figure_or_lies_on_another(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture, alt = drawn(ODD[name])
    assert not re.search(rb'(?:[ "]|\b)(nan|inf)\b', picture)
    assert len(alt) > 15
    hold_words_apart(picture)


def test_ratios_have_their_names_on_the_left_and_their_numbers_on_the_right_and_all_of_them_are_readable():
    known = Estimate(value=1.4, low=1.2, high=1.6)
    rows = [Row("the largest eigenvalue " * 3, known, standing) for standing in get_args(Standing)]
    picture = forest.draw([*rows, Row(FOREIGN[2], Estimate(value=1e-9, low=None, high=1e9), "not settled")])
    hold_words_apart(picture)
    assert words_of(picture).count("1.4 (1.2 to 1.6)") == len(rows)
    assert {*get_args(Standing), "B / A", "0.01", "1", "100"} <= set(words_of(picture))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("points all None", "no point has a finite value"),
        ("some points None", "2 of 5 points without a finite value"),
        ("beyond 1e300", "values beyond 1e300 are drawn there"),
        ("bars all None", "no finite value"),
        ("three thousand layers", "the first 24 of 3,000"),
        ("a plane without a value", "no cell has a finite value"),
        ("a plane that is flat", "every cell is 4.17"),
        ("a plane with holes", "no finite value"),
        ("a plane up to 1e308", "from 1e−300 to 1.7e308: too far for colours"),
        ("intervals over each other", "left out: density below a millionth of its peak"),
        ("intervals over each other", "4 resolved eigenvalues, with intervals"),
        ("an eigenvalue without an interval", "1 resolved eigenvalue"),
        ("five hundred eigenvalues", "500 resolved eigenvalues, the top 24 with intervals"),
    ],
)
def test_a_figure_says_what_it_does_not_show(name: str, said: str):
    assert said in words_of(drawn(ODD[name])[0])


def test_figures_that_may_stand_side_by_side_have_one_size():
    panels = ("flat", "a plane with holes", "intervals over each other", "points all None")
    sizes = {re.search(rb'viewBox="([^"]+)"', drawn(ODD[name])[0])[1] for name in panels}
    assert sizes == {f"0 0 {72 * WIDTH:g} {72 * HEIGHT:g}".encode()}


def printed(rule: str) -> float:
    """Points that a figure's canvas is wide on A4, by a width that print.css gives."""
    sheet = (template_dir() / "print.css").read_text()
    margin = float(re.search(r"size: A4; margin: \d+mm (\d+)mm", sheet)[1])
    padding = float(re.search(r"figure img \{ padding: ([\d.]+)mm", sheet)[1])
    share = float(re.search(re.escape(rule) + r" \{[^}]*?width: ([\d.]+)%", sheet)[1]) / 100
    return ((210 - 2 * margin) * share - 2 * padding) / 25.4 * 72 - 1.5  # and a line of a pixel on both sides


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (".panels figure, .figures figure", 6.5),
        (".figures figure:last-child:nth-child(odd) > *", 6.5),
        (".single img", 7.0),
    ],
)
def test_the_smallest_letter_of_a_figure_can_be_read_on_paper(rule: str, least: float):
    for name in ("flat", "a plane with holes", "intervals over each other", "three thousand layers"):
        picture = drawn(ODD[name])[0]
        smallest = min(float(size) for size in re.findall(rb"font-size: ([\d.]+)px", picture))
        assert smallest * printed(rule) / (72 * WIDTH) >= least


def test_intervals_that_lie_over_each_other_hang_at_heights_of_their_own():
    picture = drawn(ODD["intervals over each other"])[0].decode()
    bars = re.findall(r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) \2 \n"', picture)
    lying = [(float(a), float(b), y) for a, y, b in bars if abs(float(a) - float(b)) > 3]
    spans = [(a, b, y) for a, b, y in lying if b - a < 150]
    assert len({y for _, _, y in spans}) == len(spans) >= 4


def test_a_name_too_long_for_a_figure_keeps_both_its_ends():
    words = words_of(drawn(ODD["three thousand layers"])[0])
    names = [word for word in words if "…" in word]
    assert len(names) == 24
    assert all(word.startswith("model.") and word.endswith(f".{row}") for row, word in enumerate(names))


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


# ---------------------------------------------------------------------------------------------------- groups and ratios


def some_ratios(*bars: Bar, scale: str = "log") -> Bars:
    axis = Axis(label="Ratio", unit="ratio", scale=scale)
    return Bars(name="ratios", title="Ratios", finding="", axis=axis, bars=bars, reference=1.0)


def some_panels(*values: tuple[float | None, ...]) -> Panels:
    panel = Panel(axis=Axis(label="Loss", unit="loss"), values=values, mark=Mark(label="checkpoint", y=1.5))
    groups = ("base", "SAM", HOSTILE)[: len(values)]
    return Panels(name="twins", title="Twins", finding="", groups=groups, repeat="seed", panels=(panel, panel))


def drawing_of(picture: bytes) -> bytes:
    """A figure without the style that names every colour."""
    return re.sub(rb"<style.*?</style>", b"", picture, flags=re.DOTALL).lower()


def test_a_group_has_one_colour_and_one_point_in_every_figure():
    picture, _ = drawn(some_panels((1.0, 2.0), (1.5, 1.0)))
    ratios, _ = drawn(some_ratios(Bar(label="λ_max", value=0.5, low=0.4, high=0.6, group="SAM")))
    for group in (b"#e69f00",):
        assert group in drawing_of(picture)
        assert group in drawing_of(ratios)
    assert b"#0072b2" not in drawing_of(ratios)


def test_an_interval_without_an_end_does_not_crush_the_others_and_is_told_in_words():
    wide = Bar(label="rise", value=1.1, low=None, high=None, group="ASAM")
    told = (Bar(label="λ_max", value=0.5, low=0.4, high=1e250, group="SAM"), Bar(label="lost", value=None), wide)
    picture, words = drawn(some_ratios(*told))
    labels = words_of(picture)
    assert any("no finite value" in label for label in labels)
    assert not any("e" in label and label[0].isdigit() for label in labels)
    assert words.endswith("3 bars. λ_max: 0.5 (0.4 to 1e250), lost: not finite, rise: 1.1. Against 1.")
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
