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
    hollow: bool = False

    @property
    def filling(self) -> str:
        """The colour of a marker's inside."""
        return PAPER if self.hollow else self.colour


# One meaning, one look, in every figure. The hues are Okabe & Ito's, which are told apart with any colour vision.
LOOKS = {
    "measured": Look("#0072B2", "-", "o"),  # of the checkpoint that the report is about
    "predicted": Look("#D55E00", "--", ""),  # by a model of the loss, not measured
    "resolved": Look("#009E73", "-", "D"),  # an eigenvalue with an interval of its own
    "reference": Look(REFERENCE, ":", ""),  # limits, thresholds, zero
    "checkpoint": Look(INK, "", "o", hollow=True),
    "A": Look("#0072B2", "-", "o"),  # before
    "B": Look("#CC79A7", "--", "s", hollow=True),  # after. Neither has a colour of better or worse
    "base": Look("#0072B2", "-", "o"),
    "SAM": Look("#E69F00", "-.", "s"),
    "ASAM": Look("#CC79A7", "--", "D"),
    "worse": Look("#a63c00", "", "s"),  # of a change, in the colours that the page has for it, or nearly
    "better": Look("#00664b", "", "o"),
    "changed": Look("#0f5fae", "", "D"),
    "not settled": Look(REFERENCE, "", "o", hollow=True),
    "the same": Look(REFERENCE, "", "x"),
}
COMPARED = {side: LOOKS[side] for side in "AB"}
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


def told_apart(group: str, groups: list[str]) -> Look:
    """The look of a group: its own wherever it has one, else by its place."""
    return TWINS.get(group, SERIES[groups.index(group) % len(SERIES)])
