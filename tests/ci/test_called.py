"""What continuous integration calls is what the program has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from landscape_audit.cli.main import app

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(app).commands
HOOKS = {
    hook["id"]: hook["entry"].split()[1:] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
}


def options(command):
    return {option for parameter in COMMANDS[command].params for option in parameter.opts}


@pytest.mark.xfail(reason="until `run --format` and `run --baseline` are there", strict=True)
@pytest.mark.parametrize("caller", ["ci/github/audit", "ci/gitlab/landscape-audit.yml"])
def test_run_has_the_options_that_are_given_to_it(caller):
    text = (ROOT / caller).read_text()
    command = text[text.index("landscape-audit run") : text.index('-- "$')]
    asked = set(re.findall(r"--[a-z-]+(?==)", command))
    assert {"--out", "--format", "--config", "--policy", "--baseline", "--preset"} == asked <= options("run")


@pytest.mark.xfail(reason="until the commands `policy` and `card` are there", strict=True)
@pytest.mark.parametrize("hook", HOOKS)
def test_the_hooks_call_what_is_there(hook):
    command, *given = HOOKS[hook]
    assert set(given) <= options(command)
