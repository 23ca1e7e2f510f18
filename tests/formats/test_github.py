from __future__ import annotations

import os
import re

import pytest
from results_factory import a_check, an_audit, an_estimate
from verdicts import DEMANDS, TODAY, WHY, a_hostile_verdict, verdict_of

from landscape_audit.formats.github import github, leave_for_the_job
from landscape_audit.gates.judge import judged
from landscape_audit.policy import EffectivePolicy, Gate, Origin
from landscape_audit.results import Failed, Measured


def obeyed(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands that GitHub's runner finds: a line that begins with `::`, or holds `##[`."""
    found = []
    for line in text.splitlines():
        assert "##[" not in line
        if match := re.match(r"\s*::([\w-]+) ?(.*?)::(.*)", line):
            pairs = (each.split("=", 1) for each in match[2].split(",") if each)
            found.append((match[1], {key: plain(value) for key, value in pairs}, plain(match[3])))
    return found


def plain(text: str) -> str:
    """What the runner makes of an escaped text; the percent sign last."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def outputs(text: str) -> dict[str, str]:
    """The outputs of a step, as the runner reads its file."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, end = line.split("<<")
        found[name] = "\n".join(iter(lambda: next(lines), end))
    return found


def many_gates(number: int):
    estimates = {f"rise_{index:05}": an_estimate(1.0, direction="lower") for index in range(number)}
    gates = {f"flatness.{name}": Gate(at_most=0.5, why=WHY) for name in estimates}
    audit = an_audit(checks=(a_check("flatness", Measured(estimates=estimates)),))
    return judged(audit, EffectivePolicy(gates=gates), TODAY)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """The files of a step, as the runner hands them over."""
    for variable, name in (("GITHUB_STEP_SUMMARY", "summary"), ("GITHUB_OUTPUT", "output")):
        monkeypatch.setenv(variable, str(tmp_path / name))
    return tmp_path


def test_an_annotation_stands_at_the_gates_line_with_what_was_found_and_why():
    ((command, told, message),) = obeyed(github(verdict_of({"sharpness.lambda_max": Gate(at_most=20.0, why=WHY)})))
    assert (command, told) == (
        "error",
        {"title": "sharpness.lambda_max failed", "file": "ci/policy.toml", "line": "3"},
    )
    assert "31.24 (29.62 to 32.86); demanded: at most 20" in message
    assert message.endswith(f"Why: {WHY}")


@pytest.mark.parametrize(
    ("status", "changes", "command"),
    [
        ("fail", {}, "error"),
        ("undecided", {"on_undecided": "warn"}, "warning"),
        ("incomparable", {"on_missing_baseline": "pass"}, "notice"),
    ],
)
def test_the_type_is_the_consequence(status, changes, command):
    key, demand = DEMANDS[status]
    assert [each[0] for each in obeyed(github(verdict_of({key: Gate(why=WHY, **demand, **changes)})))] == [command]


def test_a_passed_gate_says_nothing():
    assert github(verdict_of({"sharpness.lambda_max": Gate(at_most=50.0, why=WHY)})) == ""


def test_no_more_than_ten_of_a_type_and_the_tenth_says_how_many_more():
    assert len(obeyed(github(many_gates(10)))) == 10
    commands = obeyed(github(many_gates(300)))
    assert len(commands) == 10
    assert commands[-1][2].startswith("291 more like this")


def test_names_and_messages_come_back_as_they_were():
    place = Origin(file="a, b: 100 %0A.toml", line=7)
    gates = {"loss.value": Gate(at_most=0.0, why="100 %, %0A: yes")}
    ((_, told, message),) = obeyed(
        github(judged(an_audit(), EffectivePolicy(gates=gates, origins={"loss.value": place}), TODAY))
    )
    assert told["file"] == place.file
    assert message.endswith("Why: 100 %, %0A: yes")


@pytest.mark.parametrize(
    "text",
    [
        "x\n::set-output name=verdict::PASS",
        "\r\n::stop-commands::token",
        "::add-mask::a",
        "##[set-output name=verdict;]PASS",
        "###[add-mask]a ##vso[task.setvariable variable=a]b",
        "x,line=1::y",
        "\u2028::error::forged",
    ],
)
def test_a_hostile_word_gives_the_runner_no_other_command(text, job):
    written = github(a_hostile_verdict(text))
    commands = obeyed(written)
    assert len(commands) == len(written.splitlines()) == 6
    assert {command for command, _, _ in commands} == {"error", "notice"}
    assert not list(leave_for_the_job(a_hostile_verdict(text), None, 1))
    assert outputs((job / "output").read_text())["verdict"] == "FAIL"


def test_a_step_leaves_its_outputs_and_a_summary_for_the_job_and_takes_nothing_away(job):
    (job / "output").write_text("mine=1\n")
    results = verdict_of({"sharpness.lambda_max": Gate(at_most=20.0, why=WHY)}, "crashed")
    assert not list(leave_for_the_job(results, job / "a\nb" / "report.html", 1))
    first, rest = (job / "output").read_text().split("\n", 1)
    assert first == "mine=1"
    assert outputs(rest) == {
        "verdict": "FAIL",
        "exit-code": "1",
        "report": str(job / "a\nb" / "report.html"),
        "passed": "0",
        "failed": "1",
        "undecided": "0",
    }
    assert (job / "summary").read_text().startswith("## ✗ FAIL")


def test_two_outputs_end_at_different_words(job):
    for _ in range(2):
        assert not list(leave_for_the_job(verdict_of({}), None, 0))
    ends = re.findall(r"verdict<<(.+)", (job / "output").read_text())
    assert len(set(ends)) == 2


def test_outside_of_a_job_nothing_is_left(monkeypatch):
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(variable, raising=False)
    assert not list(leave_for_the_job(verdict_of({}), None, 0))


@pytest.mark.parametrize("place", ["none/summary", "folder", "pipe"])
def test_what_cannot_be_left_is_told_and_the_other_file_is_written(place, job, monkeypatch):
    (job / "folder").mkdir()
    os.mkfifo(job / "pipe")  # that nobody reads
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(job / place))
    (problem,) = leave_for_the_job(verdict_of({}), None, 0)
    assert "$GITHUB_STEP_SUMMARY" in problem.what
    assert (job / "output").read_text()


def test_a_summary_fits_a_comment_whatever_the_number_of_gates_and_says_what_it_leaves_out(job):
    assert not list(leave_for_the_job(many_gates(900), None, 1))
    text = (job / "summary").read_text()
    assert 50_000 < len(text.encode()) <= 60_000
    rows = text.count("| ✗ failed |")
    assert f"{900 - rows} more rows are left out here" in text


def test_a_summary_fits_a_comment_whatever_the_words(job):
    results = a_hostile_verdict('"' * 100_000)
    checks = tuple(a_check(f"check_{index}", Failed(error=f"{index} {'&' * 1000}")) for index in range(200))
    assert not list(leave_for_the_job(results.model_copy(update={"checks": checks}), None, 1))
    text = (job / "summary").read_text()
    assert len(text.encode()) <= 60_000
    assert "more reasons like these are in the report" in text
