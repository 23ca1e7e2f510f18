"""What the shell, a batch system or the current folder may have set before a command starts."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_one_message, outcome
from hostile_audit import an_audit_with_everything

from landscape_audit.gates.judge import judged
from landscape_audit.policy import Policy

ROOT = Path(__file__).parents[2]
QUIET = ["run", "model.safetensors", "--no-pdf", "-q", "--only", "loss"]


def shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of shell in which `$AUDIT` is the command."""
    known = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "AUDIT": f"{sys.executable} -m landscape_audit"}
    environment = {**os.environ, **known, **environment}
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def results(tmp_path):
    found = judged(an_audit_with_everything(), Policy(), dt.date(2026, 1, 1))
    (tmp_path / "results.json").write_text(found.to_json())
    return tmp_path


@pytest.mark.parametrize("rank", ["1", "x"])
@pytest.mark.usefixtures("folder")
def test_a_rank_without_a_world_silences_nobody(rank, monkeypatch, capsys):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("LOCAL_RANK", "x")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "0")
    code, _, err = outcome(QUIET, monkeypatch, capsys)
    assert (code, Path("audit-model/report.html").exists()) == (0, True), err
    assert "OBSERVED" in err


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK is not set"),
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE is many"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is "),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "MASTER_ADDR is not set"),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_WORLD_SIZE": "two"}, "LOCAL_WORLD_SIZE is two"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_world_that_torchrun_did_not_make_is_a_mistake_of_usage(variables, wanted, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out, err = outcome(QUIET, monkeypatch, capsys)
    assert_one_message(code, 2, wanted, out, err)


def test_matplotlib_takes_nothing_from_the_current_folder_or_the_shell(results):
    # With usetex it would start LaTeX on a stranger's preamble.
    plain = shell("$AUDIT report results.json --out plain --no-pdf", results)
    assert plain.returncode == 0, plain.stderr
    (results / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\nbackend: nonsense\n")
    ended = shell("$AUDIT report results.json --out here --no-pdf", results, MPLBACKEND="nonsense")
    assert ended.returncode == 0, ended.stderr
    assert (results / "here/report.html").read_bytes() == (results / "plain/report.html").read_bytes()


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_changes_neither_the_exit_code_nor_any_file(results, closed):
    shutil.copy(results / "results.json", results / "before.json")
    ended = shell(f"$AUDIT gate results.json {closed}", results)
    assert ended.returncode == 0, ended.stderr
    assert (results / "results.json").read_bytes() == (results / "before.json").read_bytes()
    assert shell(f"$AUDIT gate nothing.json {closed}", results).returncode == 4
