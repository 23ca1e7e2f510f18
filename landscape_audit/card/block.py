"""Our block in the text of a card: where it is, what it says of itself, and how it is put there.

A marker counts where Markdown sees an HTML comment that begins a line of its own. In a code block it is code, and in
a sentence it is part of the sentence: neither is taken for ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from landscape_audit.card.text import CardText, lines
from landscape_audit.errors import CardError

_MARKER = re.compile(r" {0,3}<!--\s*landscape-audit:(begin|end)\b([^\r\n]*?)-->")
_FACT = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Block:
    """Our block: the characters of the body from `start` to `end`, and what its first line says."""

    start: int
    end: int
    results: str
    sha256: str


@dataclass(frozen=True)
class _Marker:
    line: int
    word: str
    facts: str


def find_block(card: CardText, path: Path) -> Block | None:
    """The block that is there, or None; an error where it is not one whole block."""
    found = _markers(card, path)
    if not found:
        return None
    if [marker.word for marker in found] != ["begin", "end"]:
        told = ", ".join(f"{marker.word} on line {card.body_line + marker.line}" for marker in found)
        raise CardError(
            f"{path}: the markers of the audit do not enclose one block: {told}.",
            remedy="Leave one  <!-- landscape-audit:begin … -->  and after it one  <!-- landscape-audit:end -->  , "
            "or delete all of them and what is between them.",
        )
    begin, end = found
    ahead, whole = (sum(map(len, lines(card.body)[:upto])) for upto in (begin.line, end.line + 1))
    behind = card.body.rindex("-->", ahead, whole) + len("-->")
    facts = dict(_FACT.findall(begin.facts))
    return Block(ahead, behind, unquote(facts.get("results", "")), facts.get("sha256", ""))


def with_block(card: CardText, block: str, path: Path) -> CardText:
    """The card with our block in place of the one that is there, or after everything else."""
    found = find_block(card, path)
    if found:
        body = card.body[: found.start] + block + card.body[found.end :]
    else:
        body = f"{card.body}{_gap(card)}{block}{card.newline}"
    changed = replace(card, body=body)
    if not found and not _is_found(changed, path):
        _refuse_what_is_open(card, path)
    return changed


def _is_found(card: CardText, path: Path) -> bool:
    try:
        return find_block(card, path) is not None
    except CardError:
        return False


def _refuse_what_is_open(card: CardText, path: Path) -> None:
    """The last thing in the text goes on to its end, and would go on into whatever is put after it."""
    line = max((token.map[0] for token in _tokens(card.body) if token.map), default=0)
    raise CardError(
        f"{path}: what begins on line {card.body_line + line} does not end, and would swallow the audit.",
        remedy="Close the code block or the comment that begins there.",
    )


def _gap(card: CardText) -> str:
    """What stands between the text and a block after it: one empty line."""
    last = (lines(card.closing + card.body) or [card.newline])[-1]
    needed = (not last.endswith(("\r", "\n"))) + bool(last.strip())
    return card.newline * needed


def _markers(card: CardText, path: Path) -> list[_Marker]:
    found = []
    for token in _tokens(card.body):
        if token.type != "html_block" or token.map is None:
            continue
        for number, line in enumerate(lines(token.content)):
            marker = _MARKER.match(line)
            if marker and (number or token.level):
                raise CardError(
                    f"{path}: the marker of the audit on line {card.body_line + token.map[0] + number} is inside other "
                    "HTML, a list or a quotation.",
                    remedy="Put it at the beginning of a line, after an empty one.",
                )
            if marker:
                found.append(_Marker(token.map[0], marker[1], marker[2]))
    return found


def _tokens(body: str) -> Sequence[Token]:
    return MarkdownIt("commonmark").disable("inline").parse(body)
