"""One test for each way out, through the console script that is installed, as a CI job calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import CODE, CONFIG
from results_factory import an_audit

from landscape_audit.policy import Policy
from landscape_audit.results import AuditResults, Failed

PROGRAM = Path(sys.executable).with_name("landscape-audit")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def ended(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def gated(folder: Path, at_most: float, audit: AuditResults | None = None) -> subprocess.CompletedProcess[str]:
    gates = {"sharpness.lambda_max": {"at_most": at_most, "why": "a reason"}}
    policy = Policy.model_validate({"gates": gates})
    results = (audit or an_audit()).model_copy(update={"policy": policy})
    (folder / "results.json").write_text(results.to_json(), encoding="utf-8")
    return ended("gate", "results.json", cwd=folder)


def last_line(run: subprocess.CompletedProcess[str]) -> str:
    return run.stderr.splitlines()[-1]


@pytest.mark.parametrize(("at_most", "word", "code"), [(50, "PASS", 0), (20, "FAIL", 1), (31, "UNDECIDED", 3)])
def test_a_verdict_ends_with_its_code(tmp_path: Path, at_most: float, word: str, code: int) -> None:
    run = gated(tmp_path, at_most)
    assert run.returncode == code
    assert last_line(run).startswith(f"landscape-audit: {word}  ")
    assert last_line(run).endswith(f"(exit {code})")


def test_a_mistake_in_the_policy_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("gate = 1", encoding="utf-8")
    gated(tmp_path, 50)
    run = ended("gate", "results.json", "--policy", "policy.toml", cwd=tmp_path)
    assert (run.returncode, last_line(run)[-8:]) == (2, "(exit 2)")


def test_a_checkpoint_that_is_none_ends_with_4(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04pickle")
    (tmp_path / "audit.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    run = ended("run", "model.safetensors", cwd=tmp_path)
    assert (run.returncode, last_line(run)[-8:]) == (4, "(exit 4)")


def test_a_check_that_crashed_ends_with_5_and_never_with_1(tmp_path: Path) -> None:
    broken = an_audit({"trace": Failed(error="it broke")}, partial="failed: trace")
    run = gated(tmp_path, 50, broken)
    assert (run.returncode, last_line(run)[-8:]) == (5, "(exit 5)")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_with_its_code_and_leaves_what_was_measured(tmp_path: Path, number: int, code: int) -> None:
    subprocess.run([PROGRAM, "demo", "demo"], cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)
    command = [PROGRAM, "run", "demo/model.safetensors", "--out", "audit", "--no-pdf"]
    run = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("audit/.probes/*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(number)
    said = run.communicate(timeout=120)[1]
    assert (run.returncode, said.splitlines()[-1].partition("(")[2][:9]) == (code, f"exit {code})")
    stored = AuditResults.model_validate_json((tmp_path / "audit/results.json").read_text(encoding="utf-8"))
    assert stored.partial
    assert stored.run.signal == signal.Signals(number).name


def test_a_gate_on_stored_results_takes_under_four_tenths_of_a_second_and_loads_nothing_heavy(tmp_path: Path) -> None:
    gated(tmp_path, 50)
    program = """
import json, sys, time
sys.argv = ["landscape-audit", "gate", "results.json"]
from landscape_audit.cli.main import main
try:
    main()
except SystemExit as end:
    heavy = sorted({"torch", "numpy", "matplotlib", "weasyprint"} & sys.modules.keys())
    print(json.dumps([end.code, heavy, time.process_time()]))
"""
    command = [sys.executable, "-c", program]
    runs = [subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True) for _ in range(5)]
    found = [json.loads(run.stdout) for run in runs]
    assert all((code, heavy) == (0, []) for code, heavy, _ in found)
    assert min(seconds for _, _, seconds in found) < 0.4
