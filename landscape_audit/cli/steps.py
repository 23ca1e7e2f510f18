"""Steps that are tried one after the other, where one that fails stops only those that need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from landscape_audit.errors import AuditError

Taken = TypeVar("Taken")
Word = Literal["ok", "told", "problem", "not tried"]


@dataclass(frozen=True)
class Finding:
    """How one step went. `told` is fine, but differs from what one would expect."""

    step: str
    word: Word
    says: str
    exit_code: int = 0


class NotTriedError(Exception):
    """What another step needs is not there."""


@dataclass(frozen=True)
class Step(Generic[Taken]):
    """One step, and what it gave where it went well."""

    name: str
    result: tuple[Taken] | None

    def get(self) -> Taken:
        """What it gave; the step that asks is not tried where there is nothing."""
        if self.result is None:
            raise NotTriedError(self.name)
        return self.result[0]


class Steps:
    """Tries steps, and tells of each when it starts and how it went."""

    def __init__(self, start: Callable[[str], None], tell: Callable[[Finding], None]) -> None:
        self._start = start
        self._tell = tell
        self.exit_code = 0

    def take(self, name: str, work: Callable[[], Taken], says: Callable[[Taken], str]) -> Step[Taken]:
        """Do `work`. An AuditError is a problem, in the words that an audit would end with."""
        self._start(name)
        try:
            found = work()
        except NotTriedError as missing:
            self._tell(Finding(name, "not tried", f"needs {missing}"))
            return Step(name, None)
        except AuditError as error:
            self._problem(name, str(error), error.exit_code)
            return Step(name, None)
        self._tell(Finding(name, "ok", says(found)))
        return Step(name, (found,))

    def told(self, name: str, says: str) -> None:
        """Something to know, which would not stop an audit."""
        self._tell(Finding(name, "told", says))

    def _problem(self, name: str, says: str, code: int) -> None:
        self.exit_code = self.exit_code or code
        self._tell(Finding(name, "problem", says, code))
