"""What continuous integration calls is what the program has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from ci_machine import Machine
from command_line import fill
from github_runner import Job

from landscape_audit.cli.main import app

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(app).commands
MANIFEST = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
GATE = """
[gates."loss.value"]
at_most = 0.1
why = "an untrained network is far above it"
"""


def options(command):
    return {option for parameter in COMMANDS[command].params for option in parameter.opts}


@pytest.mark.parametrize("caller", ["ci/github/audit", "ci/gitlab/landscape-audit.yml"])
def test_run_has_the_options_that_are_given_to_it(caller):
    text = (ROOT / caller).read_text()
    command = text[text.index("landscape-audit run") : text.index('-- "$')]
    asked = set(re.findall(r"--[a-z-]+(?==)", command))
    assert {"--out", "--format", "--config", "--policy", "--baseline", "--preset"} == asked <= options("run")


@pytest.mark.parametrize("hook", MANIFEST, ids=lambda hook: hook["id"])
def test_the_hooks_call_what_is_there(hook):
    program, command, *given = hook["entry"].split()
    assert program == "landscape-audit"
    assert set(given) <= options(command)
    assert {needed.strip(".[]") for needed in hook.get("additional_dependencies", ())} <= set(EXTRAS)


def test_the_action_gates_a_real_audit(tmp_path, monkeypatch):
    workspace = tmp_path / "work space"
    workspace.mkdir()
    (tmp_path / "temp").mkdir()
    monkeypatch.chdir(workspace)
    fill(workspace)
    with Path("audit.toml").open("a") as config:
        config.write(GATE)
    machine = Machine(tmp_path / "machine")
    machine.has_the_real_program(ROOT)
    job = Job(ROOT / "ci/github/action.yml", workspace, tmp_path / "temp", machine.environment())
    job.run(checkpoint="model.safetensors", args="--no-pdf\n--only=loss\n--quiet")
    assert job.code == 1
    assert job.outputs["verdict"] == "FAIL"
    assert job.outputs["failed"] == job.outputs["exit-code"] == "1"
    assert Path(job.outputs["report"]).stat().st_size > 1000
    assert "::error title=loss.value" in job.log
    kept = {path.name for path in Path(job.step("Keep the report").given["path"]).iterdir()}
    assert {"results.json", "report.html", "summary.md", "junit.xml", "audit.sarif"} <= kept
