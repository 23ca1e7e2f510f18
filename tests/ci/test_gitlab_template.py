"""The GitLab template: its script, read from the file and run as a GitLab runner does."""

from __future__ import annotations

from pathlib import Path

import gitlab_runner
import pytest
import yaml
from ci_machine import Machine

JOB = yaml.safe_load((Path(__file__).parents[2] / "ci/gitlab/landscape-audit.yml").read_text())["landscape-audit"]
HOSTILE = "$(touch pwned) `touch pwned`; touch pwned & \"'\n| --help"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


def run(tmp_path, machine, *, shell="bash", audit_exits=0, **variables):
    given = {f"AUDIT_{name.upper()}": value for name, value in variables.items()}
    return gitlab_runner.run(JOB, tmp_path / "workspace", machine, shell=shell, audit_exits=audit_exits, **given)


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5])
def test_the_job_ends_with_the_audits_code_and_only_undecided_is_tolerated(tmp_path, machine, shell, code):
    assert run(tmp_path, machine, shell=shell, audit_exits=code) == code
    assert JOB["allow_failure"] == {"exit_codes": [3]}


def test_what_the_job_keeps_is_what_the_audit_writes_whatever_its_verdict(tmp_path, machine):
    run(tmp_path, machine, audit_exits=1)
    (argv,) = machine.calls("landscape-audit")
    formats = ["--format=junit", "--format=gitlab", "--format=openmetrics"]
    assert argv == ["run", "--out=landscape-audit", *formats, "--", "model.safetensors"]
    kept = JOB["artifacts"]
    assert kept["when"] == "always"
    assert (tmp_path / "workspace" / kept["paths"][0] / "report.html").is_file()
    names = {"junit": "junit.xml", "codequality": "gl-code-quality.json", "metrics": "metrics.txt"}
    assert kept["reports"] == {report: f"landscape-audit/{name}" for report, name in names.items()}


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_names_with_blanks_and_commands_reach_the_audit_as_they_are(tmp_path, machine, shell):
    options = ("config", "policy", "baseline", "preset")
    assert run(tmp_path, machine, shell=shell, checkpoint=f"-{HOSTILE}", **dict.fromkeys(options, HOSTILE)) == 0
    (argv,) = machine.calls("landscape-audit")
    assert argv[5:] == [*(f"--{option}={HOSTILE}" for option in options), "--", f"-{HOSTILE}"]
    assert not list(tmp_path.rglob("pwned"))


def test_an_image_that_has_it_installs_nothing(tmp_path, machine):
    run(tmp_path, machine)
    assert machine.calls("python3") == machine.calls("apt-get") == []


@pytest.mark.parametrize("torch", [True, False])
def test_another_image_gets_it_and_pytorch_only_where_there_is_none(tmp_path, machine, torch):
    (machine.folder / "bin/landscape-audit").unlink()
    if not torch:
        machine.lacks("torch")
    assert run(tmp_path, machine, install=HOSTILE) == 127  # this pip installs nothing, so there is nothing to run
    installed = [argv for argv in machine.calls("python3") if "install" in argv]
    assert [argv[-1] for argv in installed] == [*([] if torch else ["torchvision"]), HOSTILE]
    assert Path(installed[-1][installed[-1].index("--constraint") + 1]).read_text() == "torch==2.13.0+cpu\n"
    assert "libpango-1.0-0" in machine.calls("apt-get")[-1]


def test_without_a_word_about_what_to_install_nothing_is(tmp_path, machine):
    (machine.folder / "bin/landscape-audit").unlink()
    machine.lacks("torch")
    assert run(tmp_path, machine) not in (0, 3)
    assert machine.calls("python3") == []
