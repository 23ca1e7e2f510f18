"""The report: complete, harmless whatever it quotes, the same every time, and made without PyTorch."""

from __future__ import annotations

import base64
import datetime as dt
import gc
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_audit import DETAILS, an_audit_with_everything, policy
from results_factory import a_check, an_audit, between

from landscape_audit.detail import Axis, Line, Series
from landscape_audit.figures import drawn
from landscape_audit.gates.judge import judged
from landscape_audit.policy import Gate, Policy
from landscape_audit.report.render import html, markdown
from landscape_audit.report.tables import MOST_ROWS
from landscape_audit.report.view import view
from landscape_audit.report.write import write_reports
from landscape_audit.results import Failed, InstrumentInfo, Measured, NotApplicable


@pytest.fixture(scope="module")
def page():
    return html(view(an_audit_with_everything()))


def test_the_page_loads_nothing_and_runs_only_its_own_script(page):
    assert not re.search(r"https?://", page.replace("http://www.w3.org", ""))
    assert re.findall(r"<script(?! type=.application/json)[^>]*", page) == ["<script"]
    assert "<script" not in html(view(an_audit_with_everything()), paper=True)
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", page)
    assert re.search(r"default-src 'none'", page)
    assert len(page) < 2_000_000


@pytest.mark.parametrize("kind", ["style", "script"])
def test_the_policy_of_the_page_allows_its_one_style_and_its_one_script_by_hash(page, kind):
    text = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"; {kind}-src 'sha256-{digest}';" in page


def test_hostile_words_are_shown_and_do_nothing(page):
    assert "&lt;script&gt;alert(1)" in page
    assert "{{7*7}}" in page
    for text in (page, markdown(view(an_audit_with_everything()))):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x00" not in text
        assert "<script>alert" not in text


