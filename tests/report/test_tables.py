"""Tables on paper: every column has room for its words, and the columns fill the line."""

from __future__ import annotations

import pytest

from landscape_audit.detail import Axis, Line, Series
from landscape_audit.report.tables import (
    LINE,
    LONG_NAME,
    MOST_PRINTED,
    MOST_ROWS,
    TableView,
    capped,
    numbers_behind,
    unbroken,
)


def a_table(*rows: tuple[str, ...], total: tuple[str, ...] = ()) -> TableView:
    headings = tuple(f"Head {index}" for index in range(len(rows[0])))
    return TableView("Table", "", headings, rows, tuple(False for _ in headings), total=total)


@pytest.mark.parametrize(
    "table",
    [
        a_table(("a", "b")),
        a_table(("", "word " * 100, "1.234e−05")),
        a_table(("word " * 60, "word " * 60, "12,345,678")),
        a_table(("a",) * 10, total=("1,000,000,000",) * 10),
    ],
)
def test_columns_fill_the_line(table: TableView):
    assert sum(table.widths) == pytest.approx(100, abs=0.1)


def test_a_number_keeps_its_line_beside_columns_of_prose():
    table = a_table(("word " * 60, "1.234567e−05", "word " * 90), ("", "−1.234567e−05", ""))
    assert table.widths[1] / 100 * LINE > len("−1.234567e−05")


def test_a_short_heading_keeps_its_line_over_shorter_cells():
    prose = ("word " * 60,) * 3
    narrow = TableView("t", "", ("A", "B", "C", "Agrees"), ((*prose, "yes"),), (False,) * 4).widths[-1]
    assert narrow / 100 * LINE >= len("Agrees") + 2.9  # between columns are 2.3 letters, and a capital is wide


def test_prose_gets_what_the_numbers_leave():
    narrow, wide = a_table(("yes", "word " * 60)).widths
    assert wide > 5 * narrow


def test_a_sum_is_measured_as_the_rows_are():
    rows = (("a", "1"), ("b", "2"))
    assert a_table(*rows, total=("Together", "1,000,000")).widths != a_table(*rows).widths


def test_a_phrase_keeps_its_line_beside_prose_that_must_break_anyway():
    phrase = "residual + sampling, 95 %"
    widths = a_table(("word " * 60, phrase)).widths
    assert widths[1] / 100 * LINE > len(phrase)


def test_of_a_path_only_its_longest_part_must_stay_whole():
    path = "/srv/" + "models/" * 12 + "audit.toml:25"
    rest = ("word " * 20,) * 5
    assert a_table((path, *rest)).widths[0] < a_table((path.replace("/", "-"), *rest)).widths[0]


def test_numbers_are_given_where_something_was_measured_however_finely_a_model_is_drawn():
    axis = Axis(label="Distance")
    model = Series(name="model", role="predicted", x=(0.0, 0.5, 1.0), y=(0.0, 1.0, 4.0))
    seen = Series(name="seen", x=(0.0, 1.0), y=(0.0, 3.0))
    line = Line(name="line", title="t", finding="f", x=axis, y=axis, series=(seen, model))
    assert numbers_behind(line).rows == (("0", "0", "0"), ("1", "3", "4"))
    assert len(numbers_behind(line.model_copy(update={"series": (model,)})).rows) == 3


@pytest.mark.parametrize(
    ("told", "breaks"),
    [
        ("0.9889 (0.9743 to 0.9952)", 1),
        ("−2.01 % (−14.3 % to +60.3 %)", 1),
        ("at least 1.163", 0),
        ("probe + sampling, 95 %", 3),
        ("4.777e−05 to 6.97e−05", 0),
        ("from float8 to int8", 3),
    ],
)
def test_an_interval_is_one_word_and_prose_is_as_many_as_it_was(told: str, breaks: int):
    assert unbroken(told).count(" ") == breaks
    assert unbroken(told).replace("\u00a0", " ") == told


def test_a_column_is_as_wide_as_an_interval_that_nothing_breaks():
    table = a_table(("word " * 60, "−0.0005815 to 9.044e−05", "word " * 90))
    assert table.widths[1] / 100 * LINE > len("−0.0005815 to 9.044e−05")


def test_words_to_the_right_of_numbers_have_room_for_what_sets_them_apart():
    columns = tuple(f"Head {index}" for index in range(3))
    row = ("word " * 60, "1.234567e−05", "asam")
    beside, after = (TableView("", "", columns, (row,), (False, flag, False)).widths[2] for flag in (False, True))
    assert (after - beside) / 100 * LINE == pytest.approx(2, abs=0.1)


def test_paper_has_the_first_rows_and_says_how_many_there_are_besides():
    rows = [[f"layer.{i}", "1"] for i in range(3000)]
    table = capped("Layers", "", ["Layer", "Trace"], rows, numeric=[False, True])
    assert (len(table.rows), table.more) == (MOST_ROWS, "2,800 more rows in results.json.")
    assert (len(table.printed.rows), table.printed.more) == (MOST_PRINTED, "2,960 more rows in results.json.")
    short = a_table(*map(tuple, rows[:MOST_PRINTED]))
    assert short.printed == short
    assert short.more == ""


def test_paper_keeps_both_ends_of_a_long_name_and_all_of_a_sentence():
    name, sentence = "encoder." + "very_long_name." * 12 + "weight", "word " * 100
    (printed,) = a_table((name, sentence)).printed.rows
    assert printed[1] == sentence
    assert len(printed[0]) == LONG_NAME
    head, tail = printed[0].split("…")
    assert name.startswith(head)
    assert name.endswith(tail)
