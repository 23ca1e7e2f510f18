"""The files that pages are made of: ours, and in the place of any of them a team's own.

A team's templates are trusted less than code: they see the view and nothing else, can reach no file outside their
folder, and whatever they do with a foreign word, it stays a word.
"""

from __future__ import annotations

import hashlib
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    FunctionLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
)
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from landscape_audit.errors import TemplatesError
from landscape_audit.reading import read_bytes
from landscape_audit.report.plain import plain
from landscape_audit.report.tables import unbroken
from landscape_audit.resources import template_dir
from landscape_audit.text import described, did_you_mean, printable

MARK = "own templates"
SHEETS = ("report.css", "screen.css", "print.css")
PAGES = ("report.html.j2", "summary.md.j2")
MOST_FILES, MOST_BYTES = 200, 10_000_000
"""Of a folder of templates: ours has twenty files and a hundredth of the bytes."""
LARGEST_PAGE = 20_000_000
"""Characters: ten times what a report may have."""
_OBJECT = re.compile(r"'landscape_audit\.[\w.]*?(\w+) object'")
_REMEDY = "`landscape-audit report --list-templates` shows what there is to use, and where our own templates are."


class Templates:
    """What pages are filled into. Of a team's folder everything is read at once: later changes change no report."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._own: Mapping[str, bytes] = {} if folder is None else _files_in(folder)

    @property
    def mark(self) -> str:
        """What a report says of a team's templates, so that nobody takes its pages for ours; nothing of ours."""
        digest = hashlib.sha256(repr(sorted(self._own.items())).encode()).hexdigest()
        return f"{MARK} {digest[:16]}" if self._own else ""

    def text(self, name: str) -> str:
        """A style sheet or a script, whole."""
        own = self._source(name)
        return own[0] if own else Path(template_dir() / name).read_text(encoding="utf-8")

    def filled(self, name: str, **values: object) -> str:
        """A page; what goes wrong in a team's templates is an error that says where."""
        if self.folder is None:
            return self.environment.get_template(name).render(values)
        try:
            page = "".join(_bounded(name, self.environment.get_template(name).generate(values)))
            page.encode()  # what is written as a constant in a template can be half of a character
            return page  # noqa: TRY300 - encoding is what is tried
        except TemplatesError:
            raise
        except Exception as error:  # a template can raise whatever an expression can
            raise _mistake(error, (self.folder, template_dir())) from error

    @cached_property
    def environment(self) -> _Sandbox:
        """The one Jinja environment, escaping everything."""
        environment = _Sandbox(
            loader=ChoiceLoader([FunctionLoader(self._source), FileSystemLoader(template_dir())]),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_harmless,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for unwanted in ("safe", "urlize", "random"):  # foreign words as tags or as links; other bytes every time
            del environment.filters[unwanted]
        del environment.globals["lipsum"]
        environment.filters["md"] = plain
        environment.filters["unbroken"] = unbroken
        return environment

    def _source(self, name: str) -> tuple[str, str, None] | None:
        if self.folder is None or name not in self._own:
            return None
        path = self.folder / name
        try:
            return self._own[name].decode("utf-8"), str(path), None
        except UnicodeDecodeError as error:
            told = f"{path}: not UTF-8: byte {error.start + 1} is 0x{error.object[error.start]:02x}."
            raise TemplatesError(told, remedy="Save it as UTF-8.") from None


class _Sandbox(ImmutableSandboxedEnvironment):
    """Also without the two operators that make something huge out of two small things."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002 - Jinja's own
        if operator == "*" and all(isinstance(each, float) or _is_small(each) for each in (left, right)):
            return left * right
        told = f"{operator} is for products of two numbers, of a hundred digits at most"
        raise SecurityError(told)


def _is_small(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < 10**100


OURS = Templates()


def replaceable() -> tuple[str, ...]:
    """The files in whose place a team can put its own."""
    parts = sorted(f"parts/{path.name}" for path in (template_dir() / "parts").iterdir())
    return (*PAGES, *parts, *SHEETS)


def _harmless(value: object) -> object:
    """The one place that every word of every report passes: nothing in it is a tag, a control or a format character.

    Words are escaped here, and not only by Jinja's own rule, which a template can switch off for a part of itself.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape(printable(value, limit=len(value)))
    if value is None or isinstance(value, Markup | Undefined | int | float):
        return value
    told = f"{{{{ }}}} around a {type(value).__name__}, which is no word and no number: name a part of it"
    raise TemplateRuntimeError(told)


def _bounded(name: str, pieces: Iterator[str]) -> Iterator[str]:
    left = LARGEST_PAGE
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            told = f"{name}: the page has more than {LARGEST_PAGE:,} characters."
            raise TemplatesError(told, remedy="Look for a loop in your templates that repeats too much.")
        yield piece


# ------------------------------------------------------------------------------------------------------------- folder


def _files_in(folder: Path) -> dict[str, bytes]:
    """Every file under `folder` that is not hidden, by its name there; none that lies elsewhere."""
    if not folder.is_dir():
        raise TemplatesError(f"{folder}: no such folder.", remedy="Name the folder of your templates.")
    found: dict[str, bytes] = {}
    for path in _paths(folder):
        name = path.relative_to(folder).as_posix()
        try:
            found[name] = read_bytes(path, MOST_BYTES)
        except OSError as error:
            raise TemplatesError(f"{path}: cannot be read: {error.strerror or error}.", remedy="Remove it.") from None
        if len(found) > MOST_FILES or sum(map(len, found.values())) > MOST_BYTES:
            told = f"{folder}: more than {MOST_FILES} files or {MOST_BYTES:,} bytes."
            raise TemplatesError(told, remedy="Is it the folder of your templates? It should hold nothing else.")
    if not found.keys() & set(replaceable()):
        told = f"{folder}: no file in it has the name of one of ours, so nothing would change."
        first = next(iter(found), "report.css")
        raise TemplatesError(told, details=[did_you_mean(first, replaceable())], remedy=_REMEDY)
    return found


def _paths(folder: Path) -> Iterator[Path]:
    whole = folder.resolve()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in (*folders, *sorted(files)) if not name.startswith(".")):
            if not path.resolve().is_relative_to(whole):
                told = f"{path}: a link that leads out of {folder}."
                raise TemplatesError(told, remedy="Copy the file into the folder: templates can use nothing else.")
            if not path.is_dir():
                yield path


# ------------------------------------------------------------------------------------------------------------- errors


def _mistake(error: Exception, folders: tuple[Path, ...]) -> TemplatesError:
    """`mine/parts/check.html.j2, line 3: 'chek' is undefined.`"""
    if isinstance(error, TemplateSyntaxError):
        where, what = f"{error.filename or error.name}, line {error.lineno}", error.message or "not a template"
    else:
        where, what = _place(error, folders), _told(error)
    return TemplatesError(f"{where}: {printable(what.rstrip('.'), 500)}.", remedy=_REMEDY)


def _place(error: Exception, folders: tuple[Path, ...]) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if any(Path(frame.filename).is_relative_to(folder) for folder in folders)]
    return f"{inside[-1].filename}, line {inside[-1].lineno}" if inside else str(folders[0])


def _told(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it includes or calls itself without an end"
    if isinstance(error, TemplateNotFound):
        return f"there is no template '{error.name}', neither in this folder nor among ours"
    said = str(error.message) if isinstance(error, TemplateRuntimeError) else described(error)
    return _OBJECT.sub(r"a \1", said)
