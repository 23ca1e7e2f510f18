"""The PDF: the same content through WeasyPrint, with its own fonts, nothing fetched, the same bytes every time."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape_audit import __version__
from landscape_audit.errors import AuditError, CapabilityError, TemplatesError
from landscape_audit.report.compare_report import ComparisonReport, later
from landscape_audit.report.letters import on_paper
from landscape_audit.report.render import comparison_html, html
from landscape_audit.report.templates import OURS, Templates
from landscape_audit.report.view import ReportView
from landscape_audit.results import AuditResults
from landscape_audit.text import described, listed

SCHEME = "landscape-audit-font:"
_NOWHERE = "landscape-audit-template:"
"""What relative addresses are relative to: they stay as they are written, and are refused like all others."""
ATTACHED = {
    "results.json": "The audit's results, as landscape-audit wrote them",
    "policy.json": "The policy in force, with all that it extends",
}
RENDERED_BY = ("weasyprint", "pydyf", "fonttools", "jinja2", "matplotlib", "contourpy", "numpy")
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono")


def require_pango() -> None:
    """An error with its remedy where WeasyPrint cannot find the libraries that it draws with."""
    try:
        import weasyprint  # noqa: F401
    except OSError as error:
        raise CapabilityError(
            f"PDF: WeasyPrint cannot load Pango: {str(error).splitlines()[0]}.",
            remedy="apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0, or --no-pdf.",
        ) from None


def fonts() -> list[Path]:
    """The font files that the PDF is set in; matplotlib ships them."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return [folder / f"{name}.ttf" for name in FONTS]


@dataclass(frozen=True)
class Attached:
    """A file inside a PDF, dated like the audit that it is of."""

    name: str
    text: str
    description: str
    date: dt.datetime


def pdf(view: ReportView, results: AuditResults, templates: Templates = OURS) -> bytes:
    """PDF/A-3a with tags and bookmarks, the results and the policy in force attached; dates are those of the audit.

    It names what it was created with, whatever a team's templates say of that.
    """
    date = results.finished()
    attached = [Attached(name, text, ATTACHED[name], date) for name, text in attachments(results).items()]
    made_with = renderer()
    page = html(view, paper=True, generator=made_with, templates=templates)
    try:
        return printed(page, attached, date, creator=", ".join(filter(None, (made_with, templates.mark))))
    except AuditError:
        raise
    except Exception as error:
        if not templates.mark:
            raise
        told = f"report.pdf: WeasyPrint cannot set what your templates and style sheets ask for: {described(error)}."
        raise TemplatesError(told, remedy="Leave out of them what is not for paper, or --no-pdf.") from error


def comparison_pdf(view: ComparisonReport, a: AuditResults, b: AuditResults) -> bytes:
    """The same for two audits, with the results of both attached; its dates are those of the later audit."""
    attached = [
        Attached(f"{letter.lower()}.json", each.to_json(), f"The results of {letter}", each.finished())
        for letter, each in (("A", a), ("B", b))
    ]
    made_with = renderer()
    page = comparison_html(view, paper=True, generator=made_with)
    return printed(page, attached, later(a, b).finished(), creator=made_with)


def printed(page: str, attached: Iterable[Attached], date: dt.datetime, *, creator: str) -> bytes:
    """A page of HTML as PDF/A-3a, the same bytes for the same arguments and software."""
    require_pango()
    import weasyprint

    files = [
        weasyprint.Attachment(
            string=each.text,
            name=each.name,
            description=each.description,
            relationship="Data",
            created=each.date,
            modified=each.date,
        )
        for each in attached
    ]
    options = {"pdf_variant": "pdf/a-3a", "pdf_tags": True, "attachments": files, "custom_metadata": False}
    with _clock_at(date), _font_configuration() as configuration:
        fetcher = locked_fetcher()
        source = weasyprint.HTML(string=on_paper(page), url_fetcher=fetcher, base_url=_NOWHERE)
        document = source.render(font_config=configuration, **options)
        document.metadata.generator = creator
        rendered: bytes = document.write_pdf(**options)
    _refuse_wishes(fetcher.refused)
    return rendered


@contextmanager
def _font_configuration() -> Iterator[Any]:
    """WeasyPrint's own, without the folder of fonts that it would leave to a garbage collector that may never run."""
    from weasyprint.text.fonts import FontConfiguration

    configuration = FontConfiguration()
    try:
        yield configuration
    finally:
        configuration.__del__()  # it has no other way to say that it is done


def _refuse_wishes(addresses: list[str]) -> None:
    """An error where a page wanted something from elsewhere: nothing was fetched, so something would be missing."""
    if addresses:
        raise TemplatesError(
            f"report.pdf: your templates ask for {listed(dict.fromkeys(addresses))}, and a report fetches nothing.",
            remedy='Embed it:  src="data:image/png;base64,…" in a template, url("data:…") in a style sheet.',
        )


def attachments(results: AuditResults) -> dict[str, str]:
    """What is attached, by name: everything that it takes to come to the verdict again."""
    return {"results.json": results.to_json(), "policy.json": results.policy.to_json()}


def renderer() -> str:
    """The software that the bytes of a PDF depend on; the PDF names it as what it was created with."""
    require_pango()
    from weasyprint.text.ffi import pango

    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in RENDERED_BY)
    number = pango.pango_version()
    version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return f"landscape-audit {__version__}, {packages}, Pango {version}, zlib {zlib.ZLIB_RUNTIME_VERSION}"


@contextmanager
def _clock_at(date: dt.datetime) -> Iterator[None]:
    """The date that WeasyPrint's libraries write down; they ask the environment, which is put back afterwards."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = str(int(date.timestamp()))
    try:
        yield
    finally:
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
        else:
            os.environ["SOURCE_DATE_EPOCH"] = before


def locked_fetcher() -> Any:
    """Reads `data:` and the bundled fonts, and refuses every other address: no file, no network."""
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    known = {f"{SCHEME}{path.name}": path for path in fonts()}

    class Locked(URLFetcher):  # type: ignore[misc] # weasyprint is untyped
        refused: list[str]

        def fetch(self, url: str, headers: Any = None) -> Any:
            if url in known:
                return URLFetcherResponse(url, known[url].read_bytes(), {"Content-Type": "font/ttf"})
            if url.startswith("data:"):
                return super().fetch(url, headers)
            self.refused.append(url[:80])
            raise ValueError(f"refused: {url[:80]}")

    locked = Locked(allowed_protocols=["data"])
    locked.refused = []
    return locked
