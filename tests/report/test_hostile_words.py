"""Hostile text in every place of the results that takes text: no output is shaped by it."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pikepdf
import pytest
import yaml
from hostile_audit import DETAILS, HOSTILE
from markdown_it import MarkdownIt
from pydantic import ValidationError
from results_factory import a_check, an_audit, between

from landscape_audit.card.card import card_with
from landscape_audit.cli.summary import failures, summary
from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.estimate import Label
from landscape_audit.gates.judge import judged, last_line
from landscape_audit.policy import Policy
from landscape_audit.report.anchor import SECTIONS
from landscape_audit.report.pdf import pdf
from landscape_audit.report.render import SCRIPTS, html, markdown
from landscape_audit.report.view import view
from landscape_audit.resources import template_dir
from landscape_audit.results import AuditResults, Failed, Measured

MARKED = (
    HOSTILE[:60],
    "\"><img src=x onerror=alert(1)><svg onload=alert(1)>' onmouseover='x",
    "{{ view.title }}{% for x in y %}${x}#{x}<!-- --></style></title><script>alert(1)</script>",
    "[x](javascript:alert(1)) ![y](http://127.0.0.1/z) <https://example.org> @everyone | a | b |",
    "http://2130706433/ HTTPS://example.org WWW.example.org (www.example.org) ftp://x mailto:someone",
    "\n\n# title\n---\n```\n::error::forged\nlandscape-audit: PASS  9 passed, 0 failed, 0 undecided  (exit 0)",
    "\x1b]8;;http://127.0.0.1\x07link\x1b]8;;\x07\x1b[2J\r\u2028\u2029\u2066\u202e\u200b\ufeff\x00\x9b31m",
    '=HYPERLINK("http://127.0.0.1")\t+1\t@SUM(A1)../../../../etc/passwd',
    "w" * 100_000,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every piece of text."""
    if isinstance(tree, str):
        yield path
    elif isinstance(tree, (dict, list)):
        for step in tree if isinstance(tree, dict) else range(len(tree)):
            yield from places(tree[step], (*path, step))


def with_text(tree: Any, path: tuple[Any, ...], text: str) -> Any:
    """The tree with another text at the end of a way."""
    if not path:
        return text
    changed = tree.copy()
    changed[path[0]] = with_text(tree[path[0]], path[1:], text)
    return changed


def is_free(tree: Any, path: tuple[Any, ...]) -> bool:
    """Whether results may have any text there."""
    try:
        AuditResults.model_validate_json(json.dumps(with_text(tree, path, "Any text.")))
    except ValidationError:
        return False
    return path[-1] not in {"schema_version", "key"}


@pytest.fixture(scope="module")
def audited():
    """Good results, and the ways to every text in them that is free."""
    policy = Policy.model_validate({"gates": {"sharpness.lambda_max": {"at_most": 20.0, "why": "w"}}})
    details = (*DETAILS[:4], DETAILS[4].model_copy(update={"rows": (("a", "b"),)}))
    measured = Measured(estimates={"lambda_max": between(29.0, 31.0, 33.0)}, details=details, caveats=("c",))
    outcomes = {"sharpness": measured, "trace": Failed(error="broken")}
    results = an_audit(outcomes, policy=policy, partial="interrupted", unreached=("ggn",))
    protocol = results.protocol.model_copy(update={"dtype": "float64"})
    there = an_audit({"stationarity": Measured(labels={"class": Label(value="saddle", reason="r")})}, protocol=protocol)
    results = results.model_copy(update={"baseline": baseline_of(results, there)})
    results = judged(results, policy, dt.date(2026, 1, 1)).model_copy(update={"partial": "cut"})
    tree = json.loads(results.to_json())
    return tree, [path for path in places(tree) if is_free(tree, path)]


def filled(audited, text: str, but: str = "") -> AuditResults:
    """The results with that text wherever text is free, but in fields of a name."""
    tree, free = audited
    for path in free:
        tree = with_text(tree, path, text) if path[-1] != but else tree
    return AuditResults.model_validate_json(json.dumps(tree))


