"""Advice: every rule follows from its evidence and from nothing less, and says who says so."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Mapping
from html import unescape
from typing import Any, get_args

import pytest
from hostile_audit import HOSTILE
from pydantic import ValidationError
from results_factory import OUTCOMES, SHA256, an_audit, between
from typer.testing import CliRunner

from landscape_audit.advice import Advice, OfAudit, OfEstimate, OfGate, OfLabel, advice, advised, following_from
from landscape_audit.checks import BATTERY, OPT_IN, classification
from landscape_audit.cli.main import app
from landscape_audit.estimate import Estimate, IntervalKind, Label
from landscape_audit.gates import demand
from landscape_audit.gates.judge import judged
from landscape_audit.ids import name_of
from landscape_audit.policy import Gate, Policy, Waiver
from landscape_audit.report.advice import FIRST
from landscape_audit.report.render import html, markdown
from landscape_audit.report.view import view
from landscape_audit.results import AuditResults, Failed, InstrumentInfo, Measured

RULES = {rule.id: rule for rule in advice().rule}
CHECKS = {check.id: check for check in (*BATTERY, *OPT_IN)}
CONDITIONS = [condition for rule in advice().rule for condition in (*rule.when, *rule.unless)]


def found(
    labels: Mapping[str, str | Label] | None = None,
    estimates: Mapping[str, Estimate] | None = None,
    gates: Mapping[str, Gate] | None = None,
    waivers: tuple[Waiver, ...] = (),
    **changes: Any,
) -> AuditResults:
    """The audit of a clean minimum in which some labels and numbers are others, with some gates held against it."""
    outcomes = {name: (dict(outcome.estimates), dict(outcome.labels)) for name, outcome in OUTCOMES.items()}
    for key, estimate in (estimates or {}).items():
        check, _, name = key.partition(".")
        outcomes.setdefault(check, ({}, {}))[0][name] = estimate
    for key, label in (labels or {}).items():
        check, _, name = key.partition(".")
        word = label if isinstance(label, Label) else Label(value=label, reason="Because.")
        outcomes.setdefault(check, ({}, {}))[1][name] = word
    measured = {name: Measured(estimates=numbers, labels=words) for name, (numbers, words) in outcomes.items()}
    return judged(an_audit(measured, **changes), Policy(gates=gates or {}, waivers=waivers), dt.date(2026, 1, 1))


def ids(results: AuditResults) -> list[str]:
    return [each.rule.id for each in advised(results)]


def at(value: str, open_by: IntervalKind | None = None) -> dict[str, str | Label]:
    return {"stationarity.class": Label(value=value, reason="Because.", open=open_by)}


def at_most(limit: float) -> Gate:
    return Gate(at_most=limit, why="a test")


def exactly(value: float) -> Estimate:
    return Estimate.exact(value)


CASES: dict[str, AuditResults] = {
    "instrument": found(instrument=InstrumentInfo(agrees=False, disagreements=("hvp_symmetry: off by 0.3",))),
    "nonfinite_inputs": found({"data.reason": "non-finite inputs"}),
    "constant_inputs": found({"data.reason": "constant inputs"}),
    "single_label": found({"data.reason": "single label"}),
    "contradictory_labels": found({"data.reason": "contradictory labels"}),
    "no_better_than_a_constant": found({"data.reason": "no better than a constant"}),
    "duplicate_inputs": found({"data.reason": "duplicate inputs"}),
    "underflow": found({"gradient.reason": "underflow"}),
    "vanishing_layers": found({"gradient.reason": "vanishing layers"}),
    "loss_gate": found(gates={"loss.value": at_most(0.01)}),
    "maximum": found(at("maximum")),
    "not_critical": found(at("not_critical")),
    "saddle": found(at("saddle")),
    "plateau_dead_units": found(at("plateau") | {"activations.reason": "dead units"}),
    "plateau_saturated_units": found(at("plateau") | {"activations.reason": "saturated units"}),
    "plateau_collapsed_attention": found(at("plateau") | {"activations.reason": "collapsed attention"}),
    "plateau": found(at("plateau") | {"activations.reason": "none"}),
    "degenerate": found(at("degenerate")),
    "sharp": found(gates={"sharpness.lambda_max": at_most(1.0)}),
    "not_flat": found(gates={"flatness.tolerance": Gate(at_least=0.5, why="a test")}),
    "quantisation_gate": found(
        estimates={"quantisation.rise@int8": exactly(0.002)}, gates={"quantisation.rise@int8": at_most(0.001)}
    ),
    "undecided_rounding": found(at("undecided", "rounding")),
    "undecided_unseen": found(at("undecided", "residual")),
    "undecided_sampling": found(at("undecided", "sampling")),
    "undecided_otherwise": found(at("undecided")),
    "undecided_gates": found(gates={"sharpness.lambda_max": at_most(31.0)}),
    "gradient_noise": found(at("plateau") | {"gradient.reason": "noise"}),
    "sam_is_flatter": found({"sam.flatter": "flatter"}, {"sam.metric_difference": between(-0.01, 0.0, 0.01)}),
    "asam_is_flatter": found({"sam.asam_flatter": "flatter"}),
    "nothing": found(at("minimum")),
    "beyond_the_edge_of_stability": found(estimates={"sharpness.edge_of_stability": between(1.01, 1.2, 1.4)}),
    "at_the_edge_of_stability": found(estimates={"sharpness.edge_of_stability": between(0.86, 0.97, 1.1)}),
    "quantisation_16_bits": found(estimates={"quantisation.rise@bf16": exactly(0.2)}),
    "quantisation_8_bits": found(estimates={"quantisation.rise@fp8": exactly(0.2)}),
    "quantisation_4_bits": found(estimates={"quantisation.rise@int4": exactly(0.2)}),
    "reparametrisation": found(estimates={"reparametrisation.lambda_max_ratio": between(23.0, 23.0, None)}),
    "sam_is_not_flatter": found({"sam.flatter": "mixed"}),
    "sam_is_worse": found({"sam.flatter": "flatter"}, {"sam.loss_difference": between(0.01, 0.02, 0.03)}),
    "sam_is_open": found({"sam.flatter": "undecided"}),
}


# ------------------------------------------------------------------------------------------------- what follows when


@pytest.mark.parametrize("name", RULES)
def test_every_rule_follows_from_its_evidence_and_shows_it(name):
    advisory = {each.rule.id: each for each in advised(CASES[name])}
    assert name in advisory
    assert all(piece.name and piece.found for piece in advisory[name].evidence)


@pytest.mark.parametrize("name", RULES)
def test_one_piece_of_evidence_calls_for_one_rule_and_nothing_to_do_goes_with_no_call_to_act(name):
    acting = [each for each in ids(CASES[name]) if not RULES[each].remark]
    together = {"gradient_noise": ["plateau", "gradient_noise"]}
    assert acting == together.get(name, ["nothing"] if RULES[name].remark else [name])


@pytest.mark.parametrize("point", ["minimum", "approximate_minimum"])
def test_a_clean_minimum_calls_for_nothing(point):
    quiet = {"data.reason": "none", "gradient.reason": "noise", "activations.reason": "dead units"}
    assert ids(found(at(point) | quiet)) == ["nothing"]
    assert [rule.id for rule in advice().rule if rule.alone] == ["nothing"]


def test_nothing_is_not_said_where_something_is_missing_failed_or_waived():
    waiver = Waiver(
        gate="trace.effective_rank",
        reason="x",
        approver="x",
        expires=dt.date(2026, 2, 1),
        checkpoint_sha256=SHA256,
    )
    narrow = {"trace.effective_rank": at_most(1.0)}
    other = {"negative_curvature.lambda_min": Gate(at_least=0.0, why="a test")}
    assert ids(found(partial="interrupted")) == []
    assert ids(an_audit({"surface": Failed(error="out of memory")})) == []
    assert ids(found(gates=other)) == []  # no rule is about it, and yet there is something to do
    assert ids(found(gates=narrow, waivers=(waiver,))) == []


def test_nothing_is_not_said_where_the_class_was_not_measured():
    kept = tuple(check for check in an_audit().checks if check.id != "stationarity")
    results = an_audit(checks=kept)
    assert ids(results) == []
    assert "That does not say that nothing needs to be done." in html(view(results))


# ---------------------------------------------------------------------------------------------------------- certainty


def holds(condition: OfEstimate, low: float | None, value: float, high: float | None) -> bool:
    seen = found(estimates={"sharpness.edge_of_stability": between(low, value, high)})
    return bool(condition.evidence(seen))


def test_a_number_is_beyond_a_limit_only_where_its_whole_interval_is():
    above = OfEstimate(estimate=("sharpness.edge_of_stability",), above=1.0)
    below = OfEstimate(estimate=("sharpness.edge_of_stability",), below=1.0)
    assert holds(above, 1.01, 1.2, None)
    assert holds(below, None, 0.8, 0.99)
    for condition in (above, below):
        assert not holds(condition, 0.99, 1.2, 1.4)
        assert not holds(condition, None, 1.2, None)
        assert not holds(condition, 1.0, 1.0, 1.0)  # the limit itself is inside, as for a gate
    assert not holds(above, None, 1.2, 1.4)
    assert not holds(below, 0.6, 0.8, None)


def test_a_share_of_another_number_counts_with_both_intervals():
    condition = OfEstimate(estimate=("quantisation.rise@int4",), above=0.1, of="loss.value")

    def with_(rise: Estimate, loss: Estimate) -> bool:
        return bool(condition.evidence(found(estimates={"quantisation.rise@int4": rise, "loss.value": loss})))

    assert with_(between(0.11, 0.2, 0.3), between(0.5, 0.8, 1.0))
    assert not with_(between(0.09, 0.2, 0.3), between(0.5, 0.8, 1.0))  # of a loss of 1 that is no tenth
    assert with_(between(0.11, 0.2, 0.3), between(-1.0, -0.8, 0.5))  # the size of the loss, whatever its sign
    assert not with_(between(0.11, 0.2, 0.3), between(0.5, 0.8, None))
    assert not with_(exactly(0.2), Estimate.exact(float("nan")))


def test_a_number_that_is_not_finite_is_beyond_every_limit():
    for value in (float("nan"), float("inf")):
        results = found(estimates={"quantisation.rise@int4": Estimate.exact(value)})
        assert "quantisation_4_bits" in ids(results)


def test_an_exception_counts_only_where_it_is_certain():
    rounded = {"quantisation.rise@int4": exactly(0.5)}
    assert "quantisation_4_bits" in ids(found(estimates=rounded | {"quantisation.rise@int8": between(0.0, 0.2, 0.4)}))
    assert "quantisation_4_bits" not in ids(found(estimates=rounded | {"quantisation.rise@int8": exactly(0.2)}))


def test_of_a_failed_check_and_an_unmeasured_number_nothing_follows():
    failed = an_audit({"sharpness": Failed(error="out of memory"), "stationarity": Failed(error="out of memory")})
    policy = Policy(gates={"sharpness.lambda_max": at_most(1.0)})
    assert ids(judged(failed, policy, dt.date(2026, 1, 1))) == []


@pytest.mark.parametrize("kind", [*get_args(IntervalKind), None])
def test_whatever_leaves_a_class_open_has_at_most_one_advice(kind):
    expected = {
        "rounding": ["undecided_rounding"],
        "residual": ["undecided_unseen"],
        "sampling": ["undecided_sampling"],
        None: ["undecided_otherwise"],
    }
    assert ids(found(at("undecided", kind))) == expected.get(kind, [])


# ---------------------------------------------------------------------------------------------------------- the file


def test_every_rule_is_tried_here():
    assert set(CASES) == set(RULES)


def test_every_source_has_an_author_and_a_year_and_a_title_by_that_author():
    for short, title in advice().papers.items():
        author = re.fullmatch(r"(\S+)( et al\.| & \S+)? (19|20)\d\d", short)
        assert author, short
        authors, _, words = title.partition(": ")
        assert authors.startswith(author.group(1))
        assert len(words) > 10
    assert all(rule.source and rule.steps for rule in advice().rule)


def explained(key: str) -> bool:
    """Whether the check says itself that it has a number of this name, or the report has a name for it."""
    check, _, name = key.partition(".")
    stem, _, where = name.removeprefix("asam_").partition("@")
    text = CHECKS[check].explanation
    return where in text and (name_of(key) != key or f"`{stem}" in text)


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_condition_names_what_some_check_can_find(condition):
    match condition:
        case OfLabel():
            code = inspect.getsource(inspect.getmodule(CHECKS[condition.label.partition(".")[0]].measure))
            assert name_of(condition.label) != condition.label
            code += inspect.getsource(classification) + inspect.getsource(demand)
            assert all(f'"{value}"' in code for value in condition.one_of)
        case OfGate():
            assert all(key.partition(".")[0] in CHECKS for key in condition.keys)
        case OfEstimate():
            assert all(explained(key) for key in condition.keys)
        case OfAudit():
            assert all(explained(key) for key in condition.keys)


RULE = {"id": "x", "when": [{"label": "a.b", "one_of": ["c"]}], "say": "x", "try": ["x"], "source": ["A 2000"]}


@pytest.mark.parametrize(
    "change",
    [
        {"wen": []},
        {"when": []},
        {"when": [{"label": "a.b"}]},
        {"when": [{"label": "a.b", "one_of": ["c"], "above": 1}]},
        {"when": [{"estimate": ["a.b"]}]},
        {"when": [{"estimate": ["a.b"], "above": 1, "below": 0}]},
        {"when": [{"gate": ["a.b"], "status": "pass"}]},
        {"when": [{"audit": "whole"}]},
        {"source": []},
        {"source": ["B 2001"]},
        {"try": []},
    ],
    ids=str,
)
def test_a_rule_that_says_something_unknown_or_nothing_is_refused(change):
    Advice.model_validate({"rule": [RULE], "papers": {"A 2000": "A: title"}})
    with pytest.raises(ValidationError):
        Advice.model_validate({"rule": [RULE | change], "papers": {"A 2000": "A: title"}})


def test_two_rules_of_one_id_and_a_paper_that_nobody_names_are_refused():
    for rules, papers in (([RULE, RULE], {"A 2000": "A"}), ([RULE], {"A 2000": "A", "B 2001": "B"})):
        with pytest.raises(ValidationError):
            Advice.model_validate({"rule": rules, "papers": papers})


# ------------------------------------------------------------------------------------------------------ where it shows

WORST = found(
    at("saddle") | {"data.reason": "duplicate inputs", "gradient.reason": "vanishing layers"},
    {"reparametrisation.lambda_max_ratio": between(23.0, 23.0, None), "sharpness.edge_of_stability": exactly(2.0)},
    {"loss.metric": Gate(at_least=0.999, why="a test"), "flatness.tolerance": Gate(at_least=0.5, why="a test")},
    instrument=InstrumentInfo(agrees=False, disagreements=("hvp_symmetry: off by 0.3",)),
)


def test_the_first_page_has_the_worst_three_and_the_report_has_them_all():
    seen = view(WORST).advice
    wanted = ["instrument", "duplicate_inputs", "vanishing_layers"]
    assert [each.say for each in seen.first] == [RULES[name].say for name in wanted]
    assert len(seen.first) == FIRST < len(seen.whole) == len(ids(WORST))
    assert [each.say for each in seen.whole[-2:]] == [
        RULES[name].say for name in ("beyond_the_edge_of_stability", "reparametrisation")
    ]
    assert seen.more == f"{len(seen.whole) - FIRST} more pieces under Advice."


def test_a_remark_is_on_the_first_page_only_where_there_is_nothing_else():
    moved = {"reparametrisation.lambda_max_ratio": between(23.0, 23.0, None)}
    minimum, unmeasured = view(found(estimates=moved)).advice, view(found(estimates=moved, partial="x")).advice
    assert [each.say for each in minimum.first] == [RULES["nothing"].say]
    assert minimum.more == "1 more piece under Advice."
    assert [each.say for each in unmeasured.first] == [RULES["reparametrisation"].say]


def test_the_page_and_the_summary_show_advice_with_its_evidence_and_its_source():
    page, summary = html(view(WORST)), markdown(view(WORST))
    section = page[page.index('<section id="advice">') :]
    assert "The class of the stationary point: saddle" not in page  # the style makes the capital, not the words
    for each in view(WORST).advice.first:
        assert f"{each.because}. ({each.source})" in unescape(page)
        assert each.because in unescape(summary.replace("\\", ""))
        assert f"({each.source})" in unescape(summary.replace("\\", ""))
    assert "How to Escape Saddle Points Efficiently" in section
    assert all(step.replace("'", "&#39;") in section for step in RULES["saddle"].steps)


def test_of_many_gates_that_fail_alike_a_few_are_named():
    rises = {f"flatness.rise@{index}": exactly(2.0) for index in range(100)}
    seen = view(found(estimates=rises, gates=dict.fromkeys(rises, at_most(1.0)))).advice.first[0]
    assert seen.say == RULES["not_flat"].say
    assert len(seen.evidence) == 5
    assert seen.because.endswith("; and 95 more")


def test_a_page_without_advice_has_no_list_of_it():
    assert '<section id="advice">' not in html(view(found(partial="interrupted")))


def test_hostile_words_in_evidence_are_shown_and_do_nothing():
    results = found(
        {"stationarity.class": Label(value="saddle", reason=HOSTILE)} | {f"stationarity.{HOSTILE}": HOSTILE},
        {f"trace.{HOSTILE}": exactly(2.0)},
        {f"trace.{HOSTILE}": at_most(1.0)},
        instrument=InstrumentInfo(agrees=False, disagreements=(HOSTILE,)),
    )
    assert {"instrument", "saddle", "sharp"} <= set(ids(results))
    for text, scripts in ((html(view(results)), 1), (markdown(view(results)), 0)):  # the page has one of its own
        assert not {"\x1b", "\u202e", "\x00"} & set(text)
        assert text.count("<script>") == scripts
        assert "alert(1)" in text.replace("\\", "")
        assert "{{7*7}}" in text.replace("\\", "")


def test_a_check_tells_the_advice_that_can_follow_from_it():
    shown = CliRunner().invoke(app, ["checks", "quantisation"]).stdout
    assert {rule.id for rule in following_from("quantisation")} == {
        "quantisation_gate",
        "quantisation_16_bits",
        "quantisation_8_bits",
        "quantisation_4_bits",
    }
    assert all(rule.say in shown for rule in following_from("quantisation"))
    assert following_from("spectral_density") == ()
    assert "Advice" not in CliRunner().invoke(app, ["checks", "spectral_density"]).stdout
