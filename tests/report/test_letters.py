"""Letters on paper: what its fonts lack is written out, and names read to the left are read so in pictures too."""

from __future__ import annotations

import base64
import io
import logging

import pytest
from results_factory import a_check, an_audit

from landscape_audit.detail import Axis, Bar, Bars, Column, Table
from landscape_audit.report.letters import joined, on_paper
from landscape_audit.report.pdf import pdf
from landscape_audit.report.render import html
from landscape_audit.report.view import view
from landscape_audit.results import Measured

NAMES = ("طبقة_الإدخال.وزن", "שכבה_ראשונה", "编码器", "कखग", "🚀", "e\u0301\u0302clair", "ตัวแบบ")


def pictured(words):
    return "data:image/svg+xml;base64," + base64.b64encode(f"<text>{words}</text>".encode()).decode()


def words_of(picture):
    return base64.b64decode(picture.partition(",")[2]).decode()


def test_a_letter_without_a_glyph_is_its_number_in_text_and_a_box_in_a_picture():
    assert on_paper("<title>编</title></head><p>é 编 🚀") == "<title>编</title></head><p>é \\u7f16 \\U0001f680"
    assert words_of(on_paper(pictured("é编码"))) == "<text>é□□</text>"
    assert on_paper(pictured("é")) == pictured("é")


def test_a_picture_has_hebrew_from_right_to_left_and_what_stands_around_it_as_it_was():
    hebrew = "שכבה"
    assert (
        words_of(on_paper(pictured(f"a 1 {hebrew}_{hebrew}.b"))) == f"<text>a 1 {hebrew[::-1]}_{hebrew[::-1]}.b</text>"
    )


@pytest.mark.parametrize(
    ("letters", "forms"),
    [
        ("ببب", "\ufe91\ufe92\ufe90"),  # beginning, middle, end
        ("باب", "\ufe91\ufe8e\ufe8f"),  # alef joins what is before it and nothing after it
        ("ب_ب", "\ufe8f_\ufe8f"),
        ("שב", "שב"),
    ],
)
def test_arabic_letters_are_joined_as_unicode_has_it(letters, forms):
    assert joined(letters) == forms


def test_a_number_after_a_name_that_is_read_to_the_left_stays_behind_it():
    audit = an_audit()
    data = audit.data.model_copy(update={"source": "נתונים"})
    assert "נתונים\u200e, 450 examples" in html(view(audit.model_copy(update={"data": data})))


def test_names_in_any_script_make_a_pdf_without_a_missing_glyph():
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    logging.getLogger("weasyprint").addHandler(handler)
    bars = Bars(
        name="layers",
        title="Layers",
        finding=NAMES[2],
        axis=Axis(label="Norm"),
        bars=tuple(Bar(label=name, value=1.0) for name in NAMES),
    )
    rows = tuple((name, 1.0) for name in NAMES)
    columns = (Column(name="a", title="Name"), Column(name="b", title="Norm"))
    table = Table(name="rows", title="Rows", finding="Some.", columns=columns, rows=rows)
    audit = an_audit(checks=(a_check("gradient", Measured(details=(bars, table))),))
    try:
        pdf(view(audit), audit)
    finally:
        logging.getLogger("weasyprint").removeHandler(handler)
    assert told.getvalue() == ""
