"""The text of a card, which is kept to the byte but for what is ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from landscape_audit.errors import CardError
from landscape_audit.reading import read_bytes

BOM = "\ufeff"
MOST_BYTES = 10_000_000
"""Of a card; the Hub shows none of a tenth of that."""

_END = r"(?:\r\n|\r|\n)"
# What the Hub takes for front matter (REGEX_YAML_BLOCK of huggingface_hub.repocard), and one with nothing in it.
_FRONT_MATTER = re.compile(rf"(\s*---{_END})((?:[\S\s]*?{_END})??)(---[ \t]*(?:\r\n|\n|\Z))")
_BEGUN = re.compile(r"\s*---\s")


@dataclass(frozen=True)
class CardText:
    """A card in its parts, which put together are the whole of it; `yaml` is without the lines that fence it."""

    bom: str
    opening: str
    yaml: str
    closing: str
    body: str
    newline: str

    @property
    def yaml_line(self) -> int:
        """The line of the file on which the YAML begins."""
        return 1 + len(lines(self.opening))

    @property
    def body_line(self) -> int:
        """The line of the file on which the text under the front matter begins."""
        return self.yaml_line + len(lines(self.yaml)) + len(lines(self.closing))

    def whole(self) -> str:
        """The file; with front matter where it had none and now has something to say."""
        opening, closing = self.opening, self.closing
        if self.yaml and not opening:
            opening, closing = f"---{self.newline}", f"---{self.newline}{self.newline}"
        return f"{self.bom}{opening}{self.yaml}{closing}{self.body}"


def read_card(path: Path) -> str:
    """The text of a card, line ends and all; an error where there is none that could be kept."""
    try:
        return read_bytes(path, MOST_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CardError(
            f"{path}: not UTF-8: byte {error.start:,} is 0x{error.object[error.start]:02x}.",
            remedy="A model card is UTF-8 text. Save it as that; nothing was changed.",
        ) from None
    except OSError as error:
        raise CardError(
            f"{path}: cannot be read: {error.strerror or error}.", remedy="Name the README.md of the model."
        ) from None


def split(text: str, path: Path) -> CardText:
    """A card in its parts; an error where front matter begins that the Hub would not read."""
    bom = BOM if text.startswith(BOM) else ""
    rest = text.removeprefix(BOM)
    first = re.search(r"\r?\n", rest)
    newline = first[0] if first else "\n"
    found = _FRONT_MATTER.match(rest)
    if found:
        return CardText(bom, found[1], found[2], found[3], rest[found.end() :], newline)
    if _BEGUN.match(rest):
        raise CardError(
            f"{path}: line {1 + len(lines(rest[: rest.index('---')]))} begins front matter that does not end.",
            remedy="Front matter is a line  ---  , YAML, and another line  ---  with nothing else on it.",
        )
    return CardText(bom, "", "", "", rest, newline)


def lines(text: str) -> list[str]:
    """The lines of a text with their ends, as YAML and Markdown count them: a form feed ends none."""
    return re.findall(rf"[^\r\n]*{_END}|[^\r\n]+\Z", text)
