"""`landscape-audit run` from the outside: what it writes, where, and what it leaves when it cannot go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from command_line import outcome
from safetensors.torch import save_file
from torch import nn

from landscape_audit.cli.doing import doing
from landscape_audit.results import AuditResults

ROOT = Path(__file__).parents[2]
MODEL = """
import os
from torch import nn

def build(width=8):
    print("hello")
    os.write(1, b"from below")
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))
"""
DATA = """
import torch

def validation():
    x = torch.randn(96, 6, generator=torch.Generator().manual_seed(1))
    return list(zip(x.split(20), (x.sum(1) > 0).long().split(20)))
"""
CONFIG = """
[model]
factory = "model.py:build"
[data]
loader = "data.py:validation"
[protocol]
preset = "quick"
[gates."loss.value"]
at_most = {limit}
why = "a test"
"""
LOSS = ("--only", "loss")
OUTPUTS = {"results.json", "report.html", "report.pdf", "summary.md"}


def write_project(folder):
    (folder / "model.py").write_text(MODEL)
    (folder / "data.py").write_text(DATA)
    (folder / "audit.toml").write_text(CONFIG.format(limit=100))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path)


@pytest.fixture
def run(project, monkeypatch, capfd):
    """A run in this process: exit code, stdout and stderr, down to the file descriptors."""
    monkeypatch.chdir(project)
    return lambda *arguments: outcome(["run", "model.safetensors", *arguments], monkeypatch, capfd)


def started(project, *arguments):
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(project), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.Popen(
        [sys.executable, "-m", "landscape_audit", "run", "model.safetensors", *arguments],
        cwd=project,
        env={"PYTHONPATH": str(ROOT), **surroundings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of every check, from a shell: where, exit code, stdout and stderr."""
    folder = write_project(tmp_path_factory.mktemp("whole"))
    process = started(folder, "--out", "made/here")
    out, err = process.communicate(timeout=120)
    return folder / "made/here", process.returncode, out, err


def test_a_run_writes_everything_and_says_so_on_its_last_line(whole):
    made, code, out, err = whole
    assert (code, out) == (0, "")
    assert {path.name for path in made.iterdir()} == OUTPUTS
    assert err.splitlines()[-1] == (
        "landscape-audit: PASS  1 passed, 0 failed, 0 undecided  (exit 0)  report: made/here/report.html"
    )


def test_json_is_the_results_and_nothing_else_although_the_model_prints(run):
    code, out, err = run("--json", "--no-pdf", *LOSS)
    assert code == 0
    found = AuditResults.model_validate_json(out)
    assert found == AuditResults.model_validate_json(Path("audit-model/results.json").read_text())
    assert "hello" in err
    assert "from below" in err


def test_the_same_audit_in_another_process_differs_only_in_its_run_block(whole, project):
    process = started(project, "--no-pdf")
    process.communicate(timeout=120)
    one, other = (json.loads((made / "results.json").read_text()) for made in (whole[0], project / "audit-model"))
    del one["run"], other["run"]
    assert one == other


def test_a_failing_gate_is_exit_code_1_and_the_report_is_there(project, run):
    (project / "audit.toml").write_text(CONFIG.format(limit=0.001))
    code, _, err = run("--no-pdf", *LOSS)
    assert code == 1
    assert "landscape-audit: FAIL  0 passed, 1 failed" in err.splitlines()[-1]
    assert (project / "audit-model/report.html").is_file()


def test_flags_win_over_the_file_and_their_paths_start_here(project, run):
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "wide.py").write_text(MODEL.replace("hello", "from the flag"))
    code, out, err = run("--json", "--no-pdf", *LOSS, "--model", "elsewhere/wide.py:build", "--model-arg", "width=8")
    assert code == 0
    assert "from the flag" in err
    assert json.loads(out)["subject"]["model"] == "elsewhere/wide.py:build"


def test_a_gate_that_can_never_match_is_refused_before_anything_is_measured(project, run):
    begun = time.monotonic()
    code, _, err = run("--only", "gradient")
    assert code == 2
    assert "gate 'loss.value': no check 'loss' will run." in err
    assert time.monotonic() - begun < 10
    assert not (project / "audit-model").exists()


def test_a_name_that_is_no_text_is_refused_before_anything_is_measured(project, run):
    code, _, err = run("--no-pdf", "--out", os.fsdecode(b"out\xff"))
    assert code == 2
    assert "out\\udcff: is not UTF-8" in err
    assert not (project / os.fsdecode(b"out\xff")).exists()


def test_a_gate_that_matches_nothing_costs_no_measurement(project, run):
    text = CONFIG.format(limit=1).replace("loss.value", "loss.valeu")
    (project / "audit.toml").write_text(text)
    code, _, err = run("--no-pdf", *LOSS)
    assert code == 2
    assert "Did you mean 'loss.value'?" in err
    assert not (project / "audit-model").exists()


def test_no_report_of_an_older_audit_survives_one_that_fails(project, run):
    assert run("--no-pdf", *LOSS)[0] == 0
    (project / "data.py").write_text("def validation():\n    raise OSError('gone')\n")
    code, _, err = run("--no-pdf", *LOSS)
    assert code == 4
    assert "gone" in err
    assert not (project / "audit-model").exists()


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_was_measured_and_says_that_it_is_partial(project, stop, code):
    process = started(project, "--preset", "thorough", "--no-pdf")
    seen = ""
    for line in process.stderr:
        seen += line
        if doing("trust_region") in line:
            process.send_signal(stop)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == code, seen
    assert f"(exit {code})  report: " in rest.splitlines()[-1]
    kept = AuditResults.model_validate_json((project / "audit-model/results.json").read_text())
    assert kept.partial
    assert kept.checks
    assert "not whole" in (project / "audit-model/report.html").read_text()


def test_a_twin_is_saved_where_the_flag_says_and_only_if_there_are_twins(project, run):
    code, _, err = run("--save", "twin.safetensors")
    assert code == 2
    assert "the check 'sam' is not enabled" in err
    table = '[checks.sam]\nenabled = true\ntrain = "data.py:validation"\nsteps = 4\n'
    (project / "audit.toml").write_text(CONFIG.format(limit=100) + table)
    for left_out in (("--skip", "sam"), ("--only", "loss")):
        code, _, err = run(*left_out, "--save", "twin.safetensors")
        assert (code, "leaves the check 'sam' out" in err) == (2, True)
    code, _, err = run("--save", ".")
    assert code == 2
    assert "is a folder" in err
    assert not (project / "audit-model").exists()
    code, _, err = run("--only", "sam", "--only", "loss", "--no-pdf", "--save", "twin.safetensors")
    assert code == 0, err
    assert "sam: seed 3 of 3, the asam twin" in err
    assert (project / "twin.safetensors").is_file()
    assert {path.name for path in (project / "audit-model").glob("sam-*")} == {f"sam-seed-{k}.json" for k in range(3)}


def test_a_gate_on_a_check_that_is_off_is_told_how_to_enable_it(project, run):
    gate = '[gates."sam.loss_difference"]\nat_most = 0\nwhy = "SAM should not help"\n'
    (project / "audit.toml").write_text(CONFIG.format(limit=100) + gate)
    code, _, err = run()
    assert code == 2
    assert "[checks.sam] enabled = true" in err
