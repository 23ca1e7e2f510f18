"""Every command in the README works, in the order in which it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").partition("#")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
OURS = [command for command in COMMANDS if command.startswith("landscape-audit ")]
OTHERS = {"ci/demo", "ci/test", "pip install '.[demo]'"}  # run by continuous integration itself, and by ci/setup


def test_the_readme_has_no_command_that_nothing_runs():
    assert set(COMMANDS) - set(OURS) == OTHERS
    assert (ROOT / "ci/demo").is_file()
    assert (ROOT / "ci/test").is_file()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    outcomes = {}
    for command in OURS:
        arguments = [sys.executable, "-m", "landscape_audit", *shlex.split(command)[1:]]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
        outcomes[command] = subprocess.run(
            arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    return folder, outcomes


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_the_readme_works(ran, command):
    outcome = ran[1][command]
    assert outcome.returncode == 0, outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_the_walk_leaves_reports_behind(ran):
    folder, _ = ran
    for name in ("results.json", "report.html", "report.pdf", "summary.md"):
        assert (folder / "demo/audit" / name).stat().st_size > 1000
    for name in ("report.html", "report.pdf"):
        assert (folder / "demo/site" / name).read_bytes() == (folder / "demo/audit" / name).read_bytes()


def test_the_configuration_in_the_readme_is_one():
    import tomllib

    from landscape_audit.spec import AuditSpec

    block = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    spec = AuditSpec.model_validate(tomllib.loads(block.group(1)))
    assert spec.gates["sharpness.lambda_max"].at_most == 40


def test_exit_codes_in_the_readme_are_those_of_the_program():
    from landscape_audit.gates.judge import EXIT_CODES

    listed = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE) for code in row.split(",")}
    assert listed >= set(EXIT_CODES.values())
