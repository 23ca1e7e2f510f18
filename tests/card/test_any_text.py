"""Whatever a card is made of, it is refused in words, or it takes the audit and keeps the rest."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cards import CARDS
from results_factory import an_audit

from landscape_audit.card.card import card_with
from landscape_audit.card.text import split
from landscape_audit.errors import CardError

PIECES = [
    *("\n", "\r\n", "\r", " ", "\t", "\x0c", "\u2028", "\ufeff", "- ", "# ", ": ", "> ", "? ", "&a ", "*a", "|\n"),
    *("---\n", "...\n", "[", "]", "{", "}", "'", '"', "<!--", "-->", "```\n", "<div>\n", "<pre>\n"),
    *("model-index:\n", "name: x\n", "results:\n", "license: mit\n"),
    *("<!-- landscape-audit:begin -->\n", "<!-- landscape-audit:end -->\n"),
]
MUTATION = st.tuples(st.floats(0, 1), st.integers(0, 20), st.sampled_from(PIECES))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    (folder / "results.json").write_text(an_audit().to_json(), encoding="utf-8")
    return folder


@settings(max_examples=25, deadline=None)
@given(text=st.sampled_from(list(CARDS.values())), mutations=st.lists(MUTATION, min_size=1, max_size=4))
def test_a_damaged_card_is_refused_or_keeps_what_it_says(place, text, mutations):
    for where, cut, piece in mutations:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    path = place / "README.md"
    path.write_bytes(text.encode())
    try:
        card = card_with(place / "results.json", path)
    except CardError:
        return
    card.write()
    again = card_with(place / "results.json", path)
    assert (again.after, again.stale) == (card.after, ())
    before, after = (split(each, path) for each in (text, card.after))
    assert others(after.yaml) == others(before.yaml)


def others(text):
    """What the front matter says that is not of ours, in the order in which it says it."""
    nodes = yaml.compose(text, Loader=yaml.SafeLoader)
    return [yaml.serialize(pair[1]) for pair in (nodes.value if nodes else []) if pair[0].value != "model-index"]
