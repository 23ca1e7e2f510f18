"""Colours, dashes and markers: one meaning, one look, in every figure."""

from __future__ import annotations

from typing import NamedTuple

INK = "#1f2937"
PAPER = "#ffffff"
FAINT = "#d1d5db"
GRID = "#eef0f3"
REFERENCE = "#6b7280"


class Look(NamedTuple):
    """How one meaning is drawn: colour, dash and marker, so that the last two do where the first does not."""

    colour: str
    dash: str
    marker: str


# One meaning, one look, in every figure. The hues are Okabe & Ito's, which are told apart with any colour vision.
LOOKS = {
    "measured": Look("#0072B2", "-", "o"),  # of the checkpoint that the report is about
    "predicted": Look("#D55E00", "--", ""),  # by a model of the loss, not measured
    "resolved": Look("#009E73", "-", "D"),  # an eigenvalue with an interval of its own
    "reference": Look(REFERENCE, ":", ""),  # limits, thresholds, zero
    "checkpoint": Look(INK, "", "o"),  # filled with paper
    "A": Look("#0072B2", "-", "o"),  # before; filled
    "B": Look("#CC79A7", "--", "s"),  # after; hollow. Neither has a colour of better or worse
    "base": Look("#0072B2", "-", "o"),
    "SAM": Look("#E69F00", "-.", "s"),
    "ASAM": Look("#CC79A7", "--", "D"),
}
COMPARED = (LOOKS["A"].colour, LOOKS["B"].colour)
TWINS = {name: LOOKS[name] for name in ("base", "SAM", "ASAM")}

SERIES = (
    LOOKS["measured"],
    Look("#E69F00", "-", "^"),
    Look("#56B4E9", "-.", "D"),
    Look("#CC79A7", "-", "s"),
    Look("#0072B2", ":", "v"),
    Look("#E69F00", "-.", "P"),
    Look("#56B4E9", ":", "X"),
    Look("#CC79A7", ":", "h"),
)
"""Curves of one figure that are all measured, in order; the first is the one that the figure is about."""


def told_apart(group: str, groups: list[str]) -> tuple[str, str]:
    """The colour of a group and the shape of its points: its own wherever it has one, else by its place."""
    look = TWINS.get(group, SERIES[groups.index(group) % len(SERIES)])
    return look.colour, look.marker
