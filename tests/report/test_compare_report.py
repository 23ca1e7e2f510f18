"""Two audits as one page: what is said of a change, and what is drawn together."""

from __future__ import annotations

import base64
import io
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from hostile_audit import DETAILS, HOSTILE
from results_factory import a_check, an_audit, an_estimate, between

from landscape_audit.comparison.changes import changes
from landscape_audit.detail import Bar, Series
from landscape_audit.report.compare_report import comparison_report
from landscape_audit.report.compare_view import compared, comparison, worst_first
from landscape_audit.report.render import comparison_html
from landscape_audit.report.write import write_comparison
from landscape_audit.results import Measured

CURVE, PLANE, DENSITY, LAYERS = DETAILS[:4]


def sharp(value, half, direction="lower"):
    return Measured(estimates={"lambda_max": an_estimate(value, half, direction=direction)})


def change(there, here):
    """The change of `sharpness.lambda_max` from one estimate to another."""
    a, b = (an_audit({"sharpness": Measured(estimates={"lambda_max": each})}) for each in (there, here))
    return changes(compared(a, b), ["sharpness.lambda_max"])[0]


def drawing(*details, at="surface", **changes):
    return an_audit(checks=(*an_audit().checks, a_check(at, Measured(details=details))), **changes)


def picture(figure):
    return base64.b64decode(figure.source.partition(",")[2]).decode()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ratio_holds_every_quotient_of_numbers_inside_both_intervals(sign):
    there, here = (an_estimate(sign * value, half) for value, half in ((2.0, 0.5), (3.0, 0.25)))
    ratio = change(there, here).ratio
    ends = [y / x for x, y in itertools.product((there.low, there.high), (here.low, here.high))]
    assert ratio.value == pytest.approx(1.5)
    assert (ratio.low, ratio.high) == (pytest.approx(min(ends)), pytest.approx(max(ends)))


@pytest.mark.parametrize(
    ("there", "here"), [((1.0, 2.0), (5.0, 1.0)), ((-3.0, 1.0), (5.0, 1.0)), ((0.0, None), (1.0, 0.5))]
)
def test_there_is_no_ratio_of_what_may_be_zero_or_changes_its_sign(there, here):
    assert change(an_estimate(*there), an_estimate(*here)).ratio is None


def test_what_has_no_ratio_is_told_as_a_difference():
    a, b = (an_audit({"sharpness": sharp(value, 0.5)}) for value in (-1.0, 1.0))
    seen = comparison_report(a, b)
    name = "the largest Hessian eigenvalue"
    assert (name, "B − A", "2", "1 to 3", "worse") in seen.ratios.rows
    assert name in seen.forest.finding
    assert name not in seen.forest.alt


def test_a_change_is_certain_just_where_its_interval_ends_before_no_change():
    for here, half in itertools.product((1.0, 1.2, 2.0, 4.0, 0.3), (0.0, 0.1, 0.5, 1.5)):
        found = change(an_estimate(1.0, 0.1), an_estimate(here, half))
        assert found.is_certain == (found.certainty > 1)


def test_what_is_worse_comes_first_and_no_word_is_said_of_what_is_neither():
    def both(scale):
        values = {"lambda_max": (10.0, "lower"), "lambda_2": (10.0, "higher"), "lambda_3": (10.0, "neither")}
        found = {key: an_estimate(value * scale, 0.1, direction=way) for key, (value, way) in values.items()}
        return an_audit({"sharpness": Measured(estimates=found)})

    certain = comparison(both(1), both(2), every=True).certain
    assert [each.standing for each in certain] == ["worse", "better", "changed"]
    assert certain[2].tone == "plain"
    assert [each.tone for each in worst_first(changes(compared(both(1), both(2))))] == ["bad", "good", "plain"]


def test_the_sentence_is_of_the_change_that_is_worst():
    seen = comparison(an_audit({"sharpness": sharp(10.0, 0.1)}), an_audit({"sharpness": sharp(20.0, 0.1)}))
    assert seen.telling == "The largest Hessian eigenvalue is higher, which is worse: +100 % (+97 % to +103 %)."
    assert comparison(an_audit(), an_audit()).telling == ""


def test_what_both_have_drawn_is_drawn_once_with_the_curves_of_both():
    curve = CURVE.model_copy(update={"name": "slice_v_max"})
    (panel,) = comparison_report(drawing(curve), drawing(curve)).panels
    assert {"A: measured", "B: measured"} <= set(re.findall(r"[AB]: measured", picture(panel)))
    assert panel.numbers.headings == ("Distance", "A: measured", "B: measured")
    assert "own direction of highest curvature" in panel.finding


