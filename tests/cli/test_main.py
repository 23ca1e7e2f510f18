from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from landscape_audit.cli import main

ROOT = Path(__file__).parents[2]
COMMANDS = tuple(main.COMMANDS)
SIGNALLED = """import os, signal
def build():
    os.kill(os.getpid(), signal.{name})
"""


def console(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "landscape_audit", *map(str, arguments)],
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [("run", "--nope"), ("nosuch",), ("run", "--n-samples", "many"), ("gate",)])
def test_a_wrong_command_line_exits_2_and_says_so_on_stderr_alone(arguments):
    ended = console(*arguments)
    assert ended.returncode == 2
    assert not ended.stdout
    assert ended.stderr.startswith("landscape-audit: error: ")
    assert ended.stderr.splitlines()[-1].endswith("(exit 2)")


def test_no_command_at_all_shows_the_commands_and_exits_2():
    ended = console()
    assert ended.returncode == 2
    assert all(command in ended.stdout for command in COMMANDS)


def test_the_version_is_one_line_on_stdout():
    ended = console("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("landscape-audit ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_an_example(command):
    ended = console(command, "--help")
    assert ended.returncode == 0
    assert f"landscape-audit {command}" in ended.stdout.split("Usage:", 1)[1].split("\n", 1)[1]


@pytest.mark.parametrize(
    ("argument", "heavy"),
    [("--help", ("torch", "matplotlib", "weasyprint", "numpy", "jinja2")), ("checks", ("torch", "matplotlib"))],
)
def test_a_command_that_measures_nothing_loads_nothing_heavy(argument, heavy):
    program = (
        f"import sys; from landscape_audit.cli.main import app; app([{argument!r}], standalone_mode=False);"
        f"sys.exit(', '.join(set({heavy!r}) & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not ended.stderr.strip()


def test_an_error_names_the_thing_the_remedy_and_the_code():
    ended = console("run", "nowhere/model.safetensors")
    assert ended.returncode == 4
    assert "nowhere/model.safetensors: no such file" in ended.stderr
    assert "Name the .safetensors file to audit" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("landscape-audit: ERROR  ")


def test_an_escape_sequence_in_an_argument_does_not_reach_the_terminal():
    assert "\x1b" not in console("run", "\x1b[31mred").stderr


def test_a_closed_pipe_is_no_failed_gate():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "landscape_audit", "schema", "results"],
            cwd=ROOT,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_before_the_first_measurement_has_its_own_exit_code(tmp_path, name, code):
    (tmp_path / "model.py").write_text(SIGNALLED.format(name=name), encoding="utf-8")
    save_file({"w": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    np.savez(tmp_path / "d.npz", inputs=np.zeros((1, 1), np.float32), targets=np.zeros(1, np.int64))
    ended = console("plan", "model.safetensors", "--model", "model.py:build", "--data", "d.npz", cwd=tmp_path)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.splitlines()[-1] == f"landscape-audit: ERROR  interrupted  (exit {code})"


def test_an_output_folder_that_cannot_be_made_is_told_before_anything_is_measured(tmp_path):
    (tmp_path / "file").touch()
    ended = console(
        "run",
        "none.safetensors",
        "--model",
        "m.py:f",
        "--data",
        "d.npz",
        "--out",
        tmp_path / "file" / "x",
        cwd=tmp_path,
    )
    assert ended.returncode == 2
    assert "--out" in ended.stderr
