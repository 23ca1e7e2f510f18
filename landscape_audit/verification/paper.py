"""A PDF as it is found: what is attached to it, what it was created with, what its pages say. All of it is foreign."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape_audit.errors import ResultsError
from landscape_audit.text import described

REMEDY = "Name a report.pdf that `landscape-audit run` or `report` wrote, or a results.json."
_MOST_ATTACHMENTS = 100
_MOST_DRAWING = 10_000_000
"""Bytes that draw one page, where the busiest of a report has a hundredth of that."""


@dataclass(frozen=True)
class Page:
    """What a page is made of, as SHA-256: its drawing, the pictures drawn in it, and which other parts it has."""

    drawing: str
    pictures: str
    parts: str


class Paper:
    """A PDF that was opened; a `ResultsError` wherever what it holds cannot be had."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content
        if not content.startswith(b"%PDF-"):
            raise ResultsError(f"{path}: not a report: it is no PDF.", remedy=REMEDY)
        if b"/Encrypt" in content:  # where it is, it is in plain text; asking the reader would need its cryptography
            raise ResultsError(f"{path}: not a report: it is encrypted, and no report is.", remedy=REMEDY)
        from pypdf import PdfReader

        with self._read():
            self._reader = PdfReader(io.BytesIO(content))

    def attached(self) -> list[str]:
        """The names of all that is attached, in their order."""
        return [name for name, _ in self._attachments()]

    def attachment(self, name: str) -> str:
        """The text of the one attachment of that name."""
        meant = [file for called, file in self._attachments() if called == name]
        if len(meant) != 1:
            how = f"{len(meant)} attachments are called {name}: which is meant?" if meant else f"no {name} is attached."
            raise ResultsError(f"{self.path}: not a report: {how}", remedy=REMEDY)
        with self._read():
            return bytes(meant[0].content).decode("utf-8")

    def _attachments(self) -> list[tuple[str, Any]]:
        with self._read():
            files = itertools.islice(self._reader.attachment_list, _MOST_ATTACHMENTS)
            return [(str(file.name), file) for file in files]

    def metadata(self) -> dict[str, str]:
        """Title, dates and what it was created with, by their names in the file."""
        with self._read():
            return {str(name): str(value) for name, value in (self._reader.metadata or {}).items()}

    def pages(self) -> list[Page]:
        """What each page is made of; equal where the pages are."""
        with self._read():
            return [_page(page) for page in self._reader.pages]

    def lines(self, page: int) -> list[str]:
        """The text of a page, from 0."""
        with self._read():
            found = self._reader.pages[page]
            if len(_drawing(found)) > _MOST_DRAWING:
                message = f"page {page + 1} takes more than {_MOST_DRAWING:,} bytes to draw"
                raise ValueError(message)
            return str(found.extract_text()).splitlines()

    @contextlib.contextmanager
    def _read(self) -> Iterator[None]:
        """Whatever goes wrong in here is the file's fault; what the library would say of it goes nowhere."""
        logger = logging.getLogger("pypdf")
        before = logger.level
        logger.setLevel(logging.CRITICAL + 1)  # `disabled` would not reach the loggers below it, which do the talking
        try:
            yield
        except ResultsError:
            raise
        except Exception as error:  # noqa: BLE001 - a parser of hostile files has more ways to fail than it documents
            raise ResultsError(f"{self.path}: broken PDF: {described(error)}.", remedy=REMEDY) from None
        finally:
            logger.setLevel(before)


def _page(page: Any) -> Page:
    drawing = hashlib.sha256(_drawing(page))
    resources = page.get("/Resources", {}).get_object()
    pictures = hashlib.sha256()
    for name, picture in sorted(resources.get("/XObject", {}).get_object().items() if resources else ()):
        pictures.update(name.encode() + b"\0" + picture.get_object().get_data())
    parts = [
        (name, len(value) if isinstance(value := page[name], list | dict) else str(value)) for name in sorted(page)
    ]
    shown = [part for part in parts if part[0] not in {"/Parent", "/Contents", "/Resources"}]
    return Page(drawing.hexdigest(), pictures.hexdigest(), hashlib.sha256(repr(shown).encode()).hexdigest())


def _drawing(page: Any) -> bytes:
    contents = page.get_contents()
    return b"" if contents is None else bytes(contents.get_data())
