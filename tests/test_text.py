from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape_audit.errors import AuditError
from landscape_audit.text import number, printable


@given(st.text())
def test_foreign_text_stays_on_one_line_and_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= 200
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\nb"),
        ("\u202e", "\\u202e"),
        ("\u2028", "\\u2028"),
        ("θ, σ and λ", "θ, σ and λ"),
    ],
)
def test_what_would_act_on_a_terminal_is_shown_and_letters_are_left(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_error_has_the_lines_it_was_given_and_no_others() -> None:
    error = AuditError("m: no\ntensor", details=("'a\nb'", "c"), remedy="Do\nthis.")
    assert str(error) == "m: no\\ntensor\n  'a\\nb'\n  c\n  Do\\nthis."


@pytest.mark.parametrize(
    ("value", "shown"),
    [(31.2417, "31.24"), (-0.0012, "−0.0012"), (1.2e-7, "1.2e−07"), (1e20, "1e20"), (None, "not finite")],
)
def test_a_number_has_four_digits_and_a_minus_sign(value: float | None, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    "text", ["::error::x", "  ::set-output name=a::b", "a ##[add-mask]b", "###[x]", "##vso[task.complete]", "##[[x]"]
)
def test_nothing_shown_is_a_command_to_a_build_server(text: str) -> None:
    shown = printable(text)
    assert not shown.lstrip().startswith("::")
    assert not re.search(r"##\w*\[", shown)


def test_colons_and_hashes_that_command_nothing_stay_as_they_are() -> None:
    for text in ("std::vector", "a ::b::", "## title", "[x]#"):
        assert printable(text) == text
