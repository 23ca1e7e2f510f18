"""The walk through a repository that gates pull requests: every command of it is run, and ends as it is shown."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "ci/examples"
WALK = (EXAMPLES / "README.md").read_text(encoding="utf-8")
STEPS = [
    (command.strip(), ended.strip())
    for block in re.findall(r"```console\n(.*?)```", WALK, re.DOTALL)
    for command, ended in re.findall(r"^\$ (.*)\n((?:landscape-audit: .*\n)?)", block, re.MULTILINE)
]
TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder in which the walk went, and how each of its commands ended."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copytree(EXAMPLES / "gated-repository", folder / "gated-repository")
    programs = folder / "bin"
    programs.mkdir()
    for name, module in (("python", ""), ("landscape-audit", "-m landscape_audit")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    here, outcomes = folder, {}
    for command, _ in STEPS:
        if command.startswith("cd "):
            here /= command.removeprefix("cd ")
        elif "waived.toml" in command:
            waive(here, TODAY)
        lighter = " --no-pdf" if command.startswith("landscape-audit run") else ""  # a third of the time of a run
        outcomes[command] = subprocess.run(
            ["/bin/sh", "-c", command + lighter] if not command.startswith("cd ") else ["true"],
            cwd=here,
            env=environment | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    return here, outcomes, environment


def waive(folder, last_day):
    """The waivers as somebody would write them: for this checkpoint, until that day."""
    text = (EXAMPLES / "gated-repository/waived.toml").read_text()
    digest = hashlib.sha256((folder / "spoilt.safetensors").read_bytes()).hexdigest()
    text = re.sub(r"expires = \S+", f"expires = {last_day}", text.replace("0" * 64, digest))
    (folder / "waived.toml").write_text(text)


def test_the_walk_ends_in_all_four_ways():
    assert [ended for _, ended in STEPS if ended] == [
        "landscape-audit: PASS (exit 0)",
        "landscape-audit: FAIL (exit 1)",
        "landscape-audit: UNDECIDED (exit 3)",
        "landscape-audit: PASS (exit 0)",
    ]


@pytest.mark.parametrize(("command", "shown"), STEPS)
def test_a_command_of_the_walk_ends_as_it_is_shown(walked, command, shown):
    outcome = walked[1][command]
    if not shown:
        assert outcome.returncode == 0, outcome.stderr
        return
    word, code = re.fullmatch(r"landscape-audit: (\w+) \(exit (\d)\)", shown).groups()
    last = outcome.stderr.splitlines()[-1]
    assert outcome.returncode == int(code), outcome.stderr
    assert last.startswith(f"landscape-audit: {word}  ")
    assert f"(exit {code})" in last


def test_what_the_walk_says_of_sixty_digits_is_so(walked):
    told = walked[1][next(command for command, _ in STEPS if "--n-samples 60" in command)].stderr
    assert re.search(r"loss\.metric \(accuracy\)\s+0\.9833 \(0\.911\d* to 0\.997\d*\)", told)


def test_waived_gates_stay_visible_and_fail_again_on_the_day_after(walked):
    folder, outcomes, environment = walked
    waived = next(outcome for command, outcome in outcomes.items() if "waived.toml" in command)
    assert "3 waived" in waived.stderr.splitlines()[-1]
    waive(folder, TODAY - dt.timedelta(days=1))
    command = [sys.executable, "-m", "landscape_audit", "gate", "spoilt", "--policy", "waived.toml", "--json"]
    again = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "Its waiver expired on" in again.stdout


def test_the_workflow_gives_the_action_what_it_takes():
    workflow = yaml.safe_load((EXAMPLES / "gated-repository/.github/workflows/audit.yml").read_text())
    action = yaml.safe_load((ROOT / "ci/github/action.yml").read_text())
    (given,) = [step["with"] for step in workflow["jobs"]["audit"]["steps"] if "landscape-audit" in step["uses"]]
    assert set(given) <= set(action["inputs"])
    assert workflow[True] == "pull_request"  # YAML reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
