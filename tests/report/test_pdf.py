"""The PDF: tagged, in its own fonts, with the results inside, and made of nothing from outside."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys

import pikepdf
import pytest
from hostile_audit import an_audit_with_everything

from landscape_audit.errors import CapabilityError
from landscape_audit.report import pdf as paper
from landscape_audit.report.view import view


@pytest.fixture(scope="module")
def rendered():
    audit = an_audit_with_everything()
    return audit, paper.pdf(view(audit), audit)


def test_the_pdf_is_tagged_titled_and_carries_the_results(rendered):
    audit, content = rendered
    with pikepdf.open(io.BytesIO(content)) as file:
        assert file.open_metadata().pdfa_status == "3A"
        assert bool(file.Root.MarkInfo.Marked)
        assert str(file.Root.Lang) == "en"
        assert "Loss landscape audit" in str(file.docinfo["/Title"])
        assert file.Root.Outlines.Count != 0
        assert bytes(file.attachments["results.json"].get_file().read_bytes()).decode() == audit.to_json()


def test_every_letter_of_the_pdf_is_set_in_its_own_fonts(rendered):
    # A figure set in a font of this machine would look, and read, otherwise on another.
    with pikepdf.open(io.BytesIO(rendered[1])) as file:
        names = {
            str(each.BaseFont) for each in file.objects if isinstance(each, pikepdf.Dictionary) and "/BaseFont" in each
        }
    assert names
    assert all(re.match(r"/[A-Z]{6}\+Audit", name) for name in names), names


def test_dates_of_the_environment_come_back_also_when_rendering_fails(monkeypatch):
    audit = an_audit_with_everything()
    monkeypatch.setattr(paper, "locked_fetcher", lambda: 1 / 0)
    for before in (None, "86400"):
        if before is not None:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", before)
        with pytest.raises(ZeroDivisionError):
            paper.pdf(view(audit), audit)
        assert os.environ.get("SOURCE_DATE_EPOCH") == before


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler-utils")
def test_the_text_of_the_pdf_has_the_verdict_and_the_gate(rendered, tmp_path):
    (tmp_path / "report.pdf").write_bytes(rendered[1])
    text = subprocess.run(
        [shutil.which("pdftotext"), "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "PASS" in text
    assert "31 (29 to 33)" in text
    assert "<script>alert(1)" in text


def test_the_pdf_may_read_nothing_but_its_own_fonts():
    fetcher = paper.locked_fetcher()
    assert fetcher.fetch(f"{paper.SCHEME}DejaVuSans.ttf").read(4)
    for address in ("file:///etc/passwd", "http://127.0.0.1/", f"{paper.SCHEME}../../etc/passwd", "ftp://x/"):
        with pytest.raises(ValueError, match="refused"):
            fetcher.fetch(address)


def test_without_pango_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises((CapabilityError, ImportError)):
        paper.require_pango()
