"""Plan against actual: every row and their sum, in one unit, and nothing made up where nothing was timed."""

from __future__ import annotations

import datetime as dt

import pytest
from results_factory import an_audit

from landscape_audit.gates.judge import judged
from landscape_audit.policy import Policy
from landscape_audit.report.cost import cost_of, in_gradients
from landscape_audit.report.render import html
from landscape_audit.report.view import view
from landscape_audit.results import Cost, ProbeRecord


def an_audit_that_took(*probes: ProbeRecord, **run: object):
    audit = an_audit()
    return audit.model_copy(
        update={
            "protocol": audit.protocol.model_copy(update={"probes": probes}),
            "run": audit.run.model_copy(update=run),
        }
    )


KRYLOV = ProbeRecord(name="krylov", planned=Cost(hvps=40), cost=Cost(hvps=30, gradients=1))
WALK = ProbeRecord(name="random_plane", planned=Cost(forwards=2400), cost=Cost(forwards=2400))


def test_a_product_counts_as_many_gradients_as_it_took_seconds_here():
    run = an_audit_that_took(gradient_seconds=0.2, hvp_seconds=0.5).run
    assert in_gradients(Cost(hvps=4, gradients=1), run) == pytest.approx(4 * 2.5 + 1)
    assert in_gradients(Cost(hvps=4), run.model_copy(update={"hvp_seconds": 0.3})) == pytest.approx(4 * 1.5)


@pytest.mark.parametrize("timed", [(None, 0.5), (0.2, None), (0.0, 0.5)])
def test_without_both_times_the_usual_price_is_taken_and_that_is_said(timed: tuple[float | None, float | None]):
    audit = an_audit_that_took(KRYLOV, gradient_seconds=timed[0], hvp_seconds=timed[1])
    assert in_gradients(Cost(hvps=4), audit.run) == Cost(hvps=4).in_gradients()
    assert cost_of(audit).price.startswith("Nothing was timed")


def test_each_measurement_has_its_plan_beside_what_it_took():
    seen = cost_of(
        an_audit_that_took(KRYLOV, WALK, gradient_seconds=1.0, hvp_seconds=2.0, probe_seconds={"krylov": 61.25})
    )
    assert seen.table.rows == (
        ("krylov", "0", "0", "0", "1", "40", "30", "80.0", "61.0", "61.25"),
        ("random plane", "2,400", "2,400", "0", "0", "0", "0", "800.0", "800.0", "—"),
    )
    assert seen.table.total == ("Together", "2,400", "2,400", "0", "1", "40", "30", "880.0", "861.0", "61.25")
    assert seen.sentence == "Planned 880.0 gradients, spent 861.0 (ratio 0.98)."
    assert "2 times as long" in seen.price


def test_a_measurement_that_reads_no_data_is_counted_and_not_listed():
    free = ProbeRecord(name="facts", planned=Cost(), cost=Cost())
    table = cost_of(an_audit_that_took(free, KRYLOV, probe_seconds={"facts": 0.5, "krylov": 2.0})).table
    assert [row[0] for row in table.rows] == ["krylov"]
    assert table.more == "1 more measurement without a pass over the data."
    assert table.total[-1] == "2.50"


def test_headings_over_headings_cover_every_column():
    table = cost_of(an_audit()).table
    widths = sum(width for _, width in table.groups)
    assert widths == len(table.headings) == len(table.numeric) == len(table.total)
    assert {len(row) for row in table.rows} == {widths}


def test_nothing_planned_has_no_ratio():
    assert cost_of(an_audit_that_took()).sentence == "Planned 0.0 gradients, spent 0.0."


def test_the_report_shows_the_plan_the_cost_and_their_sum():
    audit = judged(an_audit(), Policy(), dt.date(2026, 1, 1))
    page = html(view(audit))
    assert cost_of(audit).sentence in page
    assert '<th scope="colgroup" colspan="2" class="n">HVPs</th>' in page
    assert page.index('<tr class="total">') < page.index("What these numbers do not say")
