"""The pages of the PDF as printed: full, whole, inside the paper, and each saying of what it is."""

from __future__ import annotations

import datetime as dt
import functools
import io
import logging
import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pikepdf
import pypdf
import pytest
from hostile_audit import DETAILS, HOSTILE, an_audit_with_everything, policy
from results_factory import a_check, an_audit, an_estimate

from landscape_audit.checks import BATTERY
from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.detail import Column, Table
from landscape_audit.gates.judge import judged
from landscape_audit.report.pdf import pdf
from landscape_audit.report.view import view
from landscape_audit.results import Failed, Measured

CURVE, PLANE, DENSITY, BARS, *_ = DETAILS
DOTS_A_MM = 40 / 25.4
CLEAR = 15.0
"""Millimetres at every side: printed on Letter, A4 loses 8.8 at each end, and printers keep off the last 5."""
POPPLER = pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="needs poppler-utils")


def a_table(rows):
    columns = tuple(Column(name=name, title=name.capitalize()) for name in ("layer", "trace", "share"))
    cells = tuple((f"blocks.{i}.attention.weight", float(i), 0.5) for i in range(rows))
    return Table(name="rows", title="Rows", finding="Some.", columns=columns, rows=cells)


def a_long_audit(battery=BATTERY, **changes):
    """Checks that each have numbers, a picture and a table; the surface has five pictures."""
    slices = tuple(CURVE.model_copy(update={"name": f"slice_{name}"}) for name in ("v_max", "v_min", "g", "random"))
    own = {"surface": (PLANE, *slices), "spectral_density": (DENSITY,), "gradient": (BARS,)}
    checks = []
    for place, check in enumerate(battery):
        numbers = {f"number_{i}": an_estimate(float(i), 0.5, unit="loss") for i in range(2 + place % 5)}
        if check.id == "sharpness":
            numbers["lambda_max"] = an_estimate(31.0, 2.0)
        measured = Measured(estimates=numbers, details=(*own.get(check.id, (CURVE,)), a_table(4 + place)))
        checks.append(a_check(check.id, measured, title=check.title, question=check.question))
    return an_audit(checks=tuple(checks), **changes)


def passing():
    return judged(a_long_audit(), policy(sharpness__lambda_max={"at_most": 50.0, "why": "x"}), dt.date(2026, 1, 1))


def failing():
    audit = a_long_audit(BATTERY[-5:])
    gates = {key.replace(".", "__"): {"at_most": -9.0, "why": f"of {key}"} for key in audit.estimates()}
    return judged(audit, policy(**gates), dt.date(2026, 1, 1))


def partial():
    whole = a_long_audit(BATTERY[3:9]).checks
    checks = [
        a_check(check.id, Failed(error=HOSTILE), title=check.title) if place % 2 else check
        for place, check in enumerate(whole)
    ]
    audit = an_audit(checks=tuple(checks), partial="failed: half of them")
    return judged(audit, policy(sharpness__lambda_max={"at_most": 50.0, "why": "x"}), dt.date(2026, 1, 1))


def compared():
    """An audit beside its own baseline, whose every label was another one."""
    audit = passing()
    before = {key: label.model_copy(update={"value": "another"}) for key, label in audit.labels().items()}
    baseline = baseline_of(audit, audit).model_copy(update={"labels": before})
    keys = [key for key in audit.estimates() if key.endswith("number_1")][:12]
    demands = policy(**{key.replace(".", "__"): {"at_most": -9.0, "why": "x"} for key in keys})
    return judged(audit.model_copy(update={"baseline": baseline}), demands, dt.date(2026, 1, 1))


AUDITS = {"passing": passing, "failing": failing, "partial": partial, "hostile": an_audit_with_everything}


class Printed:
    """A PDF with its text and its outline by page, and where its pages have ink."""

    def __init__(self, audit, folder):
        self.audit, self.seen = audit, view(audit)
        self.warned = io.StringIO()
        handler = logging.StreamHandler(self.warned)
        logging.getLogger("weasyprint").addHandler(handler)
        self.content = pdf(self.seen, audit)
        logging.getLogger("weasyprint").removeHandler(handler)
        self.reader = pypdf.PdfReader(io.BytesIO(self.content))
        self.texts = [page.extract_text() for page in self.reader.pages]
        self._folder = folder

    def outline(self, entries=None, level=1):
        """(level, title, page, millimetres from the top) of every bookmark."""
        for each in self.reader.outline if entries is None else entries:
            if isinstance(each, list):
                yield from self.outline(each, level + 1)
            else:
                number = self.reader.get_destination_page_number(each)
                yield level, each.title, number, (float(self.reader.pages[number].mediabox.top) - each.top) / 72 * 25.4

    @functools.cached_property
    def pictures(self):
        (self._folder / "report.pdf").write_bytes(self.content)
        draw = [shutil.which("pdftoppm"), "-r", "40", "-gray", "report.pdf", "page"]
        subprocess.run(draw, cwd=self._folder, check=True)
        return [ink(path.read_bytes()) for path in sorted(self._folder.glob("page-*.pgm"))]


