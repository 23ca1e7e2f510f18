"""Whoever reads one file alone sees red exactly where the exit code is not 0."""

from __future__ import annotations

import json

import pytest
from junitparser import JUnitXml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from verdicts import every_verdict

from landscape_audit.formats import FORMATS


def is_red(name: str, text: str) -> bool:
    """What a consumer of that format takes for a reason to stop a merge."""
    match name:
        case "junit":
            whole = JUnitXml.fromstring(text.encode())
            return whole.failures + whole.errors > 0
        case "sarif":
            return any(result["level"] == "error" for result in json.loads(text)["runs"][0]["results"])
        case "github":
            return any(line.startswith("::error ") for line in text.splitlines())
        case "gitlab":
            return any(issue["severity"] in {"major", "critical", "blocker"} for issue in json.loads(text))
        case "badge":
            return json.loads(text)["color"] == "red"
        case "openmetrics":
            families = {family.name: family for family in text_string_to_metric_families(text)}
            return families["landscape_audit_exit_code"].samples[0].value != 0
    raise AssertionError(name)


@pytest.fixture(scope="module")
def verdicts():
    return list(every_verdict())


def test_every_exit_code_of_a_verdict_is_among_them(verdicts):
    assert {each.verdict.exit_code for each in verdicts} == {0, 1, 3, 4, 5}
    assert len(verdicts) > 300


@pytest.mark.parametrize("name", sorted({"junit", "sarif", "github", "gitlab", "badge", "openmetrics"} & set(FORMATS)))
def test_a_file_is_red_exactly_where_the_exit_code_is_not_0(name, verdicts):
    for results in verdicts:
        assert is_red(name, FORMATS[name].text(results)) == (results.verdict.exit_code != 0), results.verdict
