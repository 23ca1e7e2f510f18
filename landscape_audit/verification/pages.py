"""Two PDFs compared, the one that was found and the one that its results give: where do they differ first?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from landscape_audit.text import printable
from landscape_audit.verification.paper import Paper


def first_difference(found: Paper, again: Paper) -> str:
    """Where they differ, `page 2, line 14: …`, for PDFs that the same software made; the least telling place last."""
    return (
        next(_in_pages(found, again), "")
        or next(_in_metadata(found, again), "")
        or next(_in_attachments(found, again), "")
        or _in_bytes(found, again)
    )


def first_other_words(found: Paper, again: Paper) -> str:
    """Where the texts differ, whatever lines and pages they are set in; empty where they do not."""
    here, there = _letters(found), _letters(again)
    for (letter, page, line), (other, *_) in zip(here, there, strict=False):
        if letter != other:
            return f"page {page + 1}: '{printable(line)}'"
    return "" if len(here) == len(there) else "at its end: one text is longer than the other"


def _in_pages(found: Paper, again: Paper) -> Iterator[str]:
    pages, others = found.pages(), again.pages()
    differing = [number for number, (page, other) in enumerate(zip(pages, others, strict=False)) if page != other]
    for number in differing:
        yield from _in_lines(number, found.lines(number), again.lines(number))
    if len(pages) != len(others):
        yield f"it has {len(pages)} pages, and its results give {len(others)}"
    for number in differing:
        page, other = pages[number], others[number]
        what = (
            "a picture" if page.pictures != other.pictures else "its drawing" if page.drawing != other.drawing else ""
        )
        yield f"page {number + 1}: {what or 'something laid over it or linked from it'}"


def _in_lines(page: int, lines: list[str], others: list[str]) -> Iterator[str]:
    for number, (line, other) in enumerate(zip(lines, others, strict=False), 1):
        if line != other:
            yield f"page {page + 1}, line {number}: '{printable(line)}' where its results give '{printable(other)}'"
    if len(lines) != len(others):
        yield f"page {page + 1}: it has {len(lines)} lines, and its results give {len(others)}"


def _in_metadata(found: Paper, again: Paper) -> Iterator[str]:
    here, there = found.metadata(), again.metadata()
    for name in sorted(here.keys() | there.keys()):
        told, given = (printable(each.get(name, "nothing")) for each in (here, there))
        if told != given:
            yield f"its metadata: {printable(name[1:])} is '{told}' where its results give '{given}'"


def _in_attachments(found: Paper, again: Paper) -> Iterator[str]:
    here, there = found.attached(), again.attached()
    if here != there:
        added = [printable(name) for name in (Counter(here) - Counter(there))]
        yield f"its attachments: {', '.join(added) or 'fewer or others'} where a report has {', '.join(there)}"
    for name in there:
        if found.attachment(name) != again.attachment(name):
            yield f"its attachment {name}"


def _in_bytes(found: Paper, again: Paper) -> str:
    if found.content.startswith(again.content):
        return f"{len(found.content) - len(again.content):,} bytes were added at its end"
    return "no text, picture, metadata or attachment, but the bytes of the file: it was written by another program"


def _letters(paper: Paper) -> list[tuple[str, int, str]]:
    """Every letter with its page and line; without white space, and without what stands on every page."""
    texts = [paper.lines(number) for number in range(len(paper.pages()))]
    running = set.intersection(*(set(lines) for lines in texts[1:])) if len(texts) > 1 else set()
    return [
        (letter, number, line)
        for number, lines in enumerate(texts)
        for line in lines
        if line not in running and line != f"{number + 1} / {len(texts)}"
        for letter in line
        if not letter.isspace()
    ]
