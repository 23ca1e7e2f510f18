"""Tables as a reader sees them: cells formatted, long ones cut and saying so."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from landscape_audit.detail import Axis, Bars, Decision, Known, Line, Panels, Spectrum, Surface, Table
from landscape_audit.ids import in_words
from landscape_audit.text import count, number, printable

MOST_ROWS = 200
"""Rows of one table in the report; results.json has them all."""

MOST_PRINTED = 40
"""Of those, on paper, where no reader can scroll past them: half a page."""

SHORTEST = 5
"""Characters of a column at least: of fewer the space between two columns would be the most."""

LONG_NAME = 72
"""Characters of a name on paper: three lines of a column that has room for LONG_WORD."""

LINE = 124
"""Characters of a table's size on a line of the paper."""

GAP, APART = 3, 2
"""Characters from one column to the next, and how many more before words that stand to the right of numbers."""

LONG_WORD = 24
"""Characters of a word above which it is better broken than given a column of its length."""

_INTERVAL = re.compile(r"at (?:least|most) [−+]?\d\S*|[−+]?\d\S*(?: %)? to [−+]?\d\S*(?: %\)?)?|\d %")


@dataclass(frozen=True)
class TableView:
    """A table of words; numbers are marked, so that they can be set flush right.

    `groups` are headings over that many columns each; `total` is a last row that sums the others up.
    `left_out` counts the rows that are not here; `note` says more of what is not.
    """

    title: str
    finding: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    left_out: int | None = None
    groups: tuple[tuple[str, int], ...] = ()
    total: tuple[str, ...] = ()
    note: str = ""

    @property
    def more(self) -> str:
        """What is said of the rows that are left out."""
        rows = f"{count(self.left_out, 'more row')} in results.json." if self.left_out else ""
        return " ".join(filter(None, (rows, self.note)))

    @property
    def printed(self) -> TableView:
        """The first rows, for paper, of names too long for a few lines the two ends."""
        rows = tuple(tuple(map(_ends, row)) for row in self.rows[:MOST_PRINTED])
        return replace(self, rows=rows, left_out=(self.left_out or 0) + len(self.rows) - len(rows) or None)

    @property
    def widths(self) -> tuple[float, ...]:
        """Per cent of the paper's width for each column: its longest word, and what is left by how much it has to say.

        With given widths a table is set without measuring every word of every cell first, which takes longer.
        """
        columns = list(zip(self.headings, *self.rows, *([self.total] if self.total else []), strict=True))
        gaps = [GAP + APART * _is_set_apart(self.numeric, place) for place in range(len(columns))]
        needs = [
            gap + max(SHORTEST, *map(_longest_word, map(unbroken, column)))
            for gap, column in zip(gaps, columns, strict=True)
        ]
        wants = [gap + max(min(len(cell), LINE) for cell in column) for gap, column in zip(gaps, columns, strict=True)]
        given = _shared(needs, wants)
        return tuple(round(100 * width / sum(given), 2) for width in given)


def numbers_behind(detail: Known) -> TableView:
    """The numbers behind a picture."""
    match detail:
        case Line():
            heads = [detail.x.label, *(series.name for series in detail.series)]
            measured = [series for series in detail.series if series.role == "measured"]
            xs = sorted({x for series in measured or detail.series for x in series.x})  # models are drawn more finely
            columns = [dict(zip(series.x, series.y, strict=True)) for series in detail.series]
            rows = [[number(x, 3), *(cell(column.get(x)) for column in columns)] for x in xs]
        case Surface():
            heads = [f"{detail.y.label} ↓ {detail.x.label} →", *(number(x, 2) for x in detail.xs)]
            rows = [
                [number(y, 2), *(cell(value, 3) for value in row)] for y, row in zip(detail.ys, detail.z, strict=True)
            ]
        case Spectrum():
            heads = ["Eigenvalue", "Value", "Low", "High"]
            rows = [[printable(o.label), cell(o.value), cell(o.low), cell(o.high)] for o in detail.outliers]
        case Bars():
            heads = ["Name", "Value", "Low", "High"]
            rows = [[printable(b.label), cell(b.value), cell(b.low), cell(b.high)] for b in detail.bars]
        case Panels():
            heads = ["Group", printable(detail.repeat).capitalize(), *(_headed(panel.axis) for panel in detail.panels)]
            rows = _repeats_of(detail)
        case Decision():
            return _conditions_of(detail)
        case Table():
            return table_of(detail)
    title = f"Numbers of {printable(detail.title)}"
    return capped(title, "", heads, rows, numeric=[index > 0 for index in range(len(heads))])


