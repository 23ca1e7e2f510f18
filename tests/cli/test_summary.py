"""What a terminal shows of a finished audit."""

from __future__ import annotations

import datetime as dt

from results_factory import OUTCOMES, an_audit, an_estimate

from landscape_audit.cli.summary import gate_table, summary
from landscape_audit.estimate import Label
from landscape_audit.gates.judge import judged
from landscape_audit.policy import Gate, Policy
from landscape_audit.report.advice import advice_of
from landscape_audit.results import Measured

WHY = "The best step along −g lowers the loss by 0.02, and the mean gradient is real."


def at(word: str):
    label = Label(value=word, reason=WHY)
    reason = Label(value="none", reason="Gradients reach every layer.")
    gradient = OUTCOMES["gradient"].model_copy(update={"labels": {"reason": reason}})
    return an_audit({"stationarity": Measured(labels={"class": label}), "gradient": gradient})


def test_the_terminal_says_whether_it_is_in_a_good_place_and_what_to_try_first():
    results = at("not_critical")
    shown = summary(results).splitlines()
    assert f"Where it sits: not critical. {WHY}" in shown
    first = advice_of(results).first[0]
    assert shown[shown.index(f"First advice: {first.say}") + 1] == f"  Try: {first.steps[0]}"


def test_an_audit_that_did_not_ask_for_the_place_says_nothing_of_it():
    assert "Where it sits" not in summary(an_audit({"stationarity": Measured()}))


def test_a_label_that_found_nothing_is_no_row():
    shown = summary(at("minimum"))
    assert "gradient.reason" not in shown
    assert "negative_curvature.certainty" in shown


def test_the_metric_is_called_by_its_name_and_by_none_where_it_has_none():
    assert "  loss.metric (accuracy) " in summary(an_audit())
    policy = Policy(gates={"loss.metric": Gate(at_least=0.99, why="As good as the last release.")})
    sentence = judged(an_audit(), policy, dt.date(2026, 3, 2)).verdict.sentence
    assert sentence.startswith("The accuracy is ")
    unnamed = an_audit(data=an_audit().data.model_copy(update={"metric": None}))
    assert judged(unnamed, policy, dt.date(2026, 3, 2)).verdict.sentence.startswith("The metric is ")


def test_a_learning_rate_is_answered_with_the_edge_of_stability():
    sharpness = OUTCOMES["sharpness"]
    estimates = {**sharpness.estimates, "edge_of_stability": an_estimate(1.56, 0.08, direction="lower")}
    shown = summary(an_audit({"sharpness": sharpness.model_copy(update={"estimates": estimates})}))
    assert "sharpness.edge_of_stability" in shown
    assert "sharpness.edge_of_stability" not in summary(an_audit())


def test_gates_fit_80_columns_and_those_that_did_not_pass_say_why():
    policy = Policy(
        gates={
            "loss.metric": Gate(at_least=0.99, why="As good as the last release."),
            "stationarity.class": Gate(one_of=("minimum", "maximum", "plateau", "degenerate"), why="No saddle."),
            "sharpness.lambda_max": Gate(no_worse_than_baseline=0.1, why="As flat as the last release."),
        }
    )
    shown = gate_table(judged(an_audit(), policy, dt.date(2026, 3, 2)))
    _, _, *lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert "There is no baseline: give one with --baseline or --against." in shown