def test_surfaces_stand_side_by_side_in_the_same_colours():
    high = PLANE.model_copy(update={"z": ((200.0, 100.0, None), (100.0, 50.0, 100.0), (200.0, 100.0, 200.0))})
    one, other = comparison_report(drawing(PLANE), drawing(high)).panels
    alone = comparison_report(drawing(PLANE), drawing(PLANE)).panels[0]
    bars = [re.findall(r">([−\d.e]+)</text>", picture(panel))[-7:] for panel in (one, other, alone)]
    assert bars[0] == bars[1] != bars[2]
    assert "directions are the same in both" in one.finding


def test_other_random_directions_are_said_to_be_others():
    protocol = an_audit().protocol.model_copy(update={"seed": 1})
    panels = comparison_report(drawing(PLANE), drawing(PLANE, protocol=protocol)).panels
    assert "directions are others in B than in A" in panels[0].finding


def test_what_is_not_drawn_together_is_named_with_the_reason():
    curve = CURVE.model_copy(update={"name": "slice_v_max"})
    turned = curve.model_copy(update={"x": curve.x.model_copy(update={"unit": "m"})})
    seen = comparison_report(drawing(curve, PLANE), drawing(turned))
    assert seen.panels == ()
    assert seen.apart == (
        "Not drawn together, as the axes differ: Curve.",
        "Not drawn together, as only A has them: Plane.",
    )


def test_layers_are_paired_by_name():
    other = LAYERS.model_copy(update={"bars": (Bar(label="b", value=3.0), Bar(label="c", value=1.0))})
    (panel,) = comparison_report(drawing(LAYERS, at="gradient"), drawing(other, at="gradient")).panels
    assert panel.alt == "Layers. b 1 in A and 3 in B."
    assert panel.numbers.rows[1] == ("b", "1", "—", "—", "3", "—", "—")
    nothing = LAYERS.model_copy(update={"bars": (Bar(label="d", value=3.0),)})
    assert (
        "no name is in both"
        in comparison_report(drawing(LAYERS, at="gradient"), drawing(nothing, at="gradient")).apart[0]
    )


def test_an_audit_without_pictures_still_has_a_page():
    bare = an_audit(checks=())
    page = comparison_html(comparison_report(bare, bare))
    assert "<img" not in page
    assert "OBSERVED" in page


def test_a_page_leads_nowhere_that_is_not_there():
    lost = Measured(estimates={"value": an_estimate(float("nan"))})
    other = an_audit().data.model_copy(update={"fingerprint": "1" * 64})
    for b in (drawing(PLANE, data=other), drawing(PLANE), an_audit({"loss": lost})):
        page = comparison_html(comparison_report(drawing(PLANE), b))
        ids = re.findall(r' id="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


@pytest.fixture(scope="module")
def hostile():
    """Two audits that have drawn everything, with hostile names."""
    files = tuple(file.model_copy(update={"name": HOSTILE}) for file in an_audit().subject.files)
    subject = an_audit().subject.model_copy(update={"files": files, "model": HOSTILE})
    empty = Series(name="measured", x=(0.0, 1.0), y=(None, None))
    curve = CURVE.model_copy(update={"name": "slice_v_max", "title": HOSTILE, "series": (*CURVE.series, empty)})
    checks = (a_check("surface", Measured(details=(curve, PLANE))), a_check("gradient", Measured(details=(LAYERS,))))
    a = an_audit({"sharpness": sharp(10.0, 0.1), "loss": Measured(estimates={"value": between(1.0, 1.0, None)})})
    b = an_audit({"sharpness": sharp(20.0, 0.1)}, subject=subject)
    return tuple(
        each.model_copy(
            update={
                "checks": (*(c for c in each.checks if c.id != "gradient"), *checks),
                "run": each.run.model_copy(update={"finished": f"2026-03-0{day}T09:16:47+00:00"}),
            }
        )
        for each, day in ((a, 5), (b, 4))
    )


def test_the_pdf_carries_both_audits_and_is_the_same_in_another_process(hostile, tmp_path, caplog):
    for name, each in zip("ab", hostile, strict=True):
        (tmp_path / f"{name}.json").write_text(each.to_json())
    content = write_comparison(*hostile, tmp_path)["pdf"].read_bytes()
    assert caplog.records == []
    with pikepdf.open(io.BytesIO(content)) as file:
        assert file.open_metadata().pdfa_status == "3A"
        assert bool(file.Root.MarkInfo.Marked)
        assert str(file.docinfo["/CreationDate"]).startswith("D:20260305091647")
        for name, each in zip("ab", hostile, strict=True):
            attached = file.attachments[f"{name}.json"].get_file()
            assert attached.read_bytes().decode() == each.to_json()
            assert attached.mod_date == each.finished()
    command = [sys.executable, "-m", "landscape_audit", "compare", "a.json", "b.json", "--out", "again"]
    around = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "7", "PATH": os.environ["PATH"]}
    subprocess.run(command, cwd=tmp_path, env=around, check=True, capture_output=True)
    assert (tmp_path / "again/compare.pdf").read_bytes() == content