def _headed(axis: Axis) -> str:
    return f"{axis.label} [{axis.own_unit}]" if axis.own_unit else axis.label


def _repeats_of(panels: Panels) -> list[list[str]]:
    """A line a group and repeat."""
    return [
        [printable(group), str(repeat + 1), *(cell(panel.values[place][repeat]) for panel in panels.panels)]
        for place, group in enumerate(panels.groups)
        for repeat in range(len(panels.panels[0].values[place]))
    ]


def _conditions_of(decision: Decision) -> TableView:
    """Everything that was asked, also of what was not reached."""
    heads = ["Class", "Is it", "Asks for", "Limit", "Value", "From", "To", "Holds"]
    rows = [
        [
            printable(in_words(step.name)),
            step.outcome,
            f"{printable(asked.says)} {asked.asks}",
            *(cell(value) for value in (asked.limit, asked.value, asked.low, asked.high)),
            cell(asked.holds),
        ]
        for step in decision.steps
        for asked in step.conditions
    ]
    title = f"Numbers of {printable(decision.title)}"
    return capped(title, "", heads, rows, numeric=[3 <= index < 7 for index in range(len(heads))])


def table_of(table: Table) -> TableView:
    """A check's own table."""
    heads = [f"{column.title} [{column.unit}]" if column.unit else column.title for column in table.columns]
    numeric = [
        any(isinstance(row[index], (int, float)) and not isinstance(row[index], bool) for row in table.rows)
        for index in range(len(heads))
    ]
    rows = [[cell(value) for value in row] for row in table.rows]
    return capped(printable(table.title), printable(table.finding, 600), heads, rows, numeric=numeric)


def capped(
    title: str,
    finding: str,
    heads: list[str],
    rows: list[list[str]],
    *,
    numeric: list[bool],
    groups: tuple[tuple[str, int], ...] = (),
    total: tuple[str, ...] = (),
) -> TableView:
    """At most MOST_ROWS rows, and how many more there are."""
    return TableView(
        title,
        finding,
        tuple(printable(head) for head in heads),
        tuple(tuple(row) for row in rows[:MOST_ROWS]),
        tuple(numeric),
        max(0, len(rows) - MOST_ROWS) or None,
        groups,
        total,
    )


def cell(value: object, digits: int = 4) -> str:
    """Any value in a table."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value, digits) if isinstance(value, float) else printable(value, 600)


def unbroken(text: str) -> str:
    """`0.9889 (0.9743 to 0.9952)` with its interval as one word: half of one at a line's end says something else."""
    return _INTERVAL.sub(lambda found: found[0].replace(" ", "\u00a0"), text)


def _is_set_apart(numeric: tuple[bool, ...], place: int) -> bool:
    """Words to the right of numbers, which end where these begin."""
    return place > 0 and numeric[place - 1] and not numeric[place]


def _shared(needs: list[int], wants: list[int]) -> list[float]:
    """A line's room beyond the needs: columns that wish for little get all of it, the others as much as each other."""
    given, left = [float(need) for need in needs], max(0.0, float(LINE - sum(needs)))
    wishes = sorted((want - need, place) for place, (need, want) in enumerate(zip(needs, wants, strict=True)))
    for served, (wish, place) in enumerate(wishes):
        more = min(wish, left / (len(wishes) - served))
        given[place] += more
        left -= more
    return given


def _ends(text: str) -> str:
    """Of a name as long as prose the beginning and the end; prose, which has words, whole."""
    if len(text) <= LONG_NAME or " " in text:
        return text
    half = LONG_NAME // 2
    return f"{text[: half - 1]}…{text[-half:]}"


def _longest_word(text: str) -> int:
    """Of a path its longest part, as lines may break behind a slash."""
    return max(min(len(word), LONG_WORD) for word in text.replace("/", "/ ").split(" "))