def test_hostile_words_cannot_break_a_markdown_table():
    rows = [line for line in markdown(view(an_audit_with_everything())).splitlines() if line.startswith("| ✓")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 7


def test_the_verdict_comes_first_and_every_gate_is_named(page):
    assert page.index("PASS") < page.index("sharpness.lambda_max")
    assert "31 (29 to 33)" in page
    assert "at most 50" in page


def test_the_class_of_the_point_is_not_taken_for_the_verdict():
    seen = view(an_audit())
    ((_, value, reason),) = seen.labels
    assert f'Where it sits: <span class="tag">{value}</span> {reason}' in html(seen)
    assert f"Where it sits: **{value}** {reason}" in markdown(seen).replace("\\", "")


def test_every_picture_has_its_words_and_its_numbers(page):
    pictures = re.findall(r'<img src="data:image/svg\+xml;base64,[^"]+" alt="([^"]+)">', page)
    assert len(pictures) >= 4
    assert all(len(alt) > 20 for alt in pictures)
    assert page.count("<summary>The numbers</summary>") >= 4


def test_cells_without_a_value_stay_empty_and_are_counted(page):
    assert "1 of 9 cells have no finite value" in page
    assert "1 point without a finite value" in page


def test_no_figure_shows_the_source_of_a_formula():
    # Names must not be parsed as formulas, and then matplotlib's own labels of log axes come out unparsed.
    log = Axis(label="$x$", unit="share", scale="log")
    steep = Axis(label="Rise", unit="loss", scale="symlog")
    series = (Series(name="rise", x=(0.001, 0.01, 0.1), y=(-1.0, 10.0, 1000.0)),)
    curve = Line(name="curve", title="Curve", finding="It rises.", x=log, y=steep, series=series)
    for detail in (curve, *DETAILS[1:4]):
        text = drawn(detail)[0].decode()
        assert "mathdefault" not in text
    assert "$x$" in drawn(curve)[0].decode()


def test_warnings_and_waivers_are_counted_beside_the_verdict():
    gates = {"sharpness__lambda_max": {"at_most": 1.0, "why": "x", "level": "warn"}}
    assert view(judged(an_audit(), policy(**gates), dt.date(2026, 1, 1))).counts.endswith("1 warned")


def test_a_long_table_is_cut_and_says_so(page):
    assert f"{3000 - MOST_ROWS:,} more rows in results.json." in page


def test_no_gates_is_observed_and_not_a_pass():
    seen = view(judged(an_audit(), Policy(), dt.date(2026, 1, 1)))
    assert seen.word == "OBSERVED"
    assert seen.gates == ()
    assert seen.headlines
    assert "Gates</h2>" not in html(seen)


def test_failed_and_not_applicable_checks_are_shown_as_such():
    checks = (
        a_check("sharpness", Failed(error="out of memory")),
        a_check("trace", NotApplicable(reason="no curvature")),
    )
    page = html(view(judged(an_audit(checks=checks, partial="failed: sharpness"), Policy(), dt.date(2026, 1, 1))))
    assert "This check failed, and its numbers are missing: out of memory" in page
    assert "Not applicable here: no curvature" in page
    assert "This audit is not whole: failed: sharpness." in page


def test_a_file_that_was_replaced_is_said_above_the_verdict_and_does_not_taint_the_instrument():
    subject = an_audit().subject.model_copy(update={"replaced": ("model.safetensors was changed\x1b[2J",)})
    seen = view(judged(an_audit(subject=subject), Policy(), dt.date(2026, 1, 1)))
    (banner,) = seen.banners
    assert banner.startswith("What was audited lies there no more, so this verdict is of no file that is there now: ")
    assert "\x1b" not in banner
    for page in (html(seen), markdown(seen)):
        assert page.index("lies there no more") < page.index("no gates")
        assert "instrument disagrees" not in page


def test_an_instrument_that_disagrees_is_said_above_the_verdict():
    audit = an_audit(instrument=InstrumentInfo(agrees=False, disagreements=("hvp_symmetric: off by 0.3",)))
    page = html(view(judged(audit, Policy(), dt.date(2026, 1, 1))))
    assert page.index("off by 0.3") < page.index('class="word"')


def test_a_single_check_makes_a_report():
    page = html(
        view(
            judged(
                an_audit(checks=(a_check("sharpness", Measured(estimates={"lambda_max": between(1.0, 2.0, 3.0)})),)),
                Policy(),
                dt.date(2026, 1, 1),
            )
        )
    )
    assert "The landscape at a glance" not in page


SCRIPT = """
import sys
from pathlib import Path
from landscape_audit.report.write import write_reports
from landscape_audit.results import read_results

write_reports(read_results(Path(sys.argv[1])), Path(sys.argv[2]))
loaded = {"torch"} & set(sys.modules)
assert not loaded, loaded
"""


def test_two_processes_without_torch_write_the_same_bytes(tmp_path):
    audit = an_audit_with_everything()
    (tmp_path / "results.json").write_text(audit.to_json())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / "results.json", tmp_path / name], check=True)
    for name in ("report.html", "report.pdf", "summary.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_files_are_named_after_what_they_are(tmp_path):
    written = write_reports(an_audit_with_everything(), tmp_path, pdf=False)
    assert {path.name for path in written.values()} == {"report.html", "summary.md"}
    assert json.loads(an_audit_with_everything().to_json())["verdict"]["word"] == "PASS"
    assert all(Path(path).stat().st_size > 500 for path in written.values())


@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_is_collected_after_a_report_as_it_was_before(collecting, tmp_path, monkeypatch):
    (gc.enable if collecting else gc.disable)()
    try:
        write_reports(an_audit(), tmp_path, pdf=False)
        assert gc.isenabled() is collecting
        monkeypatch.setattr("landscape_audit.report.write.view", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_reports(an_audit(), tmp_path, pdf=False)
        assert gc.isenabled() is collecting
    finally:
        gc.enable()


def test_why_checks_failed_is_in_the_summary_once_for_all_that_failed_alike_and_then_there_is_something_to_do():
    failed = {"gradient": "disk <b>\x1b\nfull", "sharpness": "no memory", "trace": "no memory"}
    audit = an_audit({name: Failed(error=error) for name, error in failed.items()})
    text = markdown(view(judged(audit, Policy(), dt.date(2026, 1, 1))))
    assert "checks sharpness, trace failed: no memory" in text
    assert r"The check gradient failed: disk" in text
    assert "\x1b" not in text
    assert "Nothing to do" not in text


@pytest.mark.parametrize(("follows", "told"), [("warn", True), ("error", False)])
def test_a_page_says_where_an_undecided_verdict_fails_nobody(follows, told):
    policy = Policy(gates={"sharpness.lambda_max": Gate(at_most=31, why="w", on_undecided=follows)})
    page = html(view(judged(an_audit(), policy, dt.date(2026, 3, 2))))
    assert ("That is not a pass. The policy only warns of it: exit 0." in page) is told
