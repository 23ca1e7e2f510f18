"""Runs that are killed, at any moment: no file is left half written, and --resume ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import fill
from forked import Forks

from landscape_audit.cli.doing import doing

KILLS, CHAINS = 20, 5
RUN = ("run", "model.safetensors", "--no-pdf", "--only", "loss", "--only", "sharpness", "--only", "flatness")
FILES = {"results.json", "report.html", "summary.md"}


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    before = Path.cwd()
    os.chdir(folder)
    fill(folder)
    forked = Forks(folder)
    yield forked
    forked.close()
    os.chdir(before)


@pytest.fixture(scope="module")
def whole(forks):
    """The results of an undisturbed run, and its CPU seconds: of a second run, as the first fills caches."""
    forks.run(*RUN, "--out", "whole")
    code, told, seconds = forks.run(*RUN, "--out", "whole")
    assert code == 0, told
    return results(Path("whole")), seconds


def results(folder):
    """Everything outside `run`."""
    found = json.loads((folder / "results.json").read_text())
    del found["run"]
    return found


def assert_whole_files_only(folder):
    """Whatever has its final name is all of it."""
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    for path in folder.glob("*.html"):
        assert path.read_text().rstrip().endswith("</html>")


def test_twenty_kills_at_random_moments_change_nothing_outside_the_run_block(forks, whole):
    expected, seconds = whole
    moments, kept = random.Random(7), 0  # noqa: S311 - moments, not secrets
    for chain in range(CHAINS):
        out = Path(f"killed-{chain}")
        for _ in range(KILLS // CHAINS):
            signals = [({"cpu": moments.uniform(0, seconds)}, signal.SIGKILL)]
            forks.run(*RUN, "--out", str(out), "--resume", signals=signals)
            assert_whole_files_only(out)
            kept += len(list(out.glob(".probes/*.safetensors")))
        code, told, _ = forks.run(*RUN, "--out", str(out), "--resume")
        assert code == 0, told
        assert results(out) == expected
        assert {path.name for path in out.iterdir()} == FILES
    assert kept > KILLS


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_run_with_its_code_and_says_how_to_go_on(forks, whole, number, code):
    expected, _ = whole
    out = Path(f"stopped-{code}")
    ended, told, _ = forks.run(*RUN, "--out", str(out), signals=[(doing("m_sharpness"), number)])
    assert ended == code, told
    *_, hint, last = told.splitlines()
    assert hint.endswith(f"landscape-audit {' '.join(RUN)} --out {out} --resume")
    assert f"(exit {code})  report: " in last
    assert json.loads((out / "results.json").read_text())["run"]["signal"] == signal.Signals(number).name
    assert forks.run(*RUN, "--out", str(out), "--resume")[0] == 0
    assert results(out) == expected


@pytest.mark.parametrize("later", [0.0, 0.1, 0.4])
def test_a_second_signal_ends_it_at_once_and_leaves_whole_files(forks, whole, later):
    out = Path(f"twice-{later}")
    signals = [(doing("random_perturbation"), signal.SIGINT), (later, signal.SIGTERM)]
    code, told, _ = forks.run(*RUN, "--out", str(out), signals=signals)
    assert code in (130, 143), told
    assert "Traceback" not in told
    assert_whole_files_only(out)
    assert forks.run(*RUN, "--out", str(out), "--resume")[0] == 0
    assert results(out) == whole[0]


def exit_code_after_a_hang_up(out, hang_up):
    """Of a run whose terminal closes once the first probe is kept; we ourselves may have been told to ignore that."""
    ours, terminal = os.openpty()
    command = ["env", f"--{hang_up}-signal=HUP", sys.executable, "-m", "landscape_audit", *RUN, "--out", out]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=environment, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        end = time.monotonic() + 60
        while not any(Path(out, ".probes").glob("*.safetensors")) and time.monotonic() < end:
            time.sleep(0.001)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        return process.wait(60)


def test_a_terminal_that_closes_ends_a_run_as_a_signal_does(forks, whole):
    assert exit_code_after_a_hang_up("hung-up", "default") == 129
    assert json.loads(Path("hung-up/results.json").read_text())["run"]["signal"] == "SIGHUP"
    assert forks.run(*RUN, "--out", "hung-up", "--resume")[0] == 0
    assert results(Path("hung-up")) == whole[0]


def test_under_nohup_a_run_whose_terminal_closes_ends_well(whole):
    assert exit_code_after_a_hang_up("protected", "ignore") == 0
    assert results(Path("protected")) == whole[0]
