"""Text in 80 columns."""

from __future__ import annotations

from landscape_audit.cli.columns import WIDTH, columns, folded


def test_no_folded_line_begins_with_what_a_build_server_obeys():
    lines = folded("a" * (WIDTH - 1) + " ::error::x", 2)
    assert lines == ("a" * (WIDTH - 1), "  :\\x3aerror::x")


def test_the_last_column_is_folded_under_itself():
    lines = columns([["A", "b " * 60], ["long", "c"]])
    assert max(map(len, lines)) <= WIDTH
    assert all(line.startswith(" " * 8 + "b") for line in lines[1:-1])
    assert lines[-1] == "  long  c"
