"""One table of a proposed `audit.toml`, and what a person has to know about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from landscape_audit.proposal.toml import comment, setting


@dataclass
class Section:
    """Lines below `[name]`, a remark on what they are for, and what is missing or only guessed."""

    name: str
    purpose: str
    lines: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)

    def sets(self, key: str, value: object, why: str = "") -> None:
        """Settle a setting."""
        self.lines.append(setting(key, value, why))

    def guesses(self, key: str, value: object, why: str) -> None:
        """Settle a setting by what is most likely, and say so."""
        self.sets(key, value, f"a guess: {why}")
        self.guessed.append(f"[{self.name}] {setting(key, value)}: {why}")

    def offers(self, key: str, value: object, why: str = "") -> None:
        """Leave a setting out, with its line to uncomment."""
        self.lines.append(f"# {setting(key, value, why)}")

    def lacks(self, key: str, example: object, what: str) -> None:
        """Leave a setting out that an audit cannot do without."""
        self.offers(key, example, f"MISSING: {what}")
        self.missing.append(f"[{self.name}] {key}: {what}, such as  {setting(key, example)}")

    def remarks(self, texts: Iterable[str]) -> None:
        """Say something about it."""
        self.lines += [comment(text) for text in texts]

    def __str__(self) -> str:
        return "\n".join([comment(self.purpose), f"[{self.name}]", *self.lines])
