"""A policy is told wrong before an audit is paid for, and shown as it is in force."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from results_factory import SHA256, an_audit
from typer.testing import CliRunner, Result

from landscape_audit.cli.policy import policy
from landscape_audit.errors import PolicyError
from landscape_audit.estimate import Estimate, Label
from landscape_audit.gates.judge import judged
from landscape_audit.gates.policy_file import BUILT_IN, read_policy
from landscape_audit.report.policy import policy_of
from landscape_audit.results import Measured

GATE = '[gates."sharpness.lambda_max"]\nat_most = 40\nwhy = "2 / lr"\n'
WAIVER = f"""
[[waivers]]
gate = "sharpness.lambda_max"
reason = "known since June"
approver = "mk"
expires = 2020-01-31
checkpoint_sha256 = "{SHA256}"
"""


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(policy)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def a_file(folder: Path, text: str, name: str = "policy.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GATE.replace("lambda_max", "lambda_mx"), "Did you mean 'sharpness.lambda_max'?"),
        (GATE.replace("at_most", "at_mots"), "Did you mean 'at_most'?"),
        (GATE.replace("at_most = 40", 'one_of = ["small"]'), "it is a number; one_of is for labels."),
        (GATE + WAIVER.replace("2020-01-31", '"soon"'), "waiver of 'sharpness.lambda_max': expires"),
        (WAIVER, "the policy has no such gate"),
        ('extends = "recomended"', "no such policy"),
        ("[gates", "not TOML"),
    ],
)
def test_a_mistake_in_a_policy_is_told_with_its_file_and_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    path = a_file(tmp_path, text)
    error = run(path).exception
    assert getattr(error, "exit_code", None) == 2
    assert str(error).startswith(f"{path}: ")
    assert says in str(error)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("recomended", "Did you mean 'recommended'?"), ("x.toml", "Known: observe, recommended, strict.")],
)
def test_a_policy_that_is_not_there_is_no_missing_audit_toml(name: str, remedy: str) -> None:
    error = run(name).exception
    assert getattr(error, "exit_code", None) == 2
    assert str(error) == f"{name}: no such file, and no policy of that name.\n  {remedy}"


def test_a_policy_is_shown_as_it_is_in_force_with_where_each_gate_is_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    a_file(tmp_path, f'extends = "recommended"\n{GATE}')
    shown = run("policy.toml").stdout
    assert "recommended under policy.toml" in shown
    assert "sharpness.lambda_max: at most 40; at most 50 % above the baseline" in shown
    assert "policy.toml:2" in shown
    assert "instrument.agreement: agrees" in shown


def test_the_gates_of_an_audit_toml_are_a_policy_too(tmp_path: Path) -> None:
    path = a_file(tmp_path, f'[model]\nfactory = "m.py:f"\n{GATE}', "audit.toml")
    assert "audit.toml: 1 gate, 0 waivers." in run(path).stdout


def test_an_expired_waiver_is_told_and_is_no_mistake(tmp_path: Path) -> None:
    result = run(a_file(tmp_path, GATE + WAIVER))
    assert result.exit_code == 0
    assert "expired: that of sharpness.lambda_max, on 2020-01-31" in result.stdout


def test_of_several_files_each_is_told_in_a_line_and_one_that_is_wrong_is_enough(tmp_path: Path) -> None:
    right, wrong = a_file(tmp_path, GATE, "a.toml"), a_file(tmp_path, "[gates", "b.toml")
    result = run(right, wrong, right)
    assert isinstance(result.exception, PolicyError)
    assert "1 of 3 policies cannot be used" in str(result.exception)
    assert result.stdout.count("1 gate") == 2
    assert "b.toml: not TOML" in result.stderr
    assert run(right, right).exit_code == 0


def test_without_a_file_the_built_in_ones_are_shown() -> None:
    shown = run().stdout
    for name in BUILT_IN:
        assert f"\n{name}: " in f"\n{shown}"
        for key in read_policy(Path(name)).gates:
            assert key in run(name).stdout


def test_a_policy_is_looked_at_without_torch_numpy_or_matplotlib(tmp_path: Path) -> None:
    code = (
        "import sys, json; from landscape_audit.cli.main import app; "
        f"app(['policy', {str(a_file(tmp_path, GATE))!r}], standalone_mode=False); "
        "print(json.dumps([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def held(name: str, found: str = "approximate_minimum"):
    """An audit without a baseline, held against a built-in policy."""
    where = Measured(labels={"class": Label(value=found, reason="a test")})
    told = next(check.outcome for check in an_audit().checks if check.id == "sharpness")
    converged = told.model_copy(update={"labels": {"convergence": Label(value="converged", reason="a test")}})
    learnt = Measured(estimates={"loss_over_constant": Estimate.exact(0.04, direction="lower")})
    audit = an_audit({"stationarity": where, "sharpness": converged, "data": learnt})
    return judged(audit, read_policy(Path(name)), dt.date(2026, 3, 2)).verdict


@pytest.mark.parametrize(
    ("name", "found", "word", "code"),
    [
        ("observe", "saddle", "OBSERVED", 0),
        ("recommended", "approximate_minimum", "PASS", 0),
        ("recommended", "saddle", "FAIL", 1),
        ("recommended", "undecided", "PASS", 0),
        ("strict", "approximate_minimum", "UNDECIDED", 3),  # it asks for a baseline
        ("strict", "plateau", "FAIL", 1),
    ],
)
def test_what_the_built_in_policies_say_of_a_checkpoint_without_a_baseline(name, found, word, code) -> None:
    verdict = held(name, found)
    assert (verdict.word, verdict.exit_code) == (word, code)


def test_the_report_shows_every_gate_and_waiver_also_those_that_let_nothing_through(tmp_path: Path) -> None:
    late, broken = WAIVER, WAIVER.replace('"mk"', '""')
    other, inforce = WAIVER.replace(SHA256, "0" * 64), WAIVER.replace("2020", "2030").replace("June", "July")
    text = GATE.replace("40", "10") + late + broken + other + inforce
    results = judged(an_audit(), read_policy(a_file(tmp_path, text)), dt.date(2026, 3, 2))
    shown = policy_of(results)
    assert [row[0] for row in shown.gates.rows] == ["sharpness.lambda_max"]
    effects = [row[1] for row in shown.waivers.rows]
    assert effects[0] == "another waiver lets its gate through"
    assert effects[1].startswith("malformed, and lets nothing through: approver")
    assert effects[2:] == ["is for another checkpoint", "lets its gate through"]
    expired = judged(an_audit(), read_policy(a_file(tmp_path, GATE.replace("40", "10") + late)), dt.date(2026, 3, 2))
    assert policy_of(expired).waivers.rows[0][1:] == ("had expired", "known since June", "mk", "2020-01-31")
