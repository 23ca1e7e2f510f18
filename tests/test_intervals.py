"""A number and its interval in words."""

from __future__ import annotations

import pytest

from landscape_audit.estimate import Estimate, spread
from landscape_audit.intervals import with_interval


@pytest.mark.parametrize(
    ("value", "half", "said"),
    [
        (31.2417, 1.6, "31.24 (29.64 to 32.84)"),
        (0.5, 2e-6, "0.5 (0.499998 to 0.500002)"),
        (1.0, 1e-12, "1"),
        (2.5, 0.0, "2.5"),
    ],
)
def test_the_ends_of_an_interval_differ_in_words_as_they_do_in_numbers(value: float, half: float, said: str):
    assert with_interval(Estimate.within(value, (spread("rounding", value, half),))) == said


def test_a_side_that_is_open_is_said_to_be():
    assert with_interval(Estimate(value=0.381, low=0.381, high=None)) == "0.381 (at least 0.381)"
    assert with_interval(Estimate(value=0.381, low=None, high=None)) == "0.381 (no interval is known)"
