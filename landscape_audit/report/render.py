"""Templates filled: the one Jinja environment, escaping everything."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from bisect import bisect_left
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from landscape_audit.report.compare_report import ComparisonReport
from landscape_audit.report.compare_view import ComparisonView
from landscape_audit.report.view import FirstPage, ReportView
from landscape_audit.resources import template_dir
from landscape_audit.text import printable

_LIVE = re.compile(r"(?<!\w)@(?=\w)|:(?=//)|\bwww(?=\.)", re.IGNORECASE)
"""Where plain text becomes a mention or a link; escapes alone do not prevent it (cmark-gfm#388, remark-gfm#33)."""
SCRIPTS = ("report.js", "surface.js")
"""What a page on a screen runs, as one script; on paper there is nothing to run."""
LONGEST_SUMMARY = 60_000
"""Bytes. A comment on GitHub takes 65,536 characters."""


def html(view: ReportView, *, paper: bool = False, generator: str = "landscape-audit") -> str:
    """The report as one page of HTML; for paper with the fonts and page rules of the PDF instead of the screen's."""
    return _page("report.html.j2", view, paper=paper, generator=generator)


def markdown(view: FirstPage) -> str:
    """The summary for a merge request, never more than it takes: of too many gates the last, which are the best, go."""
    template = _environment().get_template("summary.md.j2")

    def is_too_long(shown: int) -> bool:
        return len(template.render(view=view, shown=shown).encode()) > LONGEST_SUMMARY

    every = len(view.gates)
    shown = bisect_left(range(1, every + 1), 1, key=is_too_long) if is_too_long(every) else every
    return template.render(view=view, shown=shown)


def card(view: FirstPage, **around: object) -> str:
    """The block for a model card; `around` is what depends on where the card is."""
    return _environment().get_template("card.md.j2").render(view=view, **around)


def comparison_html(view: ComparisonReport, *, paper: bool = False, generator: str = "landscape-audit") -> str:
    """Two audits side by side as one page of HTML, like a report's."""
    return _page("compare.html.j2", view, paper=paper, generator=generator)


def comparison_markdown(view: ComparisonView) -> str:
    """The same for a merge request."""
    return _environment().get_template("compare.md.j2").render(view=view)


def _page(name: str, view: ReportView | ComparisonReport, *, paper: bool, generator: str) -> str:
    embedded = _around("print.css" if paper else "screen.css")
    return _environment().get_template(name).render(view=view, paper=paper, generator=generator, **embedded)


def _around(sheet: str) -> dict[str, str]:
    """What is embedded in every page, and the digests that allow it."""
    style, digest = _embedded("report.css", sheet)
    script, script_digest = _embedded(*SCRIPTS)
    return {"style": style, "digest": digest, "script": script, "script_digest": script_digest}


def _embedded(*names: str) -> tuple[str, str]:
    """Style sheets as one, or a script, and the digest of it.

    A page may use nothing but these, by their hashes: an injected element could not even change a colour.
    """
    text = "\n".join(_read(name) for name in names)
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(template_dir()),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = plain
    return environment


def _harmless(value: object) -> object:
    """The one place that every word of every report passes: nothing in it is a control or a format character."""
    return printable(value, limit=len(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def plain(text: str) -> Markup:
    """Text that Markdown shows as it is: its marks and those of HTML escaped, on one line.

    What would call a person or become a link gets a space of no width, as a forge looks for both in the text it shows.
    """
    shown = _LIVE.sub("\\g<0>\u200b", " ".join(printable(text, limit=5000).split()))
    escaped = "".join(f"\\{character}" if character in r"\`*_{}[]()#+-.!|~" else character for character in shown)
    return escape(escaped)


def _read(name: str) -> str:
    return Path(template_dir() / name).read_text(encoding="utf-8")
