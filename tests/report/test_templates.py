"""A team's own templates: what they replace, what they cannot do, and what is said of their mistakes."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path

import pikepdf
import pytest
from command_line import assert_one_message, outcome
from hostile_audit import an_audit_with_everything
from sealed_audit import a_sealed_audit

from landscape_audit.errors import TemplatesError
from landscape_audit.report import templates as own
from landscape_audit.report.render import CSP, html
from landscape_audit.report.templates import Templates, replaceable
from landscape_audit.report.view import view
from landscape_audit.report.write import rendered
from landscape_audit.resources import template_dir
from landscape_audit.verification.verification import verify

REPORT = ["report", "results.json", "--out", "site", "--template-dir", "mine"]
LOGO = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/%3E"
BARE = """<!doctype html><html lang="en"><head>
{% if not paper %}<meta http-equiv="Content-Security-Policy" content="{{ csp }}">{% endif %}
{% if not paper %}<meta name="generator" content="{{ generator }}">{% endif %}
<title>Bare</title><style>{{ style }}</style></head><body>{% include "parts/verdict.html.j2" %}</body></html>
"""
OLDER = CSP.format(style="", script="")
VERDICT = "parts/verdict.html.j2"


@pytest.fixture(autouse=True)
def _in_a_folder_with_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results.json").write_text(a_sealed_audit().to_json())
    Path("site").mkdir()
    Path("site/report.html").write_text(OLDER)


def mine(**files: str | bytes) -> Path:
    """The folder `mine`, with files by name: `__` for the slash, `_css` and `_j2` for their endings."""
    for name, content in files.items():
        ending = re.sub(r"_(css|html_j2|md_j2|txt)$", lambda found: found[0].replace("_", "."), name)
        path = Path("mine", ending.replace("__", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path("mine")


def page(results=None, **files: str | bytes) -> str:
    return html(view(results or a_sealed_audit()), templates=Templates(mine(**files)))


def test_a_file_takes_the_place_of_ours_and_the_others_stay_ours():
    results = a_sealed_audit()
    made = page(results, parts__verdict_html_j2="<p>House of {{ view.word }}</p>")
    assert f"<p>House of {results.verdict.word}</p>" in made
    assert 'class="sentence"' not in made
    assert 'id="glossary"' in made


@pytest.mark.parametrize("name", replaceable())
def test_every_file_that_is_listed_can_be_replaced_by_its_own_copy_and_says_so_in_the_page_alone(name):
    results = a_sealed_audit()
    ours = rendered(results, pdf=False)
    made = rendered(results, pdf=False, templates=Templates(mine(**{name: (template_dir() / name).read_bytes()})))
    assert made["md"] == ours["md"]
    marked = re.sub(rb"landscape-audit, own templates [0-9a-f]{16}", b"landscape-audit", made["html"])
    assert marked == ours["html"]


def test_what_is_listed_is_every_file_that_a_report_is_made_of():
    there = {path.relative_to(template_dir()).as_posix() for path in template_dir().rglob("*") if path.is_file()}
    assert (
        there - {*replaceable(), "card.md.j2", "compare.html.j2", "compare.md.j2", "report.js", "surface.js"} == set()
    )


def test_the_style_of_a_team_is_allowed_by_its_own_digest():
    made = page(report_css="body > header { color: rebeccapurple }")
    style = re.search(r"<style>(.*?)</style>", made, re.DOTALL)[1]
    assert "rebeccapurple" in style
    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in made


@pytest.mark.parametrize(
    "template",
    [
        "<p>{{ view.checks[0].caveats[0] }}</p>",
        "{% autoescape false %}<p>{{ view.checks[0].caveats[0] }}</p>{% endautoescape %}",
        "{% autoescape false %}{% set all %}{{ view.checks[0].caveats[0] }}{% endset %}{{ all }}{% endautoescape %}",
        "{% autoescape false %}{{ '<p>' ~ view.checks[0].caveats[0] }}{% endautoescape %}",
        "{{ view.checks[0].caveats | join('<br>') }}{{ view.checks[0].caveats[0] | replace('a', '<b>') }}",
        "{% macro m(x) %}{% autoescape false %}{{ x }}{% endautoescape %}{% endmacro %}{{ m(view.gates[0].why) }}",
        "{{ (view.checks[0].caveats[0] | e).unescape() }}{{ '%s' | format(view.checks[0].caveats[0]) }}",
    ],
)
def test_a_hostile_word_stays_a_word_whatever_a_template_does_with_it(template):
    made = page(an_audit_with_everything(), parts__verdict_html_j2=template)
    assert "script&gt;alert(1)" in made
    assert not re.search(r"<script>alert|\x1b|\u202e", made)


def test_the_same_templates_give_the_same_bytes_and_others_another_mark():
    results = a_sealed_audit()
    folder = mine(report_html_j2=BARE, parts__verdict_html_j2="{{ view.sentence }}")
    first = rendered(results, pdf=True, templates=Templates(folder))
    assert first == rendered(results, pdf=True, templates=Templates(folder))
    with pikepdf.open(io.BytesIO(first["pdf"])) as file:
        assert str(file.docinfo["/Creator"]).endswith(Templates(folder).mark)
    before = Templates(folder).mark
    assert Templates(mine(screen_css="")).mark != before


def test_a_report_in_a_teams_templates_is_neither_verified_nor_altered():
    results = a_sealed_audit()
    templates = Templates(
        mine(report_html_j2=BARE, parts__verdict_html_j2="{{ view.word }}", summary_md_j2="{{ view.word }}")
    )
    for name, content in rendered(results, pdf=True, templates=templates).items():
        Path({"html": "report.html", "md": "summary.md", "pdf": "report.pdf"}[name]).write_bytes(content)
    found = {each.step: each for each in verify(Path(), None, results.finished().date())}
    for step in ("pages", "report.html", "summary.md"):
        assert found[step].word == "open", found[step]
        assert templates.mark in found[step].says
    assert found["seal"].word == found["verdict"].word == "verified"


def test_a_logo_is_embedded_and_nothing_is_fetched(monkeypatch, capsys):
    mine(**{"report.html.j2": BARE, VERDICT: f'<img src="{LOGO}" alt="House">{{{{ view.word }}}}'})
    assert outcome(REPORT, monkeypatch, capsys)[0] == 0
    assert Path("site/report.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("name", "asks", "told"),
    [
        (VERDICT, '<img src="http://127.0.0.1:9/logo.png" alt="">', "http://127.0.0.1:9/logo.png"),
        (VERDICT, '<img src="file:///etc/passwd" alt="">', "file:///etc/passwd"),
        (VERDICT, '<img src="logo.png" alt="">', "logo.png"),
        (VERDICT, '<link rel="attachment" href="file:///etc/passwd">', "file:///etc/passwd"),
        ("report.css", '@import url("http://127.0.0.1:9/a.css");', "http://127.0.0.1:9/a.css"),
        ("print.css", 'body { background: url("file:///etc/hostname") }', "file:///etc/hostname"),
    ],
)
def test_what_a_template_asks_for_is_refused_and_no_report_is_written(name, asks, told, monkeypatch, capsys):
    mine(**{"report.html.j2": BARE, VERDICT: "", name: asks})
    code, out, err = outcome(REPORT, monkeypatch, capsys)
    assert told in err
    assert code == 2
    assert "data:" in err
    assert "Traceback" not in err
    assert out == ""
    assert Path("site/report.html").read_text() == OLDER


MISTAKES = {
    "<p>\n{% if view.word %}": "mine/parts/verdict.html.j2, line 2: Unexpected end of template.",
    "<p>\n\n{{ view.wrod }}": "mine/parts/verdict.html.j2, line 3: a ReportView has no attribute 'wrod'",
    "{{ verdict }}": "mine/parts/verdict.html.j2, line 1: 'verdict' is undefined",
    "{{ view.gates }}": "line 1: {{ }} around a tuple, which is no word and no number: name a part of it",
    "{{ 1 / 0 }}": "mine/parts/verdict.html.j2, line 1: ZeroDivisionError",
    "{{ view.word | safe }}": "line 1: No filter named 'safe'",
    "{{ view.__class__.__mro__ }}": "line 1: access to attribute '__class__' of 'ReportView' object is unsafe",
    "{{ ''.format.__globals__ }}": "is unsafe",
    "{{ '{0.__class__}'.format(view) }}": "is unsafe",
    "{% for a in range(100001) %}{% endfor %}": "Range too big",
    "{{ 'x' * 1000000000 }}": "* is for products of two numbers",
    "{% set n = namespace(x=9) %}{% for a in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}": "of a hundred digits",
    "{{ '\\ud800' }}": "surrogates not allowed",
    "{% include '" + "w" * 9999 + "' %}": "there is no template 'www",
    "{{ 9 ** 9 ** 9 }}": "** is for products of two numbers",
    "{% for a in range(9999) %}{% for b in range(9999) %}.........{% endfor %}{% endfor %}": "more than 20,000,000",
    "{% include 'parts/verdict.html.j2' %}": "includes or calls itself without an end",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "includes or calls itself without an end",
    "\n{% include '../results.json' %}": "line 2: there is no template '../results.json', neither in this folder",
    "{% include '/etc/passwd' %}": "there is no template '/etc/passwd'",
    "{% import os %}": "line 1: expected token 'as'",
}


@pytest.mark.parametrize(("template", "told"), MISTAKES.items(), ids=[each[:60] for each in MISTAKES])
def test_a_mistake_in_a_template_is_told_with_its_place_and_no_report_is_written(template, told, monkeypatch, capsys):
    mine(parts__verdict_html_j2=template)
    code, out, err = outcome([*REPORT, "--no-pdf"], monkeypatch, capsys)
    assert_one_message(code, 2, told, out, err)
    assert Path("site/report.html").read_text() == OLDER
    assert [path.name for path in Path("site").iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({VERDICT: b"\xff\xfe<p>"}, "mine/parts/verdict.html.j2: not UTF-8: byte 1 is 0xff"),
        ({"print.css": b"caf\xe9"}, "mine/print.css: not UTF-8: byte 4 is 0xe9"),
        ({"raport.css": ""}, "mine: no file in it has the name of one of ours, so nothing would change."),
        ({"screen.css": "a{}</STYLE><p>"}, "report.css or screen.css: '</style' would end the style"),
        ({"report.html.j2": "<html><head><title>x</title>"}, "does not begin with its content security policy"),
        ({"report.html.j2": "<!doctype html><html><head><img src=x>{{ csp }}"}, "does not begin with its content sec"),
        ({"report.css": "", **{f"{index}.txt": "" for index in range(200)}}, "mine: more than 200 files"),
        ({"parts/macros.html.j2": ""}, "the template 'parts/macros.html.j2'"),
    ],
)
def test_files_that_cannot_be_templates_are_told(files, told, monkeypatch, capsys):
    mine(**files)
    code, out, err = outcome(["report", "results.json", "--template-dir", "mine"], monkeypatch, capsys)
    assert_one_message(code, 2, told, out, err)
    assert not Path("report.html").exists()


@pytest.mark.parametrize("name", ["report.css", "parts"])
def test_a_link_that_leads_out_of_the_folder_is_refused(name, monkeypatch, capsys):
    mine(screen_css="")
    Path("elsewhere").mkdir()
    (mine() / name).symlink_to(Path("elsewhere").absolute())
    code, out, err = outcome([*REPORT, "--no-pdf"], monkeypatch, capsys)
    assert_one_message(code, 2, f"mine/{name}: a link that leads out of mine", out, err)


@pytest.mark.parametrize(
    "tag",
    [
        '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">',
        "<META/content='>' http-equiv=refresh>",
        "<noscript><meta\nname='a' http-equiv='refresh' content='0;url=x'></noscript>",
        '<meta http-equiv="x-dns-prefetch-control" content="on">',
        '<link rel="dns-prefetch" href="//example.org">',
        '<link rel="icon" href="http://127.0.0.1:9/a.ico">',
        '<link rel="icon" href="data:," rel=preconnect>',
        '<base href="http://127.0.0.1:9/">',
        '<img alt="" src="http://127.0.0.1:9/logo.png">',
    ],
)
def test_a_tag_that_leads_elsewhere_in_spite_of_the_policy_is_refused(tag, monkeypatch, capsys):
    mine(**{"report.html.j2": BARE, VERDICT: tag})
    code, out, err = outcome([*REPORT, "--no-pdf"], monkeypatch, capsys)
    assert_one_message(code, 2, "may ask for something, and a report asks for nothing", out, err)
    assert Path("site/report.html").read_text() == OLDER


def test_what_cannot_be_set_on_paper_is_the_templates_fault_and_no_report_is_written(monkeypatch, capfd):
    mine(**{"report.html.j2": BARE, VERDICT: "<p>x</p>", "print.css": "p { height: 1e9px; font-size: 1e9px }"})
    code, out, err = outcome(REPORT, monkeypatch, capfd)
    assert (code, out) == (2, "")
    assert "report.pdf: WeasyPrint cannot set what your templates and style sheets ask for" in err
    assert Path("site/report.html").read_text() == OLDER


def test_an_icon_and_words_about_tags_are_no_such_tag(monkeypatch, capsys):
    icon = '<link rel="icon" href="data:image/png;base64,AAAA"><meta name="author" content="us">'
    mine(**{"report.html.j2": BARE, VERDICT: icon + "{{ '<base href=x><meta http-equiv=refresh>' | forceescape }}"})
    assert outcome([*REPORT, "--no-pdf"], monkeypatch, capsys)[0] == 0


def test_a_folder_that_is_not_there_is_told(monkeypatch, capsys):
    code, out, err = outcome(REPORT, monkeypatch, capsys)
    assert_one_message(code, 2, "mine: no such folder", out, err)


def test_a_pipe_among_templates_blocks_nothing():
    mine(report_css="")
    own.os.mkfifo("mine/screen.css")
    with pytest.raises(TemplatesError, match="it is a pipe, not a file"):
        Templates(Path("mine"))


def test_what_there_is_to_use_is_printed_without_results(monkeypatch, capsys):
    code, out, _ = outcome(["report", "--list-templates"], monkeypatch, capsys)
    assert code == 0
    assert all(name in out for name in replaceable())
    assert str(template_dir()) in out
    assert re.search(r"^GateView: One gate\.$", out, re.MULTILINE)
    assert re.search(r"^  gates +tuple\[GateView, \.\.\.\]$", out, re.MULTILINE)
