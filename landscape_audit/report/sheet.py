"""Page 1 of the paper: of the first page, what a sheet holds. What is cut or left out is told in full further on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landscape_audit.figures.lettering import is_drawn
from landscape_audit.report.advice import AdviceView
from landscape_audit.report.baseline import BaselineView
from landscape_audit.report.gate import GateView
from landscape_audit.text import count, escaped

if TYPE_CHECKING:
    from landscape_audit.report.view import FirstPage

LINES = 61.8
"""Lines of running text that page 1 of print.css holds."""
MOST_GATES, ENOUGH_GATES = 5, 3
"""Gates on the sheet; and how many of them are worth more than the tiles."""
MOST_BANNERS, MOST_OBSTACLES = 4, 2
LINES_OF_TILES = {3: 4.3, 4: 5.4}
LINES_OF_A_NOTE = 1.4
LONG_WORD = 40
FIRST_WIDE = 0x1100
"""Where the scripts begin whose letters are as wide as they are high."""


@dataclass(frozen=True)
class Sheet:
    """The first page, cut by words and by count."""

    banners: tuple[str, ...]
    sentence: str
    gates: tuple[GateView, ...]
    labels: tuple[tuple[str, str, str], ...]
    obstacles: tuple[str, ...]
    certain: str
    advice: tuple[AdviceView, ...]
    identity: tuple[tuple[str, str], ...]
    has_tiles: bool
    tiles_in_a_row: int
    verdict_elsewhere: tuple[str, ...]
    """The sentence and the banners in full, where one of them is cut or left out."""
    gates_elsewhere: tuple[GateView, ...]
    """The gates that are cut or left out."""


def sheet_of(first: FirstPage) -> Sheet:
    """The first page with as many words as there is room for."""
    pages = (_cut(first, share) for share in (1.0, 0.7, 0.5, 0.35))
    return next((page for page, fits in pages if fits), _cut(first, 0.2)[0])


def _cut(first: FirstPage, share: float) -> tuple[Sheet, bool]:
    """As many gates as fit, one always; and the tiles, unless they would take the place of gates."""

    def short(text: str, limit: int) -> str:
        return shortened(text, round(share * limit))

    left = len(first.banners) - MOST_BANNERS
    more = (f"{count(left, 'more warning')} under Verdict in full.",) if left > 0 else ()
    told = (*(short(banner, 180) for banner in first.banners[:MOST_BANNERS]), *more)
    brief = tuple(_brief(gate, short) for gate in first.gates)
    page = Sheet(
        banners=told,
        sentence=short(first.sentence, 280),
        gates=brief,
        labels=tuple((name, short(word, 60), short(why, 180)) for name, word, why in first.labels),
        obstacles=_obstacles(first.baseline, short),
        certain="" if first.baseline is None else short(first.baseline.in_short, 420),
        advice=tuple(replace(each, because=short(each.because, 110)) for each in first.advice.first),
        identity=tuple((name, shortened(value, 100)) for name, value in first.identity),
        has_tiles=True,
        tiles_in_a_row=tiles_in_a_row(len(first.headlines)),
        verdict_elsewhere=(),
        gates_elsewhere=(),
    )
    room = LINES - _lines_of_the_rest(first, page)
    tiles = LINES_OF_TILES[page.tiles_in_a_row] * math.ceil(len(first.headlines) / page.tiles_in_a_row)
    has_tiles = len(_fitting(brief, room - tiles)) >= min(len(brief), ENOUGH_GATES) and room > tiles
    shown = _fitting(brief, room - tiles if has_tiles else room)
    whole = (*first.banners, first.sentence)
    page = replace(
        page,
        gates=shown,
        has_tiles=has_tiles,
        verdict_elsewhere=() if whole == (*told, page.sentence) else whole,
        gates_elsewhere=tuple(
            gate for place, gate in enumerate(first.gates) if place >= len(shown) or shown[place] != gate
        ),
    )
    note = LINES_OF_A_NOTE if page.gates_elsewhere else 0
    return page, room >= sum(map(_lines_of, shown)) + note


def tiles_in_a_row(number: int) -> int:
    """Three or four, whichever leaves no tile alone in the last row."""
    return 4 if number % 4 in {0, 3} or number % 3 == 1 else 3


def shortened(text: str, limit: int) -> str:
    """`text` cut between two words, with an ellipsis, to at most `limit` characters."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    words = head if text[limit - 1] == " " else head.rpartition(" ")[0]
    return f"{(words if len(words) > limit / 2 else head).rstrip(' ,;:.')}…"


