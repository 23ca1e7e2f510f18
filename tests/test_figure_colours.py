"""Colours of figures: one a meaning, told apart by every eye, on paper and in the dark, and by more than colour."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from landscape_audit.figures import looks
from landscape_audit.figures.dark import DARK, DARK_PAPER
from landscape_audit.figures.looks import LOOKS, SERIES
from landscape_audit.figures.surface import EMPTY

TOGETHER = (
    ("measured", "predicted", "reference", "checkpoint"),
    ("measured", "resolved", "reference"),
    ("A", "B", "reference", "checkpoint"),
    ("base", "SAM", "ASAM", "reference", "checkpoint"),
    ("worse", "better", "changed", "not settled"),
)
"""Meanings that may stand in one figure."""

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB.
VISIONS = {
    "as most see": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
APART = 12.0
"""CIELAB: five times what one just sees of two patches side by side (2.3, Mahy et al. 1994), as lines are thin."""


def linear(colour: str):
    share = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def as_in_the_dark(colour: str) -> str:
    return DARK[colour.lower()]


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("page", [str.lower, as_in_the_dark], ids=["light", "dark"])
def test_two_meanings_in_one_figure_have_colours_that_every_eye_tells_apart(page, vision: str):
    seen = {name: lab(np.array(VISIONS[vision]) @ linear(page(look.colour))) for name, look in LOOKS.items()}
    for group in TOGETHER:
        for one, other in itertools.combinations(group, 2):
            assert np.linalg.norm(seen[one] - seen[other]) >= APART, (one, other)


def test_without_any_colour_dash_and_marker_still_tell_meanings_and_curves_apart():
    for group in (*(map(LOOKS.get, names) for names in TOGETHER), SERIES):
        shapes = [(look.dash, look.marker, look.hollow) for look in group]
        assert len(set(shapes)) == len(shapes)


def test_every_colour_has_one_that_reads_in_the_dark():
    named = {look.colour for look in (*LOOKS.values(), *SERIES)} | {
        looks.INK,
        looks.PAPER,
        looks.FAINT,
        looks.GRID,
        EMPTY,
    }
    assert {colour.lower() for colour in named} == set(DARK)
    assert all(contrast(as_in_the_dark(look.colour), DARK_PAPER) >= 4.5 for look in (*LOOKS.values(), *SERIES))
    assert contrast(as_in_the_dark(looks.INK), DARK_PAPER) >= 7


def test_what_judges_a_checkpoint_stands_out_from_its_paper():
    for name in ("measured", "predicted", "resolved", "reference", "checkpoint", "A"):
        assert contrast(LOOKS[name].colour, looks.PAPER) >= 3, name  # WCAG 2.2, 1.4.11
