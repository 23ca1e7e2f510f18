"""Reports of much, of nothing, and of what failed: whole, of a size to send, and the verdict first."""

from __future__ import annotations

import io

import pypdf
from hostile_audit import AXIS
from results_factory import OUTCOMES, a_check, an_audit

from landscape_audit.detail import Bar, Bars, Column, Table
from landscape_audit.report.pdf import pdf
from landscape_audit.report.render import html, markdown
from landscape_audit.report.view import view
from landscape_audit.report.write import rendered
from landscape_audit.results import Failed, Measured

LAYERS = tuple(f"model.decoder.blocks.{i}.self_attention.query_key_value.weight" for i in range(3000))


def of_layers(name):
    bars = tuple(Bar(label=layer, value=1.0, low=0.5, high=2.0) for layer in LAYERS)
    columns = tuple(Column(name=f"c{i}", title=f"Column {i}") for i in range(6))
    rows = tuple((layer, 1.0, 2.0, 3.0, 4.0, 5.0) for layer in LAYERS)
    details = (
        Bars(name="bars", title="Bars", finding="Many.", axis=AXIS, bars=bars),
        Table(name="rows", title="Rows", finding="Many.", columns=columns, rows=rows),
    )
    return a_check(name, Measured(details=details))


def test_three_thousand_layers_are_a_file_to_send_and_pages_not_a_book():
    audit = an_audit(checks=(of_layers("gradient"),))
    reports = rendered(audit, pdf=True)
    assert len(reports["html"]) < 2_000_000
    assert len(pypdf.PdfReader(io.BytesIO(reports["pdf"])).pages) <= 6


def test_where_every_check_failed_the_word_comes_after_two_reasons_and_every_reason_is_there():
    failed = {name: Failed(error=f"RuntimeError: of {name}") for name in OUTCOMES}
    seen = view(an_audit(failed))
    page = html(seen)
    before, after = page.split('class="word"')
    assert (before.count('class="banner"'), after.count("failed: RuntimeError: of")) == (2, len(OUTCOMES) - 2)
    assert "No check measured a number." in page
    assert "| Number | Value |" not in markdown(seen)


def test_a_long_name_stays_off_the_verdict_and_on_the_paper_of_every_page():
    audit = an_audit()
    subject = audit.subject.model_copy(
        update={"files": (audit.subject.files[0].model_copy(update={"name": "m" * 200}),)}
    )
    audit = audit.model_copy(update={"subject": subject})
    pages = pypdf.PdfReader(io.BytesIO(pdf(view(audit), audit))).pages
    assert len(pages) > 2
    for page in pages[1:-1]:  # the last has commands, in which it is whole
        lines = [line for line in page.extract_text().splitlines() if "m" * 20 in line]
        assert lines
        assert all(line.count("m") < 80 for line in lines)