def ink(pgm):
    """Where a page of grey is not white."""
    kind, size, most, dots = pgm.split(b"\n", 3)
    assert (kind, most) == (b"P5", b"255")
    width, height = map(int, size.split())
    return np.frombuffer(dots, np.uint8).reshape(height, width) < 245


def rows(page, top, bottom):
    return page[round(top * DOTS_A_MM) : round(bottom * DOTS_A_MM)].any(axis=1)


@pytest.fixture(scope="module")
def printer(tmp_path_factory):
    return functools.cache(lambda name: Printed(AUDITS[name](), tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module", params=AUDITS)
def printed(request, printer):
    return printer(request.param)


@pytest.fixture(scope="module")
def passed(printer):
    return printer("passing")


def test_the_whole_battery_takes_no_more_than_a_page_a_check_and_three(passed):
    assert len(passed.texts) <= len(BATTERY) + 3


def test_weasyprint_has_nothing_to_warn_of(printed):
    assert printed.warned.getvalue() == ""


def test_the_first_page_has_verdict_gates_what_to_do_and_what_was_audited(printed):
    first = printed.texts[0]
    assert printed.audit.verdict.word in first
    for needed in ("What to do next", "What was audited", printed.audit.subject.files[0].sha256[:12]):
        assert needed in first
    words = " ".join(" ".join(printed.texts).split())
    for gate in printed.seen.gates:
        assert gate.key in words


def test_four_panels_stand_together_on_the_second_page(passed):
    titles = [panel.title for panel in passed.seen.panels]
    assert len(titles) >= 3
    assert "The landscape at a glance" in passed.texts[1]
    assert all(title in passed.texts[1] for title in titles)


def test_every_page_says_the_verdict_of_which_checkpoint_and_its_number(printed):
    seen, total = printed.seen, len(printed.texts)
    for number, text in enumerate(printed.texts, start=1):
        assert seen.word in text
        assert seen.title in text
        assert f"{number} / {total}" in text


def test_bookmarks_are_two_levels_deep_and_name_every_check(printed):
    outline = list(printed.outline())
    assert {level for level, *_ in outline} == {1, 2}
    assert {check.title for check in printed.seen.checks} <= {title for _, title, *_ in outline}
    assert outline[0][1].endswith(printed.audit.verdict.word)
    places = [(page, top) for *_, page, top in outline]
    assert all(before <= after for before, after in pairwise(places))


@POPPLER
def test_every_heading_is_followed_by_something_on_its_page(printed):
    pages = printed.pictures
    for _, title, page, top in printed.outline():
        assert rows(pages[page], top + 7, 297 - 19).any(), title


@POPPLER
def test_no_page_but_the_last_of_a_part_is_less_than_two_thirds_full(printed):
    pages = printed.pictures
    parts = {"The landscape at a glance", printed.seen.checks[0].title}
    starts = {page for _, title, page, _ in printed.outline() if title in parts}
    for number, page in enumerate(pages[:-1]):
        if number + 1 not in starts:
            used = rows(page, 21, 297 - 19)
            assert np.flatnonzero(used).max() > len(used) * 2 / 3, number + 1


@POPPLER
def test_what_changed_since_a_baseline_leaves_no_page_nearly_empty(tmp_path):
    printed = Printed(compared(), tmp_path)
    assert any("Since the baseline" in text for text in printed.texts)
    for number, page in enumerate(printed.pictures[:-1]):
        used = rows(page, 21, 297 - 19)
        assert np.flatnonzero(used).max() > len(used) * 2 / 3, number + 1


@POPPLER
def test_nothing_is_printed_where_a4_or_letter_has_no_room(printed):
    keep = int(CLEAR * DOTS_A_MM) - 1  # what lies on the line colours the dot beyond it
    for number, page in enumerate(printed.pictures, start=1):
        outside = page.copy()
        outside[keep:-keep, keep:-keep] = False
        assert not outside.any(), number


def test_the_contents_name_the_page_of_every_check(passed):
    second = " ".join(passed.texts[1].split())
    pages = {title: page + 1 for _, title, page, _ in passed.outline()}
    for check in passed.seen.checks:
        assert re.search(rf"{check.title} {re.escape(check.result)} ?{pages[check.title]}(?!\d)", second), check.title


def test_a_table_over_two_pages_has_its_headings_on_both(passed):
    ids = [f"{check.id}.number_1" for check in BATTERY]
    with_ids = [text for text in passed.texts if sum(each in text for each in ids) > 1]
    assert len(with_ids) > 1
    for text in with_ids:
        assert "Low" in text.split()
        assert "High" in text.split()


def test_pictures_have_words_and_tables_have_headings_for_whoever_listens(printed):
    with pikepdf.open(io.BytesIO(printed.content)) as file:
        parts = [
            each for each in file.objects if isinstance(each, pikepdf.Dictionary) and "/S" in each and "/P" in each
        ]
        figures = [each for each in parts if each.S == "/Figure"]
        assert figures
        assert all(len(str(each.get("/Alt", ""))) > 15 for each in figures)
        kinds = [str(each.S) for each in parts]
        assert kinds.count("/TH") > 3 * kinds.count("/Table") > 0
