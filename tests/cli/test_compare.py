"""Two stored audits side by side."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_one_message, outcome
from hostile_audit import HOSTILE
from results_factory import an_audit, an_estimate

from landscape_audit.estimate import Label
from landscape_audit.results import Measured


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write("a", an_audit())
    return lambda *arguments: outcome(["compare", *arguments], monkeypatch, capsys)


def write(folder, results):
    Path(folder).mkdir()
    Path(folder, "results.json").write_text(results.to_json())


def worse(**changes):
    sharp = Measured(estimates={"lambda_max": an_estimate(62.0, 1.0, unit="u", direction="lower", n=450)})
    class_ = Measured(labels={"class": Label(value="saddle", reason="r")})
    return an_audit({"sharpness": sharp, "stationarity": class_}, **changes)


def test_what_changed_for_certain_is_told_with_its_interval(compare):
    write("b", worse())
    code, out, _ = compare("a", "b/results.json")
    assert code == 0
    assert "Comparable. 1 of " in out
    lines = out.splitlines()
    first = lines.index("  the largest Hessian eigenvalue: higher")
    assert lines[first + 1].startswith("    +98.5 % (")
    assert lines[first + 2].startswith("    31.24 (")
    assert max(map(len, lines)) <= 80
    assert "approximate minimum  saddle" in out


def test_what_cannot_be_compared_names_the_keys_and_is_no_failure(compare):
    other = an_audit().data.model_copy(update={"fingerprint": "1" * 64})
    write("b", worse(data=other))
    code, out, _ = compare("a", "b")
    assert code == 0
    assert "Not comparable. None of the numbers can be compared." in out
    assert "data.fingerprint" in out
    assert "higher" not in out


def test_json_has_every_number_and_nothing_else_is_on_stdout(compare):
    write("b", worse())
    code, out, err = compare("a", "b", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["estimates"]["sharpness.lambda_max"]["word"] == "higher"
    assert found["estimates"].keys() == an_audit().estimates().keys() & worse().estimates().keys()
    assert found["labels"]["stationarity.class"] == {"a": "approximate_minimum", "b": "saddle"}


def test_all_shows_every_number(compare):
    write("b", an_audit())
    few, every = (compare("a", "b", *more)[1] for more in ((), ("--all",)))
    assert "rise of the loss at radius 0.05" not in few
    assert "rise of the loss at radius 0.05" in every


def test_a_page_and_a_summary_are_written_for_those_who_ask(compare):
    write("b", worse())
    code, _, err = compare("a", "b", "--out", "site")
    assert code == 0
    assert err.splitlines() == ["site/compare.html", "site/compare.md", "site/compare.pdf"]
    page = Path("site/compare.html").read_text()
    assert "default-src 'none'" in page
    verdict = page[page.index('<section id="verdict"') : page.index("</section>")]
    assert "The largest Hessian eigenvalue is higher, which is worse: +98.5 % (" in verdict
    assert page.count("OBSERVED</h2>") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert "| the largest Hessian eigenvalue |" in Path("site/compare.md").read_text()


def test_hostile_words_are_shown_and_not_followed(compare):
    subject = an_audit().subject
    files = tuple(file.model_copy(update={"name": HOSTILE}) for file in subject.files)
    named = subject.model_copy(update={"files": files, "model": HOSTILE, "parameter_globs": (HOSTILE,)})
    labelled = Measured(labels={"class": Label(value=HOSTILE, reason=HOSTILE)})
    write("b", an_audit({"stationarity": labelled}, subject=named))
    code, out, err = compare("a", "b", "--out", "site", "--all", "--no-pdf")
    assert code == 0
    assert not Path("site/compare.pdf").exists()
    page, summary = (Path(f"site/compare.{kind}").read_text() for kind in ("html", "md"))
    for text in (out, err, page, summary):
        assert not {"\x1b", "\u202e", "\r", "\x00"} & set(text)
    assert re.findall(r"<script[^>]*>[^;]*", page + summary) == ['<script>"use strict"']


@pytest.mark.parametrize(
    ("other", "why"), [("none", "none: cannot be read: No such file or directory."), ("junk.json", "junk.json: ")]
)
def test_what_is_no_audit_is_unusable_input(compare, other, why):
    Path("junk.json").write_text("{")
    code, out, err = compare("a", other)
    assert_one_message(code, 4, why, out, err)


def test_comparing_loads_neither_torch_nor_numpy_nor_matplotlib(tmp_path):
    for side, results in (("a", an_audit()), ("b", worse())):
        write(tmp_path / side, results)
    heavy = "{'torch', 'numpy', 'matplotlib', 'jinja2'}"
    code = (
        "import sys; from landscape_audit.cli.main import app\n"
        "app(['compare', 'a', 'b'], standalone_mode=False)\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    told = subprocess.check_output(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, text=True)
    assert told.splitlines()[-1] == "[]"
