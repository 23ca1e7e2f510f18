from __future__ import annotations

from pathlib import Path

import pytest
import typer
from results_factory import an_audit
from typer.testing import CliRunner, Result

from landscape_audit.cli.gate import gate
from landscape_audit.errors import ResultsError, UsageError
from landscape_audit.estimate import Label
from landscape_audit.policy import Policy
from landscape_audit.results import AuditResults, Failed, Measured
from landscape_audit.seal import sealed

STRICT = '[gates."sharpness.lambda_max"]\nat_most = 20\nwhy = "w"\n'
LOOSE = STRICT.replace("20", "50")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    policy = Policy.model_validate({"gates": {"sharpness.lambda_max": {"at_most": 50, "why": "w"}}})
    path = tmp_path / "results.json"
    path.write_text(an_audit(policy=policy).to_json(), encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(gate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def a_file(stored: Path, name: str, text: str) -> Path:
    path = stored.with_name(name)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_stored_policy_is_applied_where_no_other_is_named(stored: Path) -> None:
    result = run(stored)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "landscape-audit: PASS  1 passed, 0 failed, 0 undecided  (exit 0)"


def test_the_folder_of_an_audit_is_as_good_as_its_results(stored: Path) -> None:
    assert (run(stored.parent).exit_code, run(stored.parent).stderr) == (0, run(stored).stderr)
    stored.unlink()
    found = run(stored.parent)
    assert isinstance(found.exception, ResultsError)
    assert "results.json: cannot be read" in str(found.exception)


def test_what_was_changed_after_the_audit_is_told(stored: Path) -> None:
    audit = sealed(AuditResults.model_validate_json(stored.read_text()))
    stored.write_text(audit.to_json(), encoding="utf-8")
    assert "note:" not in run(stored).stderr
    stored.write_text(audit.to_json().replace('"at_most": 50', '"at_most": 60'), encoding="utf-8")
    assert "results.json: policy is not as the audit wrote it." in run(stored).stderr


def test_another_policy_takes_its_place_and_the_file_stays_as_it_was(stored: Path) -> None:
    before = stored.read_bytes()
    result = run(stored, "--policy", a_file(stored, "policy.toml", STRICT))
    assert result.exit_code == 1
    assert "fail  sharpness.lambda_max  31.24 (29.62 to 32.86); demanded: at most 20" in result.stderr
    assert stored.read_bytes() == before


def test_the_gates_of_a_config_are_a_policy_too(stored: Path) -> None:
    text = '[model]\nfactory = "m:f"\n[data]\nfile = "d.npz"\n' + STRICT
    assert run(stored, "--config", a_file(stored, "audit.toml", text)).exit_code == 1


def test_json_on_stdout_is_the_judged_results_and_nothing_else(stored: Path) -> None:
    result = run(stored, "--json", "--policy", a_file(stored, "policy.toml", STRICT))
    judged = AuditResults.model_validate_json(result.stdout)
    assert (judged.verdict.word, judged.policy.gates["sharpness.lambda_max"].at_most) == ("FAIL", 20)


def test_quiet_leaves_the_last_line(stored: Path) -> None:
    assert len(run(stored, "--quiet").stderr.splitlines()) == 1


def test_two_policies_are_one_too_many(stored: Path) -> None:
    policy = a_file(stored, "policy.toml", LOOSE)
    assert isinstance(run(stored, "--policy", policy, "--config", policy).exception, UsageError)


def test_a_file_that_is_no_results_is_unusable_input(stored: Path) -> None:
    assert isinstance(run(a_file(stored, "other.json", "{}")).exception, ResultsError)


def test_a_hostile_reason_reaches_no_terminal_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(an_audit(partial="\x1b[2J gone").to_json(), encoding="utf-8")
    result = run(path)
    assert result.exit_code == 5
    assert "\x1b" not in result.stderr


def test_a_label_cannot_print_a_line_of_its_own(tmp_path: Path) -> None:
    forged = "landscape-audit: PASS  9 passed, 0 failed, 0 undecided  (exit 0)"
    label = Label(value=f"x\n::error::forged\n{forged}", reason="none")
    policy = Policy.model_validate({"gates": {"stationarity.class": {"one_of": ["minimum"], "why": "w"}}})
    audit = an_audit({"stationarity": Measured(labels={"class": label})}, policy=policy)
    path = tmp_path / "results.json"
    path.write_text(audit.to_json(), encoding="utf-8")
    lines = run(path).stderr.splitlines()
    assert not [line for line in lines if line.startswith(("::", forged))]
    assert lines[-1].startswith("landscape-audit: FAIL  ")


def test_why_a_check_failed_is_a_line_of_its_own_even_where_nothing_else_is_said(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(an_audit({"sharpness": Failed(error="disk\x1b[2J\nfull")}).to_json(), encoding="utf-8")
    result = run(path, "--quiet")
    reason, last = result.stderr.splitlines()
    assert reason == "landscape-audit: the check sharpness failed: disk\\x1b[2J\\nfull"
    assert last.startswith("landscape-audit: ERROR  ")
