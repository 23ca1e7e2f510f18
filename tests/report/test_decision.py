"""The ladder of a decision shows the way that the classification went, and says the same without being seen."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re

import pytest
from hostile_audit import DETAILS, HOSTILE
from results_factory import OUTCOMES, an_audit, between

from landscape_audit.checks.classification import decide
from landscape_audit.checks.evidence import Evidence
from landscape_audit.detail import Column, Condition, Decision, Table
from landscape_audit.gates.judge import judged
from landscape_audit.ids import in_words
from landscape_audit.policy import Policy
from landscape_audit.probes.escape import Escape
from landscape_audit.probes.walks import Point
from landscape_audit.report.decision import alt, ladder
from landscape_audit.report.render import html
from landscape_audit.report.tables import numbers_behind
from landscape_audit.report.view import view
from landscape_audit.results import Measured
from landscape_audit.statistics import Mean


def at(drop: float, radius: float = 0.1) -> Point:
    return Point(radius, 1.0 - drop, Mean(-drop, 0.0001, 20), None)


HERE = at(0.0, radius=0.0)
CERTAINLY_DOWN = between(-3.0, -2.0, -1.0)
MINIMUM = Evidence(
    loss=1.0,
    delta=0.01,
    noise=1e-6,
    gradient_real=False,
    gradient_norm=0.0,
    probability=0.6,
    slope_drop=HERE,
    best_drop=HERE,
    lambda_min=between(0.5, 1.0, 1.5),
    lambda_min_floor=0.1,
    starts=1,
    lambda_max=between(9.0, 10.0, 11.0),
    rounding=1e-6,
    radius=1.0,
    level=0.95,
    escape=None,
    escape_worth=0.0,
    level_out_to=0.001,
    rise_on_top=1.0,
    dtype="float32",
)
LEVEL = {"lambda_max": between(0.0, 0.001, 0.002), "lambda_min": between(-0.001, 0.0, 0.001)}
EVIDENCE = {
    "maximum": {"lambda_min": CERTAINLY_DOWN, "lambda_max": CERTAINLY_DOWN},
    "not_critical": {"slope_drop": at(0.5), "best_drop": at(0.5), "gradient_real": True, "probability": 0.001},
    "saddle": {"lambda_min": CERTAINLY_DOWN, "escape": Escape(0.1, HERE, at(0.4), HERE), "escape_worth": 0.4},
    "plateau": {**LEVEL, "level_out_to": 1.0},
    "degenerate": {**LEVEL, "best_drop": at(0.5)},
    "approximate_minimum": {"lambda_min": CERTAINLY_DOWN},
    "minimum": {},
    "undecided": {"lambda_min_floor": -math.inf},
}
"""For each class evidence that leads there."""


def decision_of(word: str) -> Decision:
    return decide(dataclasses.replace(MINIMUM, **EVIDENCE[word]))


@pytest.mark.parametrize("word", EVIDENCE)
def test_the_ladder_goes_down_to_the_class_that_was_given_and_no_further(word):
    decision = decision_of(word)
    assert decision.taken.name == word
    rungs = ladder(decision).rungs
    place = [step.name for step in decision.steps].index(word)
    assert [rung.place for rung in rungs] == ["passed"] * place + ["taken"] + ["after"] * (len(rungs) - place - 1)
    assert rungs[place].name == in_words(word)
    for rung in rungs[:place]:
        assert {"✗", "?"} & {asked.glyph for asked in rung.conditions}, rung.name
    assert {asked.glyph for asked in rungs[place].conditions} <= {"✓"}
    assert not any(rung.conditions for rung in rungs[place + 1 :])


@pytest.mark.parametrize("word", EVIDENCE)
def test_the_words_beside_the_ladder_tell_the_class_and_why(word):
    decision = decision_of(word)
    told = alt(decision)
    assert f"The answer is {in_words(word)}: {decision.taken.reason}" in told
    for step in decision.steps[: decision.steps.index(decision.taken)]:
        against = next(each for each in step.conditions if not each.holds)
        assert f"{in_words(step.name)}: " in told
        assert f"{against.says} {against.asks}" in told


@pytest.mark.parametrize(
    ("ends", "holds", "outcome"),
    [
        ((1.0, 3.0), False, "no"),
        ((-1.0, 3.0), False, "open"),
        ((-1.0, None), False, "open"),
        ((1.0, None), False, "no"),
        ((None, None), False, "no"),
        ((-1.0, 3.0), True, "yes"),
    ],
)
def test_what_does_not_hold_is_open_only_where_its_interval_has_the_limit_inside(ends, holds, outcome):
    low, high = ends
    asked = Condition(says="worth", asks="≤", limit=0.0, value=2.0, low=low, high=high, holds=holds)
    assert asked.outcome == outcome


def test_a_strip_has_value_and_limit_on_the_sides_where_they_are():
    for rung in ladder(decision_of("undecided")).rungs:
        for asked in rung.conditions:
            if asked.strip is None:
                continue
            strip = asked.strip
            assert 0 <= strip.low <= strip.value <= strip.high <= 100
            (limit,) = {strip.allowed_from, strip.allowed_to} - {0.0, 100.0}
            holds = strip.allowed_from <= strip.value <= strip.allowed_to
            assert asked.glyph == ("✓" if holds else "✗") or strip.low < limit < strip.high


def test_every_condition_is_in_the_numbers_behind_it_also_of_what_was_not_asked():
    decision = decision_of("saddle")
    rows = numbers_behind(decision).rows
    assert len(rows) == sum(len(step.conditions) for step in decision.steps)
    assert "approximate minimum" in {row[0] for row in rows}


def page_of(*details):
    outcome = OUTCOMES["stationarity"].model_copy(update={"details": details})
    return html(view(judged(an_audit({"stationarity": outcome}), Policy(), dt.date(2026, 1, 1))))


def test_a_page_says_everything_in_words_and_marks_too():
    page = page_of(decision_of("saddle"))
    (block,) = re.findall(r'<ol class="ladder.*?</ol>', page, re.DOTALL)
    assert re.search(r'aria-label="The decision. The answer is saddle: Negative curvature is certain', block)
    assert block.count('class="rung taken"') == 1
    assert block.count("not asked") == 5
    assert "not_critical" not in block
    assert 'aria-label="does not hold:">✗' in block


def test_hostile_words_on_a_rung_do_nothing():
    decision = next(detail for detail in DETAILS if isinstance(detail, Decision))
    page = page_of(decision)
    for text in (page, alt(decision)):
        assert HOSTILE not in text
    assert "<script>alert" not in page
    assert "not finite" in page


def test_results_with_tables_in_place_of_the_ladder_are_shown_as_they_were():
    columns = (Column(name="class", title="Class"), Column(name="holds", title="Holds"))
    old = Table(name="branches", title="The decision", finding="f", columns=columns, rows=(("saddle", True),))
    page = page_of(old)
    assert "<caption>The decision" in page
    assert '<ol class="ladder' not in page
    assert Measured(details=(old,)).details == (old,)
