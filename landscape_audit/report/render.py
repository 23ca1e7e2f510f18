"""Templates filled: the one Jinja environment, escaping everything."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from landscape_audit.report.compare_view import ComparisonView
from landscape_audit.report.view import ReportView
from landscape_audit.resources import template_dir
from landscape_audit.text import printable

_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def html(view: ReportView, *, paper: bool = False) -> str:
    """The report as one page of HTML; for paper with the fonts and page rules of the PDF instead of the screen's."""
    style, digest = _style("report.css", "print.css" if paper else "screen.css")
    return _environment().get_template("report.html.j2").render(view=view, style=style, digest=digest, paper=paper)


def markdown(view: ReportView) -> str:
    """The summary for a merge request."""
    return _environment().get_template("summary.md.j2").render(view=view)


def comparison_html(view: ComparisonView) -> str:
    """Two audits side by side, as one page."""
    style, digest = _style("report.css", "screen.css")
    return _environment().get_template("compare.html.j2").render(view=view, style=style, digest=digest, paper=False)


def comparison_markdown(view: ComparisonView) -> str:
    """The same for a merge request."""
    return _environment().get_template("compare.md.j2").render(view=view)


def _style(*sheets: str) -> tuple[str, str]:
    """The style sheets as one, and its digest.

    The style is the only thing a page may load, by its hash: an injected element could not even change a colour.
    """
    style = "\n".join(_read(name) for name in sheets)
    return style, base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


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
    environment.filters["md"] = _plain
    return environment


def _harmless(value: object) -> object:
    """The one place that every word of every report passes: nothing in it is a control or a format character."""
    return printable(value, limit=len(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _plain(text: str) -> Markup:
    """Text that Markdown shows as it is: its marks and those of HTML escaped, on one line.

    What would call a person by name gets a space of no width, as a forge looks for names in the text it shows.
    """
    shown = " ".join(printable(text, limit=5000).split())
    escaped = "".join(f"\\{character}" if character in r"\`*_{}[]()#+-.!|~" else character for character in shown)
    return escape(_MENTION.sub("@\u200b", escaped))


def _read(name: str) -> str:
    return Path(template_dir() / name).read_text(encoding="utf-8")