class Shape(HTMLParser):
    """The elements of a page with the names of their attributes, and what it would load or follow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action", "data", "style"}]


def test_there_are_many_places_for_text(audited):
    assert len(audited[1]) > 100


@pytest.mark.parametrize("text", MARKED, ids=range(len(MARKED)))
def test_a_page_has_the_same_elements_whatever_the_words(audited, text):
    page, plain = (html(view(filled(audited, each))) for each in (text, "word"))
    shape = Shape(page)
    assert {element for element, _ in shape.elements} == {element for element, _ in Shape(plain).elements}
    assert set(shape.elements) == set(Shape(plain).elements)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script", page, re.DOTALL | re.IGNORECASE)
    assert [attributes for attributes, _ in scripts if "application/json" not in attributes] == [""]
    assert scripts[-1][1] == "\n".join((template_dir() / name).read_text(encoding="utf-8") for name in SCRIPTS)
    assert all("<" not in data and json.loads(data) for _, data in scripts[:-1])
    assert not {"iframe", "object", "form", "base", "link"} & {element for element, _ in shape.elements}
    for link in shape.links:
        assert link.startswith(("#", "data:image/svg+xml;base64,")) or re.fullmatch(r"[-\w:%. ;]*", link), link
    for picture in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", page):
        drawing = ET.fromstring(base64.b64decode(picture))  # noqa: S314 - what we drew ourselves
        assert not [each for each in drawing.iter() if each.tag.endswith(("script", "foreignObject", "}a", "image"))]
    assert len(page) < 2_000_000


def test_every_id_of_a_page_is_there_once_whatever_checks_are_called():
    names = (
        "verdict",
        "gates",
        "how",
        "a b",
        "a_b",
        "a_b",
        "gate.sharpness.lambda_max",
        "__proto__",
        "w" * 300,
        "w" * 301,
    )
    found = Measured(details=DETAILS[:2])
    audit = an_audit({"sharpness": found}).model_copy(update={"checks": tuple(a_check(name, found) for name in names)})
    page = html(view(judged(audit, Policy(), dt.date(2026, 1, 1))))
    ids = re.findall(r' id="([^"]*)"', page)
    assert {name for name, times in Counter(ids).items() if times > 1} == set()
    assert set(re.findall(r' href="#([^"]*)"', page)) <= set(ids)
    own = [name for each in ("report.html.j2", "parts") for name in _ids_in(template_dir() / each)]
    assert set(own) == SECTIONS


def _ids_in(place: Path) -> list[str]:
    files = place.iterdir() if place.is_dir() else [place]
    return [name for file in files for name in re.findall(r' id="([\w-]+)"', file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("text", MARKED, ids=range(len(MARKED)))
def test_a_summary_in_markdown_has_no_link_picture_or_html_of_theirs(audited, text):
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    written, plain = (markdown(view(filled(audited, each))) for each in (text, "word"))
    kinds, plain_kinds = ([token.type for token in _all(parser.parse(each))] for each in (written, plain))
    assert not {"link_open", "image", "html_block", "html_inline", "code_inline", "fence"} & set(kinds)
    assert [kind for kind in kinds if kind.startswith(("t", "heading", "hr"))] == [
        kind for kind in plain_kinds if kind.startswith(("t", "heading", "hr"))
    ]
    assert_dead(written)


@pytest.mark.parametrize("text", MARKED, ids=range(len(MARKED)))
def test_a_model_card_has_no_link_tag_or_setting_of_theirs(audited, text, tmp_path):
    cards = []
    for words in (text, "word"):
        results = tmp_path / "results.json"
        results.write_text(filled(audited, words, but="id").to_json(), encoding="utf-8")
        cards.append(card_with(results, tmp_path / "README.md").after)
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    front, body = zip(*(card.removeprefix("---\n").split("\n---\n\n") for card in cards), strict=True)
    tokens, plain = (list(_all(parser.parse(each))) for each in body)
    shapes = [[token.type for token in each if token.level == 0 or token.nesting] for each in (tokens, plain)]
    assert shapes[0] == shapes[1]
    assert [token.content.split()[1] for token in tokens if token.type.startswith("html")] == [
        "landscape-audit:begin",
        "landscape-audit:end",
    ]
    assert {token.attrGet("href") for token in tokens if token.type == "link_open"} == {"results.json"}
    assert not [token for token in tokens if token.type in {"image", "code_inline", "fence", "code_block"}]
    assert_dead(body[0])
    assert skeleton(yaml.safe_load(front[0])) == skeleton(yaml.safe_load(front[1]))


def assert_dead(text: str) -> None:
    """No mention that calls people, no address that a forge would make a link, nothing unprintable."""
    seen = re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", text)  # as a forge sees it that looks for links after escapes
    assert not re.search(r"(?<!\w)@\w|\w://|\bwww\.", seen, re.IGNORECASE)
    assert all(line.isprintable() for line in text.replace("\u200b", "").split("\n"))


def skeleton(tree: Any) -> Any:
    """What of YAML is not text."""
    if isinstance(tree, dict):
        return {key: skeleton(value) for key, value in tree.items()}
    return [skeleton(each) for each in tree] if isinstance(tree, list) else type(tree)


def within(thing: Any) -> Iterator[pikepdf.Dictionary]:
    """The dictionaries inside an object of a PDF: of a link, that of what it does is one of them."""
    if isinstance(thing, pikepdf.Dictionary):
        yield thing
    if isinstance(thing, (pikepdf.Dictionary, pikepdf.Array)):
        for each in thing.values() if isinstance(thing, pikepdf.Dictionary) else thing:
            if isinstance(each, pikepdf.Object) and not each.is_indirect:
                yield from within(each)


def _all(tokens: Any) -> Iterator[Any]:
    for token in tokens:
        yield token
        yield from _all(token.children or ())


@pytest.mark.parametrize("text", MARKED, ids=range(len(MARKED)))
def test_a_terminal_gets_printable_lines_and_one_verdict(audited, text):
    results = filled(audited, text)
    lines = [*summary(results).split("\n"), *failures(results), last_line(results, None, 1)]
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines[:-1] if line.startswith(("::", "landscape-audit: PASS"))]
    assert max(map(len, lines)) < 3000


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler-utils")
@pytest.mark.parametrize("texts", [MARKED[:2], MARKED[2:5], MARKED[5:8]], ids=range(3))
def test_the_pdf_acts_and_links_nowhere_and_its_text_is_printable(audited, texts, tmp_path):
    tree, free = audited
    for index, path in enumerate(free):
        if path != ("run", "finished"):  # a PDF has a date
            tree = with_text(tree, path, texts[index % len(texts)])
    results = AuditResults.model_validate_json(json.dumps(tree))
    (tmp_path / "report.pdf").write_bytes(pdf(view(results), results))
    with pikepdf.open(tmp_path / "report.pdf") as file:
        dictionaries = [each for thing in file.objects for each in within(thing)]
        assert not {"/JS", "/AA", "/URI", "/Launch", "/GoToR"} & {key for each in dictionaries for key in each}
        assert not {"/URI", "/JavaScript", "/Launch", "/SubmitForm"} & {str(each.get("/S")) for each in dictionaries}
        assert str(file.docinfo["/Title"]).isprintable()
        assert sorted(file.attachments) == ["policy.json", "results.json"]
    read = [shutil.which("pdftotext"), "-layout", str(tmp_path / "report.pdf"), "-"]
    text = subprocess.run(read, capture_output=True, check=True).stdout.decode()
    assert len(text) > 2000
    assert all(line.isprintable() for line in text.replace("\f", "").split("\n"))
