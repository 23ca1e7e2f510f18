"""An audit on two processes gives the numbers of one, and writes once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscape_audit.results import AuditResults, Measured

ROOT = Path(__file__).parents[2]
CODE = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

def validation():
    x = torch.randn(101, 6, generator=torch.Generator().manual_seed(1))
    return list(zip(x.split(20), (x.sum(1) > 0).long().split(20)))
"""
FLAGS = ("--model", "code.py:build", "--data", "code.py:validation", "--preset", "quick", "--no-pdf")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "code.py").write_text(CODE)
    torch.manual_seed(0)
    save_file(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict(), folder / "model.safetensors")
    return folder


def run(project, *command, **flags):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = ["-m", "landscape_audit", "run", "model.safetensors", *FLAGS]
    arguments += [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    return subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def torchrun(processes):
    return ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))


def test_two_processes_give_the_numbers_of_one_to_rounding(project):
    for out, command in (("one", ()), ("two", torchrun(2))):
        done = run(project, *command, out=out)
        assert done.returncode == 0, done.stderr
    read = [AuditResults.model_validate_json((project / out / "results.json").read_text()) for out in ("one", "two")]
    one, two = read
    assert (one.environment.processes, two.environment.processes) == (1, 2)
    assert two.instrument.agrees
    words = [{key: label.value for key, label in found.labels().items()} for found in read]
    assert words[0] == words[1]
    mine = two.estimates()
    for key, estimate in one.estimates().items():
        if key.startswith("instrument"):
            continue  # the size of rounding itself
        scale = abs(estimate.value) + 1e-3
        assert mine[key].value == pytest.approx(estimate.value, abs=2e-3 * scale), key
    assert [type(check.outcome) for check in two.checks] == [Measured] * len(two.checks)


def test_only_the_first_process_speaks_and_writes(project):
    done = run(project, *torchrun(2), out="said")
    assert done.stderr.count("landscape-audit: OBSERVED") == 1
    assert sorted(path.name for path in (project / "said").iterdir()) == ["report.html", "results.json", "summary.md"]


def test_more_processes_than_batches_is_one_message_about_them(project):
    done = run(project, *torchrun(2), out="idle", n_samples=1)
    assert done.returncode != 0
    assert (
        done.stderr.count("2 processes for 1 batch: some would have nothing to do") == 2
    )  # the message, the last line
    assert not (project / "idle").exists()
