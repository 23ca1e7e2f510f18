"""Our model in the `model-index` of a card's front matter, spliced into the text of the YAML.

huggingface_hub says what an entry looks like, but writes the whole front matter anew: comments, quotes, line breaks and
numbers of others would change. So the places are taken from PyYAML's nodes and tokens, and only our lines change.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from landscape_audit.card.entries import OURS
from landscape_audit.card.front_matter import FrontMatter, Item, value_of, word_of
from landscape_audit.card.text import CardText, lines
from landscape_audit.errors import CardError

KEY = "model-index"
_REMEDY = (
    "Write it as huggingface_hub does:  model-index:  and under it, for each model, a line  - name: …  and  results:"
)


class ModelIndex:
    """The models in the front matter of a card."""

    def __init__(self, card: CardText, path: Path) -> None:
        self.card, self.path = card, path
        self.yaml = FrontMatter(card, path)
        self.value = self.yaml.get(KEY)
        self.models = [] if self.value is None or _is_null(self.value) else self._models(self.value)

    @property
    def name(self) -> str | None:
        """Of the last model, which is the card's for the Hub, or what the rest of the front matter calls it."""
        named = [word_of(model.node, "name") for model in self.models]
        return named[-1] if named else word_of(self.yaml.top, "model_name")

    def with_model(self, model: dict[str, Any] | None) -> CardText:
        """The card with our model in place of what was ours, or after all others; for None with nothing of ours."""
        cuts = [cut for each in self.models for cut in self._ours(each)]
        if self.models:
            changed = replace(self.card, yaml=self._among(cuts, model))
        else:
            changed = replace(self.card, yaml=self._first(model) if model else self.card.yaml)
        if model:
            self._check(changed)
        return changed

    def _models(self, value: yaml.Node) -> list[Item]:
        models = self.yaml.items(value, KEY, _REMEDY)
        for model in models:
            line = model.node.start_mark.line
            if word_of(model.node, "name") is None:
                raise self.yaml.error(line, f"is a model of {KEY} without a name", _REMEDY)
            if not isinstance(value_of(model.node, "results"), yaml.SequenceNode):
                raise self.yaml.error(line, f"is a model of {KEY} without a list of results", _REMEDY)
        return models

    def _ours(self, model: Item) -> list[Item]:
        """What of a model is ours: all of it, some of its results, or nothing."""
        results = value_of(model.node, "results")
        if results is None or not any(_is_ours(result) for result in _results(model.node)):
            return []
        items = self.yaml.items(results, "results", _REMEDY)
        ours = [item for item in items if _is_ours(item.node)]
        return [model] if len(ours) == len(items) else ours

    def _first(self, model: dict[str, Any]) -> str:
        """The YAML with our model where there was none of anybody."""
        text, indent = self.card.yaml, self.yaml.indent
        if self.value is None:
            return f"{text}{' ' * indent}{KEY}:{self.card.newline}{self._written(model, indent)}"
        colon, end = self.yaml.after_colon(self.value), self.value.end_mark.index
        rest = lines(text[end:])[0]  # a comment behind `[]`, or behind nothing, stays where it is
        return text[:colon] + rest + self._written(model, indent) + text[end + len(rest) :]

    def _among(self, cuts: list[Item], model: dict[str, Any] | None) -> str:
        """The YAML with our model where the first whole one of ours was, or after all others."""
        whole = [cut for cut in cuts if cut in self.models]
        place = whole[0].start if whole else self.models[-1].end
        ours = self._written(model, self.models[0].indent) if model else ""
        text = self.card.yaml
        for start, end, new in sorted(
            [(place, place, ours), *((cut.start, cut.end, "") for cut in cuts)], reverse=True
        ):
            text = text[:start] + new + text[end:]
        return text

    def _written(self, model: dict[str, Any], indent: int) -> str:
        dumped = yaml.safe_dump([model], sort_keys=False, allow_unicode=True, width=100_000)
        return "".join(f"{' ' * indent}{line}{self.card.newline}" for line in dumped.splitlines())

    def _check(self, changed: CardText) -> None:
        """Our model is read back where it was put; only an odd end of the front matter, such as `...`, prevents it."""
        try:
            value = FrontMatter(changed, self.path).get(KEY)
        except CardError:
            value = None
        models = value.value if isinstance(value, yaml.SequenceNode) else []
        if not any(_is_ours(result) for model in models for result in _results(model)):
            raise self.yaml.error(len(lines(self.card.yaml)) - 1, f"leaves no room for {KEY} after it", _REMEDY)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and str(node.tag).endswith(":null")


def _results(model: yaml.Node) -> list[yaml.Node]:
    results = value_of(model, "results")
    return results.value if isinstance(results, yaml.SequenceNode) else []


def _is_ours(result: yaml.Node) -> bool:
    """Whether every metric of a result is of our types."""
    metrics = value_of(result, "metrics")
    types = [word_of(metric, "type") for metric in metrics.value] if isinstance(metrics, yaml.SequenceNode) else []
    return bool(types) and all(each is not None and each.startswith(OURS) for each in types)
