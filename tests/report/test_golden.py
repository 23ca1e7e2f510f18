"""What reports say, held against what was last read and accepted: view models in words, whose diffs a person can read.

Meant changes are accepted with  pytest tests/report/test_golden.py --rewrite-goldens  and read in the diff of git.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from pathlib import Path

import pytest
from hostile_audit import DETAILS, HOSTILE, policy
from results_factory import a_check, an_audit, between
from sealed_audit import a_sealed_audit

from landscape_audit.gates.judge import day_of, judged
from landscape_audit.report.figure import FigureView
from landscape_audit.report.scene import SceneView
from landscape_audit.report.view import first_page, view
from landscape_audit.results import Measured, read_results
from landscape_audit.text import number

FOLDER = Path(__file__).parent / "golden"
SAME_IN_ALL = {"glossary", "how", "intervals"}
ACCEPT = "pytest tests/report/test_golden.py --rewrite-goldens"


def passing():
    gates = {
        "sharpness__lambda_max": {"at_most": 50.0, "why": "2 / learning rate"},
        "loss__metric": {"at_least": 0.9, "why": "the last release"},
        "stationarity__class": {"one_of": ("minimum", "approximate_minimum"), "why": "no saddle"},
    }
    return with_gates(an_audit(), gates)


def failing():
    gates = {
        "sharpness__lambda_max": {"at_most": 20.0, "why": "2 / learning rate"},
        "stationarity__class": {"one_of": ("minimum",), "why": "no step down is left"},
        "loss__metric": {"at_least": 0.9, "why": "the last release"},
    }
    return with_gates(an_audit(), gates)


def undecided_everywhere():
    gates = {
        "sharpness__lambda_max": {"at_most": 31.0, "why": "2 / learning rate"},
        "loss__metric": {"at_least": 0.97, "why": "the last release"},
        "flatness__worst_case": {"at_most": 0.5, "why": "no bound is known above"},
    }
    return with_gates(an_audit(), gates)


def one_check():
    only = Measured(estimates={"lambda_max": between(29.0, 31.0, None)}, details=DETAILS[:1])
    return with_gates(an_audit(checks=(a_check("sharpness", only),)), {})


def hostile_words():
    words = Measured(estimates={"lambda_max": between(29.0, 31.0, 33.0)}, details=DETAILS[3:4], caveats=(HOSTILE,))
    audit = an_audit(checks=(a_check("sharpness", words),), partial=HOSTILE, limits=(HOSTILE,))
    return with_gates(audit, {"sharpness__lambda_max": {"at_most": 50.0, "why": HOSTILE}})


def with_gates(audit, gates):
    return judged(audit, policy(**gates), day_of(audit))


CASES = {
    "passing": lambda: view(passing()),
    "failing": lambda: first_page(failing()),
    "undecided-everywhere": lambda: first_page(undecided_everywhere()),
    "no-gates": lambda: first_page(with_gates(an_audit(), {})),
    "baseline": lambda: first_page(a_sealed_audit()),
    "one-check": lambda: view(one_check()),
    "hostile-words": lambda: view(hostile_words()),
    "partial-with-every-detail": lambda: view(read_results(Path(__file__).parents[1] / "released" / "1.0.json")),
}
"""A whole report, or its first page where the rest would say what another golden file says already."""


def in_words(value):
    """A view as a person reads a diff of it: no pictures, no empty fields, a line for each row of a table."""
    match value:
        case _ if dataclasses.is_dataclass(value):
            return fields(value)
        case tuple() if {type(each) for each in value} == {bool}:
            return "".join("#" if each else "." for each in value)
        case tuple():
            return [one_line(each) if isinstance(each, tuple) else in_words(each) for each in value]
        case float():
            return number(value, 6)
        case _:
            return value


def fields(value):
    found = {field.name: in_words(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, FigureView):
        found["source"] = value.source.partition(",")[0]
    if isinstance(value, SceneView):
        found["heights"] = f"{len(value.heights)} rows, {sum(row.count(None) for row in value.heights)} empty cells"
        found |= dict.fromkeys(("xs", "ys", "colours"), "")
    return {name: each for name, each in found.items() if name not in SAME_IN_ALL and each not in ("", [], None, {})}


def one_line(row):
    return " | ".join(str(in_words(each)) for each in row)


def golden(case):
    return json.dumps(in_words(CASES[case]()), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


@pytest.mark.parametrize("case", CASES)
def test_a_report_says_what_was_last_read_and_accepted(case, request):
    path, text = FOLDER / f"{case}.json", golden(case)
    if request.config.getoption("--rewrite-goldens"):
        path.write_text(text, encoding="utf-8")
    accepted = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    diff = list(difflib.unified_diff(accepted, text.splitlines(), "accepted", "now", n=2, lineterm=""))
    if diff:
        told = [f"The report of '{case}' says something else now. If that is meant:  {ACCEPT}", *diff]
        pytest.fail("\n".join(told), pytrace=False)


def test_every_golden_file_is_that_of_a_case():
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)
