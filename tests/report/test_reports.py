"""A report says what the results say, whatever words they bring, and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from results_factory import a_check, an_audit, an_estimate

from landscape_audit.report.pdf import _fetcher, pdf
from landscape_audit.report.render import html, markdown
from landscape_audit.report.view import MOST_ROWS, view
from landscape_audit.results import (
    AuditResults,
    Axis,
    Bar,
    Bars,
    Column,
    GateResult,
    InstrumentInfo,
    Label,
    Line,
    Mark,
    Measured,
    Series,
    Surface,
    Table,
    Verdict,
)

weasyprint_leaves_a_profile_open = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
HOSTILE = (
    "<script>alert(1)</script>{{ 7*7 }}'\"\u202egnp.exe\x1b[31m\x00 | $\\bad{$ [a](http://x.example) <img onerror=x>"
    + "n" * 200
)
AXIS = Axis(label=HOSTILE, unit=HOSTILE)
DETAILS = (
    Line(
        name="curve",
        title=HOSTILE,
        finding=HOSTILE,
        x=AXIS,
        y=AXIS,
        series=(Series(name=HOSTILE, x=(0.0, 1.0), y=(1.0, None)),),
        marks=(Mark(label=HOSTILE, y=0.5),),
    ),
    Bars(name="bars", title=HOSTILE, finding=HOSTILE, axis=AXIS, bars=(Bar(label=HOSTILE, value=1.0),)),
    Surface(
        name="plane",
        title=HOSTILE,
        finding=HOSTILE,
        x=AXIS,
        y=AXIS,
        z_axis=AXIS,
        xs=(0.0, 1.0),
        ys=(0.0, 1.0),
        z=((1.0, 2.0), (None, 3.0)),
        marks=(Mark(label=HOSTILE, x=0.0, y=0.0),),
    ),
    Table(
        name="rows",
        title=HOSTILE,
        finding=HOSTILE,
        columns=(Column(name="a", title=HOSTILE, unit=HOSTILE),),
        rows=((HOSTILE,),) * 3000,
    ),
)


def a_gate(status: str = "pass", **changes: object) -> GateResult:
    fields = {
        "key": "sharpness.lambda_max",
        "level": "error",
        "status": status,
        "demand": "at most 40",
        "found": "31.24 (29.6 to 32.9)",
        "reason": "The whole interval is inside.",
        "why": "2 / learning rate",
        "limit_high": 40.0,
        "estimate": an_estimate(31.24, 1.6),
    }
    return GateResult.model_validate(fields | changes)


def a_hostile_audit() -> AuditResults:
    labels = {"class": Label(value=HOSTILE, reason=HOSTILE)}
    odd = a_check("odd", Measured(labels=labels, details=DETAILS, caveats=(HOSTILE,)), title=HOSTILE, question=HOSTILE)
    whole = an_audit()
    subject = whole.subject.model_copy(
        update={"model": HOSTILE, "files": (whole.subject.files[0].model_copy(update={"name": HOSTILE}),)}
    )
    gate = a_gate("fail", key=HOSTILE, why=HOSTILE, reason=HOSTILE, found=HOSTILE, demand=HOSTILE)
    verdict = Verdict(word="FAIL", sentence=HOSTILE, exit_code=1, failed=1)
    changes = {"checks": (*whole.checks, odd), "subject": subject, "gates": (gate,), "verdict": verdict}
    return whole.model_copy(update={**changes, "limits": (HOSTILE,), "partial": HOSTILE})


class Page(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.mark.parametrize("results", [an_audit(), a_hostile_audit()], ids=["plain", "hostile"])
def test_a_page_runs_nothing_and_asks_for_nothing(results: AuditResults) -> None:
    text = html(view(results))
    page = Page(text)
    assert not {"script", "iframe", "link", "object", "base", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]
    assert all(value.startswith(("data:", "#")) for name, value in page.attributes if name in {"src", "href"})
    assert len(text.encode()) < 2_000_000
    assert not set("\x00\x1b\u202e") & set(text)


def test_the_policy_of_the_page_allows_its_style_and_no_other() -> None:
    text = html(view(an_audit()))
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in text


def test_hostile_words_stay_words_in_markdown() -> None:
    text = markdown(view(a_hostile_audit()))
    assert not set("\x00\x1b\u202e") & set(text)
    assert "<" not in text
    assert "[a](" not in text
    assert all(len(re.findall(r"(?<!\\)\|", row)) in {4, 6} for row in text.splitlines() if row.startswith("|"))


def test_a_long_table_is_capped_with_a_count() -> None:
    table = view(a_hostile_audit()).checks[-1].tables[0]
    assert len(table.rows) == MOST_ROWS
    assert table.more == f"{3000 - MOST_ROWS:,} more rows in results.json."


def test_cells_without_a_value_are_told_in_words() -> None:
    plane = next(figure for figure in view(a_hostile_audit()).checks[-1].figures if figure.id == "plane")
    assert "1 of 4 cells have no finite value" in plane.alt
    assert "—" in plane.numbers.rows[1]


def test_an_instrument_that_disagrees_is_said_before_the_verdict() -> None:
    told = an_audit(instrument=InstrumentInfo(agrees=False, disagreements=("the products are not symmetric",)))
    text = html(view(told))
    assert text.index("the products are not symmetric") < text.index('class="word"')


@pytest.mark.parametrize("status", ["pass", "fail", "undecided"])
def test_every_gate_is_named_in_the_page(status: str) -> None:
    text = html(view(an_audit(gates=(a_gate(status),))))
    assert "the largest Hessian eigenvalue" in text
    assert "sharpness.lambda_max" in text


@weasyprint_leaves_a_profile_open
def test_the_pdf_carries_its_results_and_structure(caplog: pytest.LogCaptureFixture) -> None:
    pikepdf = pytest.importorskip("pikepdf")
    results = an_audit(gates=(a_gate(),), verdict=Verdict(word="PASS", sentence="All passed.", exit_code=0, passed=1))
    with caplog.at_level(logging.WARNING, logger="weasyprint"):
        content = pdf(view(results), results)
    # Declarations for screens are passed over; anything else would be a resource or a rule that went missing.
    assert not [record for record in caplog.records if not record.msg.startswith("Ignored ")]
    with pikepdf.open(io.BytesIO(content)) as document:
        assert document.Root.MarkInfo.Marked
        assert document.Root.Lang == "en"
        assert "model.safetensors" in str(document.docinfo["/Title"])
        assert document.Root.Outlines.First is not None
        assert document.attachments["results.json"].get_file().read_bytes() == results.to_json().encode()


@weasyprint_leaves_a_profile_open
def test_a_hostile_audit_still_becomes_a_pdf() -> None:
    results = a_hostile_audit()
    assert pdf(view(results), results).startswith(b"%PDF")


@pytest.mark.parametrize("address", ["file:///etc/hosts", "http://x.example/", "https://x.example/", "/etc/hosts", "a"])
def test_the_fetcher_refuses_every_foreign_address(address: str) -> None:
    with pytest.raises(ValueError, match="refused"):
        _fetcher().fetch(address)


def test_two_processes_write_the_same_bytes_and_load_no_torch(tmp_path: Path) -> None:
    stored = tmp_path / "results.json"
    stored.write_text(an_audit(gates=(a_gate(),)).to_json(), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from landscape_audit.results import AuditResults;"
        "from landscape_audit.report.write import write_reports;"
        "write_reports(AuditResults.model_validate_json(Path(sys.argv[1]).read_text('utf-8')), Path(sys.argv[2]));"
        "assert 'torch' not in sys.modules"
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", code, str(stored), str(tmp_path / name)]
        subprocess.run(command, check=True)  # noqa: S603 # a fresh interpreter: nothing imported, another hash seed
    for name in ("report.html", "summary.md", "report.pdf"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
