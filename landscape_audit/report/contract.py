"""What a team's templates can use, in words made from the views themselves."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

from landscape_audit.report.templates import replaceable
from landscape_audit.report.view import ReportView
from landscape_audit.resources import template_dir
from landscape_audit.text import aligned

_VARIABLES = (
    ("view", "report.html.j2 and its parts: a ReportView; summary.md.j2: its FirstPage, and more that it need not use"),
    ("paper", "whether the page is that of report.pdf, on which no script runs"),
    ("csp", "what the page may use; it must be the first thing in <head> after the charset"),
    ("style, script", "what is embedded: the style sheets as one, and what turns a surface and sorts a table"),
    ("generator", "what made the page"),
    ("shown", "summary.md.j2: how many gates fit into it"),
    ("md", "a filter for summary.md.j2: words in which Markdown finds no mark"),
    ("unbroken", "a filter: words with each interval in them as one word, which no line breaks"),
)


def contract() -> str:
    """The files, then the variables, then each view with its fields."""
    files = "".join(f"  {name}\n" for name in replaceable())
    variables = "".join(f"  {line}\n" for line in aligned(_VARIABLES))
    views = "\n".join(_described(view) for view in _views(ReportView, {}))
    return (
        f"Templates, which are in {template_dir()}: copy one and change the copy, which takes its "
        f"whole place.\n{files}\n"
        f"What they can use:\n{variables}\n"
        f"Views, whose fields are words and numbers that are ready to be shown:\n\n{views}"
    )


def _described(view: type) -> str:
    fields = [(name, _typed(hint)) for name, hint in _parts(view)]
    about = " ".join((view.__doc__ or "").split())
    return f"{view.__name__}: {about}\n" + "".join(f"  {line}\n" for line in aligned(fields))


def _parts(view: type) -> list[tuple[str, Any]]:
    """Fields, then properties, with their types; of a FirstPage's extension its own come after."""
    hints = get_type_hints(view)
    fields = [(field.name, hints[field.name]) for field in dataclasses.fields(view)]
    made = {name: each for name, each in vars(view).items() if isinstance(each, property)}
    return [*fields, *((name, get_type_hints(each.fget)["return"]) for name, each in made.items())]


def _views(view: type, known: dict[type, None]) -> Iterator[type]:
    """A view and all that it is made of, each once, in the order in which they are met."""
    known[view] = None
    yield view
    for _, hint in _parts(view):
        for part in _named_in(hint):
            if dataclasses.is_dataclass(part) and part not in known:
                yield from _views(part, known)


def _named_in(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for part in get_args(hint):
        yield from _named_in(part)


def _typed(hint: Any) -> str:
    """`tuple[GateView, ...]`, without the modules."""
    return re.sub(r"\b[a-z_]+\.", "", hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint))
