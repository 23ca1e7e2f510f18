"""Pages out of templates, each page with the policy that allows it its own style and script and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from bisect import bisect_left

from markupsafe import Markup

from landscape_audit.errors import TemplatesError
from landscape_audit.report.compare_report import ComparisonReport
from landscape_audit.report.compare_view import ComparisonView
from landscape_audit.report.templates import OURS, Templates
from landscape_audit.report.view import FirstPage, ReportView
from landscape_audit.text import printable

SCRIPTS = ("report.js", "surface.js")
"""What a page on a screen runs, as one script; on paper there is nothing to run."""
CSP = (
    "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; require-trusted-types-for 'script'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)
"""A page may use nothing but its one style and its one script, by their hashes: what is injected cannot even colour."""
_BEGINNING = re.compile(r"\s*<!doctype html>\s*<html[^<>]*>\s*<head>\s*(<meta charset=\"?utf-8\"?>\s*)?", re.IGNORECASE)
_LEADS_AWAY = re.compile(
    r"""<meta(?=[\s/>])(?!\s+(?:name|property)="[^"<>]*"\s+content="[^"<>]*"\s*/?>)[^<>]{0,80}"""
    r"""|<link(?=[\s/>])(?!\s+rel="icon"\s+href="data:[^"<>]*"\s*/?>)[^<>]{0,80}|<base(?=[\s/>])[^<>]{0,80}"""
    r"""|<img(?=[\s/>])(?![^<>]*\ssrc="data:)[^<>]{0,80}""",
    re.IGNORECASE,
)
"""What leads to another address: a refresh, a link that a browser prepares for, a picture that would stay empty."""
_TURNED = re.compile(r"(?<=[\u0590-\u08ff])(?=[,;:]? \(?\d)")
"""Where a number of ours follows a name that is read to the left, and would be taken to its other side."""
_READ_ON = "\u200e"
"""A mark without width that is read to the right."""
LONGEST_SUMMARY = 60_000
"""Bytes. A comment on GitHub takes 65,536 characters."""


def html(
    view: ReportView, *, paper: bool = False, generator: str = "landscape-audit", templates: Templates = OURS
) -> str:
    """The report as one page of HTML; for paper with the fonts and page rules of the PDF instead of the screen's."""
    named = ", ".join(filter(None, (generator, templates.mark)))
    return _page("report.html.j2", view, paper=paper, generator=named, templates=templates)


def markdown(view: FirstPage, templates: Templates = OURS) -> str:
    """The summary for a merge request, never more than it takes: of too many gates the last, which are the best, go."""

    def filled(shown: int) -> str:
        return templates.filled("summary.md.j2", view=view, shown=shown)

    def is_too_long(shown: int) -> bool:
        return len(filled(shown).encode()) > LONGEST_SUMMARY

    every = len(view.gates)
    shown = bisect_left(range(1, every + 1), 1, key=is_too_long) if is_too_long(every) else every
    return filled(shown)


def card(view: FirstPage, **around: object) -> str:
    """The block for a model card; `around` is what depends on where the card is."""
    return OURS.filled("card.md.j2", view=view, **around)


def comparison_html(view: ComparisonReport, *, paper: bool = False, generator: str = "landscape-audit") -> str:
    """Two audits side by side as one page of HTML, like a report's."""
    return _page("compare.html.j2", view, paper=paper, generator=generator, templates=OURS)


def comparison_markdown(view: ComparisonView) -> str:
    """The same for a merge request."""
    return OURS.filled("compare.md.j2", view=view)


def _page(name: str, view: ReportView | ComparisonReport, *, paper: bool, generator: str, templates: Templates) -> str:
    embedded = _around("print.css" if paper else "screen.css", templates)
    page = templates.filled(name, view=view, paper=paper, generator=generator, **embedded)
    head, end, body = page.partition("</head>")  # what is embedded in the head has its digest
    page = head + end + _TURNED.sub(_READ_ON, body)
    if not paper:
        _refuse_unguarded(page, name, embedded["csp"])
    return page


def _around(sheet: str, templates: Templates) -> dict[str, Markup]:
    """What is embedded in every page, and the policy that allows it."""
    style = "\n".join(templates.text(name) for name in ("report.css", sheet))
    script = "\n".join(templates.text(name) for name in SCRIPTS)
    if re.search("</style", style, re.IGNORECASE):
        raise TemplatesError(f"report.css or {sheet}: '</style' would end the style.", remedy="Write '<\\/style'.")
    csp = CSP.format(style=_digest(style), script=_digest(script))
    return {"style": Markup(style), "script": Markup(script), "csp": Markup(csp)}  # noqa: S704 - of no results


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _refuse_unguarded(page: str, name: str, csp: str) -> None:
    """An error where a page does not begin with its policy, which holds only for what follows, or gets around it."""
    begun = _BEGINNING.match(page)
    guard = f'<meta http-equiv="Content-Security-Policy" content="{csp}">'
    if begun is None or not page.startswith(guard, begun.end()):
        raise TemplatesError(
            f"{name}: the page does not begin with its content security policy.",
            remedy='Have  <meta http-equiv="Content-Security-Policy" content="{{ csp }}">  first in <head>.',
        )
    found = _LEADS_AWAY.search(page, begun.end() + len(guard))
    if found is not None:
        raise TemplatesError(
            f"{name}: {printable(found[0], 80)}… may ask for something, and a report asks for nothing.",
            remedy='Of these tags it may have  <meta name="…" content="…">,  <link rel="icon" href="data:…">  and  '
            '<img src="data:…">.',
        )
