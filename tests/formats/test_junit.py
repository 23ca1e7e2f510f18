from __future__ import annotations

from xml.etree import ElementTree as ET

from junitparser import Error, Failure, JUnitXml, Skipped
from results_factory import an_audit
from verdicts import DEMANDS, WHY, a_hostile_verdict, every_verdict, verdict_of

from landscape_audit.formats.junit import junit
from landscape_audit.policy import Gate


def cases(results):
    """The test cases, as junitparser reads them, by class and name."""
    return {
        (case.classname, case.name): case for suite in JUnitXml.fromstring(junit(results).encode()) for case in suite
    }


def the_case(status, *, trouble="none", waived=False, **changes):
    key, demand = DEMANDS[status]
    found = cases(verdict_of({key: Gate(why=WHY, **demand, **changes)}, trouble, waived=waived))
    return next(case for (name, _), case in found.items() if name == key.partition(".")[0])


def test_a_gate_is_a_case_of_its_check_named_for_what_it_demands():
    (name,) = cases(verdict_of({"sharpness.lambda_max": Gate(at_most=50.0, why=WHY)}))
    assert name == ("sharpness", "sharpness.lambda_max at most 50")


def test_a_failing_gate_is_a_failure_and_a_passing_one_is_none():
    failed = the_case("fail")
    assert [type(each) for each in failed.result] == [Failure]
    assert "31.24 (29.62 to 32.86); demanded: at most 20" in failed.result[0].message
    assert the_case("pass").is_passed


def test_an_undecided_gate_that_stops_a_merge_is_no_pass_and_one_that_need_not_is_skipped():
    assert the_case("undecided").is_failure
    assert the_case("undecided", on_undecided="pass").is_skipped
    assert the_case("undecided", on_undecided="warn").result[0].message.startswith("warning: undecided. ")


def test_what_a_waiver_lets_through_is_skipped_and_names_it():
    case = the_case("fail", waived=True)
    assert [type(each) for each in case.result] == [Skipped]
    assert "A. Person" in case.result[0].message
    assert "waived by A. Person until 2026-01-01" in case.system_out


def test_a_crashed_check_is_an_error_of_its_own():
    found = cases(verdict_of({}, "crashed"))
    assert [type(each) for each in found["trace", "the check runs to its end"].result] == [Error]


def test_the_numbers_are_there_unrounded_with_the_reason():
    said = the_case("pass").system_out
    for line in ("value: 31.2417", "interval: 29.6216 to 32.8618", "at most: 50.0", f"why: {WHY}"):
        assert line in said.splitlines()


def test_an_audit_without_gates_is_one_passed_case_and_not_an_empty_file():
    (case,) = cases(an_audit()).values()
    assert case.is_passed


def test_counts_at_the_top_are_those_of_the_cases():
    for results in every_verdict():
        whole = JUnitXml.fromstring(junit(results).encode())
        every = [case for suite in whole for case in suite]
        assert (whole.tests, whole.failures, whole.errors, whole.skipped) == (
            len(every),
            sum(case.is_failure for case in every),
            sum(case.is_error for case in every),
            sum(case.is_skipped for case in every),
        )


def test_a_hostile_word_is_text_and_the_xml_stays_what_it_was():
    texts = [junit(a_hostile_verdict(text)) for text in ("word", "]]><x/>&\x00\x1b\ufffe\ud800\u202e\"'<!--")]
    plain, hostile = ([each.tag for each in ET.fromstring(text).iter()] for text in texts)  # noqa: S314 - our own text
    assert hostile == plain
    assert all(line.isprintable() for line in texts[1].splitlines())