def _obstacles(baseline: BaselineView | None, short: Callable[[str, int], str]) -> tuple[str, ...]:
    if baseline is None:
        return ()
    left = len(baseline.obstacles) - MOST_OBSTACLES
    more = (f"{count(left, 'more difference')} under Since the baseline.",) if left > 0 else ()
    return (*(short(told, 180) for told in baseline.obstacles[:MOST_OBSTACLES]), *more)


def _brief(gate: GateView, short: Callable[[str, int], str]) -> GateView:
    return replace(
        gate,
        key=short(gate.key, 60),
        name=short(gate.name, 70),
        found=short(gate.found, 80),
        demand=short(gate.demand, 90),
        reason=short(gate.reason, 200),
        why=short(gate.why, 160),
    )


def _fitting(gates: tuple[GateView, ...], room: float) -> tuple[GateView, ...]:
    shown: list[GateView] = []
    for gate in gates[:MOST_GATES]:
        room -= _lines_of(gate)
        if shown and room < (0 if gate is gates[-1] else LINES_OF_A_NOTE):
            break
        shown.append(gate)
    return tuple(shown)


def _lines_of(gate: GateView) -> float:
    head = f"{gate.glyph} {gate.status} {gate.name} {gate.found} demanded: {gate.demand}"
    foot = f"Why this limit: {gate.why} {gate.key}"
    if gate.strip is None:
        return _lines(f"{head} {gate.reason} {foot}") + 0.85
    small = _lines(f"{gate.reason} {foot}", 126) if gate.tone == "good" else _lines(f"{gate.reason} {foot}")
    return _lines(head) + small + 1.85


def _lines_of_the_rest(first: FirstPage, page: Sheet) -> float:
    """All but gates and tiles, at the sizes that print.css sets them in."""
    title = 1.6 + 1.35 * _lines(first.title, 80)
    box = sum(_lines(banner, 106) + 0.55 for banner in page.banners)
    notes = [first.meaning + first.counts, *([first.baseline.sentence] if first.baseline else [])]
    verdict = 5.2 + 1.08 * _lines(page.sentence, 99) + sum(0.15 + 0.88 * _lines(note, 122) for note in notes)
    gates = 2.4 if first.gates else 0.8
    labels = sum(_lines(f"Where it sits: {word} {why}", 122) + 0.5 for _, word, why in page.labels)
    changes = sum(0.1 + 0.92 * _lines(told) for told in page.obstacles) + (
        0.5 + _lines(page.certain) if page.certain else 0
    )
    advice = sum(_lines(each.say) + 0.1 + 0.9 * _lines(f"{each.because} {each.source}", 122) for each in page.advice)
    audited = [_lines(value, 45) + 0.26 for _, value in page.identity]
    half = math.ceil(len(audited) / 2)
    numbers = 1.6 + labels + changes + 3.0 + advice + 1.8 + max(sum(audited[:half]), sum(audited[half:]))
    return title + box + verdict + gates + numbers


def _lines(text: str, width: int = 116) -> int:
    """Of letters as wide as those of English on average; a long word may leave the line before it empty."""
    wasted = any(len(word) > LONG_WORD for word in text.split())
    return math.ceil(sum(map(_width, text)) / width) + (wasted and len(text) > LONG_WORD + 20)


def _width(letter: str) -> float:
    if letter in "MWmw@%—…":
        return 1.7
    if not letter.isascii() and not is_drawn(letter):
        return 1.1 * len(escaped(letter))
    return 2.0 if ord(letter) >= FIRST_WIDE else 1.25 if letter.isupper() else 1.0
