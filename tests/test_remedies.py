"""Every error that a user can cause says what to do about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import landscape_audit
from landscape_audit import errors

PACKAGE = Path(landscape_audit.__file__).parent
KINDS = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, errors.AuditError)}


def raised(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that make an error, by its name or by that of an argument that a caller chose it with."""
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and _is_kind(node.annotation)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in KINDS | arguments:
                yield node


def _is_kind(annotation: ast.expr | None) -> bool:
    return annotation is not None and ast.unparse(annotation) == "type[AuditError]"


def has_remedy(call: ast.Call) -> bool:
    """Whether a remedy is given that is not an empty text."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    return "remedy" in given and not any(
        isinstance(part, ast.Constant) and part.value == "" for part in ast.walk(given["remedy"])
    )


def found() -> list[tuple[str, ast.Call]]:
    return [
        (f"{path.relative_to(PACKAGE)}:{call.lineno}", call)
        for path in sorted(PACKAGE.rglob("*.py"))
        for call in raised(ast.parse(path.read_text(encoding="utf-8")))
    ]


def test_every_error_that_is_made_in_the_package_has_a_remedy() -> None:
    errors_made = found()
    assert len(errors_made) > 150
    assert [where for where, call in errors_made if not has_remedy(call)] == []


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("raise DataError('a')", False),
        ("raise errors.DataError('a', remedy='')", False),
        ("def f(kind: type[AuditError]): raise kind('a', remedy='b' if c else '')", False),
        ("def f(kind: type[AuditError]): raise kind('a', remedy=REMEDY)", True),
        ("return ModelError('a', remedy=f'b {c}')", True),
    ],
)
def test_a_remedy_that_may_be_empty_is_none(text: str, has: bool) -> None:  # noqa: FBT001 - what is expected
    assert [has_remedy(call) for call in raised(ast.parse(text))] == [has]
