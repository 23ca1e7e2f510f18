"""Our model in the `model-index` of a card's front matter, spliced into the text of the YAML.

huggingface_hub says what an entry looks like, but writes the whole front matter anew: comments, quotes, line breaks and
numbers of others would change. So the places are taken from PyYAML's tokens and nodes, and only our lines change.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from landscape_audit.card.entries import OURS
from landscape_audit.card.text import CardText, lines
from landscape_audit.errors import CardError
from landscape_audit.text import described

KEY = "model-index"
_OTHER_WAY = (
    "Write it as huggingface_hub does:  model-index:  , and under it a line  - name: …  with  results:  for each model."
)


@dataclass(frozen=True)
class _Item:
    """One item of a list: its lines, from that of its dash to the last with something of it."""

    start: int
    end: int
    indent: int
    node: yaml.MappingNode


def with_model(card: CardText, model: dict[str, Any] | None, path: Path) -> CardText:
    """The card with our model in place of what was ours, or after the models of others; without it where it is None."""
    return _Splice(card, path).with_model(model)


def name_of_model(card: CardText, path: Path) -> str | None:
    """What the card calls its model in the model-index; None where there is none yet."""
    return _Splice(card, path).name()


class _Splice:
    """The front matter of one card with the places of what is in it."""

    def __init__(self, card: CardText, path: Path) -> None:
        self.card, self.path, self.text = card, path, card.yaml
        self.top = self._parsed()
        tokens = [] if self.top is None else list(yaml.scan(self.text, Loader=yaml.SafeLoader))
        # Those that stand for the structure have no characters of their own: the rest is in order, and ends in order.
        self.tokens = [token for token in tokens if token.end_mark.index > token.start_mark.index]
        self.dashes = [token.start_mark for token in self.tokens if isinstance(token, yaml.BlockEntryToken)]
        self.value = None if self.top is None else self._value(self.top)
        self.models = self._models()

    def name(self) -> str | None:
        """Of the last model, which is the card's for the Hub, or what the rest of the front matter calls it."""
        named = [_scalar(model.node, "name") for model in self.models]
        return named[-1] if named else _scalar(self.top, "model_name") if self.top else None

    def with_model(self, model: dict[str, Any] | None) -> CardText:
        """The card with this model; one of others' broken entries is an error, for the Hub reads none of it then."""
        cuts = [cut for each in self.models for cut in self._ours(each)]
        if self.models:
            found = replace(self.card, yaml=self._among(cuts, model))
        else:
            found = replace(self.card, yaml=self._first(model) if model else self.text)
        if model:
            self._check(found)
        return found

    # ------------------------------------------------------------------------------------------------------- reading

    def _parsed(self) -> yaml.MappingNode | None:
        try:
            top = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(mark.line if mark else 0, f"is not YAML: {error.problem}") from None
        except yaml.reader.ReaderError as error:
            before = lines(self.text[: error.position + 1])
            raise self._error(len(before) - 1, f"has the character U+{error.character:04X}") from None
        except RecursionError as error:
            raise self._error(0, f"is nested too deeply: {described(error)}") from None
        if top is not None and (not isinstance(top, yaml.MappingNode) or top.flow_style):
            raise self._error(top.start_mark.line, "is not a list of  key: value  lines")
        return top

    def _value(self, top: yaml.MappingNode) -> yaml.Node | None:
        seen: dict[str, int] = {}
        found = None
        for key, value in top.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line
            if key.value in seen:
                first = self.card.yaml_line + seen[key.value]
                raise self._error(line, f"has '{key.value}' again, which is on line {first} too")
            seen[key.value] = line
            if key.value == KEY:
                found = value
                self._refuse_aliases(key, value)
        return found

    def _refuse_aliases(self, key: yaml.Node, value: yaml.Node) -> None:
        """What an alias stands for is elsewhere, and would change there."""
        end = max(value.end_mark.index, key.end_mark.index + 1)
        for token in self.tokens:
            at = token.start_mark.index
            elsewhere = value.start_mark.index < key.end_mark.index and at > key.end_mark.index
            if isinstance(token, yaml.AliasToken) and (elsewhere or key.end_mark.index < at < end):
                raise self._error(token.start_mark.line, f"has an alias in {KEY}", _OTHER_WAY)

    def _models(self) -> list[_Item]:
        if self.value is None or (isinstance(self.value, yaml.ScalarNode) and self.value.tag.endswith(":null")):
            return []
        models = self._items(self.value, KEY)
        for model in models:
            if not isinstance(_scalar(model.node, "name"), str):
                raise self._error(model.node.start_mark.line, f"is a model of {KEY} without a name", _OTHER_WAY)
        return models

    def _ours(self, model: _Item) -> list[_Item]:
        """What of a model is ours: all of it, some of its results, or nothing."""
        results = next((value for key, value in model.node.value if key.value == "results"), None)
        if results is None or not isinstance(results, yaml.SequenceNode):
            raise self._error(model.node.start_mark.line, f"is a model of {KEY} without a list of results", _OTHER_WAY)
        if not any(_is_ours(result) for result in results.value):
            return []
        items = self._items(results, "results")
        ours = [item for item in items if _is_ours(item.node)]
        return [model] if len(ours) == len(items) else ours

    def _items(self, node: yaml.Node, what: str) -> list[_Item]:
        line = node.start_mark.line
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(line, f"has a {what} that is no list", _OTHER_WAY)
        if node.flow_style and node.value:
            raise self._error(line, f"has a {what} in brackets", _OTHER_WAY)
        return [self._item(each, what) for each in node.value]

    def _item(self, node: yaml.Node, what: str) -> _Item:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node.start_mark.line, f"has something in {what} that is no table", _OTHER_WAY)
        dash = self.dashes[bisect_right(self.dashes, node.start_mark.index, key=_index) - 1]
        last = self.tokens[bisect_left(self.tokens, node.end_mark.index, key=_start) - 1].end_mark.index
        if self.text[last - 1] not in "\r\n":  # a block of text ends with its line
            last += len(lines(self.text[last:])[0])
        return _Item(dash.index - dash.column, last, dash.column, node)

    # ------------------------------------------------------------------------------------------------------- writing

    def _first(self, model: dict[str, Any]) -> str:
        """The YAML with our model where there was none of anybody."""
        indent = 0 if self.top is None else self.top.start_mark.column
        if self.value is None:
            return f"{self.text}{' ' * indent}{KEY}:{self.card.newline}{self._written(model, indent)}"
        start, end = self.value.start_mark.index, self.value.end_mark.index
        colons = (token.end_mark.index for token in self.tokens if isinstance(token, yaml.ValueToken))
        colon = max(index for index in colons if index <= start)
        rest = lines(self.text[end:])[0]  # a comment behind `[]`, or behind nothing, stays where it is
        return self.text[:colon] + rest + self._written(model, indent) + self.text[end + len(rest) :]

    def _among(self, cuts: list[_Item], model: dict[str, Any] | None) -> str:
        """The YAML with our model where the first whole one of ours was, or after all others."""
        whole = [cut for cut in cuts if cut in self.models]
        place = whole[0].start if whole else self.models[-1].end
        ours = self._written(model, self.models[0].indent) if model else ""
        changes = [(cut.start, cut.end, "") for cut in cuts] + [(place, place, ours)]
        text = self.text
        for start, end, new in sorted(changes, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def _written(self, model: dict[str, Any], indent: int) -> str:
        dumped = yaml.safe_dump([model], sort_keys=False, allow_unicode=True, width=100_000)
        return "".join(f"{' ' * indent}{line}{self.card.newline}" for line in dumped.splitlines())

    def _check(self, changed: CardText) -> None:
        """Our model is read back where it was put; only an odd end of the front matter, such as `...`, prevents it."""
        try:
            again = _Splice(changed, self.path)
            found = any(again._ours(model) == [model] for model in again.models)
        except CardError:
            found = False
        if not found:
            raise self._error(len(lines(self.text)) - 1, f"leaves no room for {KEY} after it", _OTHER_WAY)

    def _error(self, line: int, found: str, remedy: str = "Mend the front matter; nothing was changed.") -> CardError:
        return CardError(f"{self.path}: front matter: line {self.card.yaml_line + line} {found}.", remedy=remedy)


def _scalar(node: yaml.MappingNode, name: str) -> str | None:
    found = (value.value for key, value in node.value if key.value == name and isinstance(value, yaml.ScalarNode))
    return next(found, None)


def _is_ours(result: yaml.Node) -> bool:
    """Whether every metric of a result is of our types."""
    metrics = [value for key, value in result.value if key.value == "metrics"] if _is_table(result) else []
    each = metrics[0].value if metrics and isinstance(metrics[0], yaml.SequenceNode) else []
    return bool(each) and all(_is_table(one) and (_scalar(one, "type") or "").startswith(OURS) for one in each)


def _is_table(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def _start(token: yaml.Token) -> int:
    return int(token.start_mark.index)


def _index(mark: yaml.Mark) -> int:
    return int(mark.index)
