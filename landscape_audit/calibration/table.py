"""The noise floors as a table, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from landscape_audit.calibration.calibration import how_resampled
from landscape_audit.calibration.gates import rates
from landscape_audit.calibration.record import Calibration, Noise
from landscape_audit.ids import HEADLINES
from landscape_audit.text import aligned, count, number, printable

HEAD = ("number", "value", "SD", "SD, %", "stated ±", "stated / noise", "limit")
HOW_TO_READ = (
    "SD: from one sample of this size, and one seed, to the next. Stated: half of the interval that an audit "
    "reports, on average. Stated / noise: over the half-width that this noise would need; under 1 the interval "
    "promises too much, over 1 it is cautious. Only where the interval is for other samples too."
)
_NOTHING = "–"


def terminal_table(found: Calibration) -> str:
    """The headline numbers and those words that are gated; with what is to be known."""
    rows = [HEAD, *(_row(floor) for floor in found.numbers if floor.key in HEADLINES)]
    rows = [HEAD, *map(_row, found.numbers)] if len(rows) == 1 else rows
    lines = aligned(rows)
    notes = (f"note: {printable(line, limit=1000)}" for line in found.told)
    words = [f"{key}: {', '.join(seen)}. {remark}" for key, seen, remark in _labels(found) if remark]
    words += [
        f"{printable(floor.key)}: {floor.remark}" for floor in found.numbers if floor.key in HEADLINES and floor.remark
    ]
    told = (HOW_TO_READ, *words, how_resampled(found), rates(found), *notes)
    return "\n".join(("", *(f"  {line}" for line in lines), "", *told))


def markdown(found: Calibration) -> str:
    """`calibration.md`: every number and every word."""
    from landscape_audit.report.plain import plain

    def table(rows: Sequence[Sequence[str]]) -> list[str]:
        lines = [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows]
        return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""]

    file = found.files[0]
    made = f"{count(len(found.audits), 'audit')} by landscape-audit {found.landscape_audit}"
    of_what = f"of sha256 {file.sha256}, on {found.data.source}."
    remarks = [f"- {plain(f'{floor.key}: {floor.remark}')}" for floor in found.numbers if floor.remark]
    words = [
        (key, ", ".join(f"{word} ({times})" for word, times in seen.items()), remark)
        for key, seen, remark in _labels(found)
    ]
    return "\n".join(
        (
            f"# What varies in audits of {plain(file.name)}",
            "",
            f"{plain(made)} {plain(of_what)} {plain(how_resampled(found))}",
            "",
            *(f"- {plain(line)}" for line in (rates(found), *found.told)),
            "",
            *table([HEAD, *map(_row, found.numbers)]),
            plain(HOW_TO_READ),
            "",
            *remarks,
            "",
            *(table([("word", "found", ""), *words]) if words else ()),
        )
    )


def _row(floor: Noise) -> tuple[str, ...]:
    limit = f"{floor.limit.side} {number(floor.limit.value, 6)}" if floor.limit else ""
    percent = None if floor.relative is None else 100 * floor.relative
    rest = (_cell(each) for each in (floor.sd, percent, floor.half_width, floor.honesty))
    return (printable(floor.key), number(floor.value), *rest, limit)


def _cell(value: float | None) -> str:
    """To two digits: a spread is not known better."""
    return _NOTHING if value is None else number(float(f"{value:.2g}"), 6)


def _labels(found: Calibration) -> list[tuple[str, dict[str, int], str]]:
    return [
        (printable(floor.key), {printable(word): times for word, times in floor.seen.items()}, floor.remark)
        for floor in found.labels
    ]
