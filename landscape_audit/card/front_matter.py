"""The YAML of a card, with the place of everything in it: what is there, on which line, and from where to where."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path

import yaml

from landscape_audit.card.text import CardText, lines
from landscape_audit.errors import CardError
from landscape_audit.text import described

MEND = "Mend the front matter; nothing was changed."


@dataclass(frozen=True)
class Item:
    """One item of a list: its lines, from that of its dash to the last with something of it."""

    start: int
    end: int
    indent: int
    node: yaml.MappingNode


class FrontMatter:
    """What YAML says of the front matter of one card; an error, naming the line, where the Hub would read none of it.

    Nothing in it is constructed: the nodes are text with a tag, and what an alias stands for is not copied.
    """

    def __init__(self, card: CardText, path: Path) -> None:
        self.card, self.path, self.text = card, path, card.yaml
        self.top, tokens = self._parsed()
        # Those that stand for the structure have no characters of their own: the rest is in order, and ends in order.
        self.tokens = [token for token in tokens if token.end_mark.index > token.start_mark.index]
        self.dashes = [token.start_mark for token in self.tokens if isinstance(token, yaml.BlockEntryToken)]
        self._refuse_repeated_keys()

    @property
    def indent(self) -> int:
        """How far its keys are from the left."""
        return 0 if self.top is None else int(self.top.start_mark.column)

    def get(self, key: str) -> yaml.Node | None:
        """The value of a key; an error where it is, or has in it, an alias: what that stands for is elsewhere."""
        found = [pair for pair in (self.top.value if self.top else ()) if is_word(pair[0], key)]
        if not found:
            return None
        name, value = found[0]
        start, end = value.start_mark.index, value.end_mark.index
        aliases = (token.start_mark.index for token in self.tokens if isinstance(token, yaml.AliasToken))
        if start < name.end_mark.index or any(start <= alias < end for alias in aliases):
            raise self.error(name.start_mark.line, f"has an alias in {key}", f"Write {key} without it.")
        return value

    def items(self, node: yaml.Node, what: str, remedy: str) -> list[Item]:
        """The items of a list that is written with dashes, each a table."""
        line = node.start_mark.line
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(line, f"has a {what} that is no list", remedy)
        if node.flow_style and node.value:
            raise self.error(line, f"has a {what} in brackets", remedy)
        return [self._item(each, what, remedy) for each in node.value]

    def after_colon(self, node: yaml.Node) -> int:
        """Where the text after the colon begins whose value is `node`."""
        colons = (token.end_mark.index for token in self.tokens if isinstance(token, yaml.ValueToken))
        return int(max(index for index in colons if index <= node.start_mark.index))

    def error(self, line: int, found: str, remedy: str = MEND) -> CardError:
        """What was found on a line of the YAML, counted in the file."""
        return CardError(f"{self.path}: front matter: line {self.card.yaml_line + line} {found}.", remedy=remedy)

    def _parsed(self) -> tuple[yaml.MappingNode | None, list[yaml.Token]]:
        try:
            loader = _Loader(self.text)
            top = loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self.error(mark.line if mark else 0, f"is not YAML: {error.problem}") from None
        except yaml.reader.ReaderError as error:
            before = lines(self.text[: error.position + 1])
            raise self.error(len(before) - 1, f"has the character U+{error.character:04X}") from None
        except RecursionError as error:
            raise self.error(0, f"begins what is nested too deeply: {described(error)}") from None
        if top is not None and (not isinstance(top, yaml.MappingNode) or top.flow_style):
            raise self.error(top.start_mark.line, "is not a list of  key: value  lines")
        return top, loader.taken

    def _refuse_repeated_keys(self) -> None:
        seen: dict[str, int] = {}
        for key, _ in self.top.value if self.top else ():
            line = key.start_mark.line
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                first = self.card.yaml_line + seen[key.value]
                raise self.error(line, f"has '{key.value}' again, which is on line {first} too")
            if isinstance(key, yaml.ScalarNode):
                seen[key.value] = line

    def _item(self, node: yaml.Node, what: str, remedy: str) -> Item:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node.start_mark.line, f"has something in {what} that is no table", remedy)
        dash = self.dashes[bisect_right(self.dashes, node.start_mark.index, key=_index) - 1]
        last = self.tokens[bisect_left(self.tokens, node.end_mark.index, key=_start) - 1].end_mark.index
        if self.text[last - 1] not in "\r\n":  # a block of text ends with its line
            last += len(lines(self.text[last:])[0])
        return Item(dash.index - dash.column, last, dash.column, node)


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML comes without types
    """One that remembers the tokens that it took."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.taken: list[yaml.Token] = []

    def get_token(self) -> yaml.Token:
        self.taken.append(super().get_token())
        return self.taken[-1]


def value_of(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value of a key of a table; None where there is none, or no table."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if is_word(name, key)), None)


def word_of(node: yaml.Node | None, key: str) -> str | None:
    """The text of a key of a table; None where there is none, or it is no text."""
    value = value_of(node, key)
    return str(value.value) if isinstance(value, yaml.ScalarNode) else None


def is_word(node: yaml.Node, word: str) -> bool:
    """Whether a node is this text."""
    return isinstance(node, yaml.ScalarNode) and bool(node.value == word)


def _start(token: yaml.Token) -> int:
    return int(token.start_mark.index)


def _index(mark: yaml.Mark) -> int:
    return int(mark.index)
