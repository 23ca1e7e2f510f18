"""`calibrate` on the command line: the files it writes, that its gates hold, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import torch
from command_line import CODE, assert_one_message, outcome
from safetensors.torch import save_file

from landscape_audit import repeats
from landscape_audit.policy import Policy
from landscape_audit.schema import schema_text

MODEL = """
from torch import nn

class Scaled(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.linear, self.scale = nn.Linear(4, 1, bias=False), scale
    def forward(self, x): return self.scale * self.linear(x)
"""
CONFIG = """
[model]
factory = "model.py:Scaled"
[data]
file = "val.safetensors"
[loss]
name = "mse"
[protocol]
preset = "quick"
[checks]
only = ["loss", "gradient", "sharpness", "trace", "stationarity"]
"""
ASK = ["calibrate", "model.safetensors", "-n", "6", "--out", "c"]
ONE = [*ASK, "--only", "sharpness"]


@pytest.fixture
def regression(tmp_path, monkeypatch):
    """The current folder: linear regression on 1,600 examples, at its solution."""
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)
    Path("audit.toml").write_text(CONFIG)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1600, 4, generator=generator) * torch.tensor([1.5, 1.0, 0.7, 0.5])
    y = x.sum(1, keepdim=True) + torch.randn(1600, 1, generator=generator)
    save_file({"inputs": x, "targets": y}, "val.safetensors")
    save_file({"linear.weight": torch.linalg.lstsq(x, y).solution.T.contiguous()}, "model.safetensors")
    return tmp_path


@pytest.mark.usefixtures("regression")
def test_proposed_gates_pass_the_checkpoint_and_fail_one_twice_as_sharp(monkeypatch, capsys):
    only = ["--only", "loss", "--only", "sharpness", "--only", "trace"]
    assert outcome([*ASK, *only], monkeypatch, capsys)[0] == 0
    gates = Policy.model_validate(tomllib.loads(Path("c/gates.toml").read_text())).gates
    assert set(gates) >= {"loss.value", "sharpness.lambda_max", "trace.trace"}
    again = ["run", "model.safetensors", "--policy", "c/gates.toml", "--no-pdf", "-q", *only]
    assert outcome([*again, "--out", "same"], monkeypatch, capsys)[0] == 0, "the audit as configured"
    assert outcome([*again, "--out", "other", "--seed", "99"], monkeypatch, capsys)[0] == 0
    # f(x) = (s W / s) x is the same function, and its Hessian in W / s is s² times as large.
    from safetensors.torch import load_file

    weight = load_file("model.safetensors")["linear.weight"]
    save_file({"linear.weight": weight / math.sqrt(2)}, "model.safetensors")
    doubled = [*again, "--model", "model.py:Scaled", "--model-arg", f"scale={math.sqrt(2)}", "--out", "doubled"]
    code, _, err = outcome(doubled, monkeypatch, capsys)
    assert code == 1, err
    found = json.loads(Path("doubled/results.json").read_text())
    failed = {gate["key"] for gate in found["gates"] if gate["status"] == "fail"}
    assert "sharpness.lambda_max" in failed
    assert "loss.value" not in failed, "the function is the same"


@pytest.mark.usefixtures("regression")
def test_the_gradient_of_a_checkpoint_trained_on_the_audited_examples_gets_no_limit(monkeypatch, capsys):
    code, _, err = outcome([*ASK, "--only", "gradient"], monkeypatch, capsys)
    assert code == 0
    assert "was the checkpoint trained on these examples?" in err
    assert err.splitlines()[-1] == (
        "landscape-audit: CALIBRATED  6 audits, 0 gates  (exit 0)  no limits: c/calibration.md"
    )
    assert not Path("c/gates.toml").exists()


@pytest.mark.usefixtures("regression")
def test_a_class_that_all_audits_find_is_demanded_and_passes(monkeypatch, capsys):
    only = ["--only", "stationarity"]
    assert outcome([*ASK, *only], monkeypatch, capsys)[0] == 0
    gate = Policy.model_validate(tomllib.loads(Path("c/gates.toml").read_text())).gates["stationarity.class"]
    assert gate.one_of == ("minimum",)
    again = ["run", "model.safetensors", "--policy", "c/gates.toml", "--no-pdf", "-q", "--seed", "5", "--out", "r"]
    assert outcome([*again, *only], monkeypatch, capsys)[0] == 0


@pytest.mark.usefixtures("regression")
def test_the_same_command_gives_the_same_files_which_are_what_they_say(monkeypatch, capsys):
    assert outcome(ONE, monkeypatch, capsys)[0] == 0
    names = ("calibration.json", "calibration.md", "gates.toml")
    first = {name: Path("c", name).read_bytes() for name in names}
    assert sorted(path.name for path in Path("c").iterdir()) == sorted(names)
    code, out, err = outcome([*ONE, "--json"], monkeypatch, capsys)
    assert code == 0
    assert {name: Path("c", name).read_bytes() for name in names} == first
    assert out == first["calibration.json"].decode()
    jsonschema.validate(json.loads(out), json.loads(schema_text("calibration")))
    assert err.splitlines()[-1] == "landscape-audit: CALIBRATED  6 audits, 1 gate  (exit 0)  c/gates.toml"


@pytest.mark.usefixtures("regression")
def test_what_it_will_cost_and_what_was_found_is_told(monkeypatch, capsys):
    _, out, err = outcome(ONE, monkeypatch, capsys)
    assert out == ""
    forecast = re.search(r"6 audits of 4 parameters on 1,600 examples: about 6 × (\d+) = (\d+) gradients", err)
    assert forecast
    assert err.index("about 6 ×") < err.index("audit 2 of 6")
    assert re.search(r"audit 6 of 6, about .+ left", err)
    assert "Bootstrap of the 1,600 audited examples" in err
    assert re.search(r"sharpness\.lambda_max +\d\S+ +\S+ +\S+ +\S+ +\S+ +at_most \d", err)
    assert "False alarms: 5 % for each of 1 limit, at most 5 % for all together" in err


@pytest.mark.parametrize(("done", "limits"), [(5, True), (3, False)])
@pytest.mark.usefixtures("regression")
def test_an_interruption_keeps_what_is_finished_and_proposes_from_five_audits_on(done, limits, monkeypatch, capsys):
    audit, calls = repeats.audit, []

    def interrupted(*given, **named):
        calls.append(given)
        if len(calls) > done:
            raise KeyboardInterrupt
        return audit(*given, **named)

    monkeypatch.setattr(repeats, "audit", interrupted)
    code, _, err = outcome(ONE, monkeypatch, capsys)
    assert code == 130
    assert f"Interrupted: {done} of 6 audits ended" in err
    assert Path("c/gates.toml").exists() == limits
    assert len(json.loads(Path("c/calibration.json").read_text())["audits"]) == done


@pytest.mark.usefixtures("regression")
def test_an_audit_that_fails_is_left_out_and_told_unless_it_is_the_one_as_configured(monkeypatch, capsys):
    from landscape_audit.errors import LossError

    audit, calls = repeats.audit, []

    def failing(*given, **named):
        calls.append(given)
        if len(calls) == 3:
            raise LossError("mse: the loss of batch 0 is inf, which is no height.", remedy="…")
        return audit(*given, **named)

    monkeypatch.setattr(repeats, "audit", failing)
    code, _, err = outcome(ONE, monkeypatch, capsys)
    assert code == 0
    assert "Audit 3 of 6 has no results: mse: the loss of batch 0 is inf" in err
    assert "5 audits of model.safetensors" in Path("c/gates.toml").read_text()
    calls[:] = [(), ()]
    code, out, err = outcome([*ONE, "--out", "d"], monkeypatch, capsys)
    assert_one_message(code, 4, "mse: the loss of batch 0 is inf", out, err[err.index("landscape-audit: error") :])
    assert not Path("d").exists()


@pytest.mark.usefixtures("regression")
def test_a_check_that_crashes_in_the_audit_as_configured_ends_it_at_once(monkeypatch, capsys):
    from landscape_audit.probes.krylov import HessianKrylov

    monkeypatch.setattr(HessianKrylov, "take", lambda *_: 1 / 0)
    code, out, err = outcome(ONE, monkeypatch, capsys)
    assert_one_message(code, 5, "the check sharpness failed", out, err[err.index("landscape-audit: error") :])
    assert "audit 2" not in err
    assert not Path("c").exists()


@pytest.mark.usefixtures("regression")
def test_more_data_than_the_sample_are_drawn_from_anew(monkeypatch, capsys):
    _, _, err = outcome([*ONE, "--n-samples", "100"], monkeypatch, capsys)
    assert "100 of 1,600 examples, drawn anew for each audit" in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["-n", "2"], "-n 2: the spread of 2 audits is itself hardly known."),
        (["-n", "-1"], "-n -1"),
        (["--false-alarm", "0"], "--false-alarm 0: is no rate from 1e-06 to less than 0.5."),
        (["--false-alarm", "1e-12"], "--false-alarm 1e-12"),
        (["--false-alarm", "0.5"], "--false-alarm 0.5"),
        (["--false-alarm", "nan"], "--false-alarm nan"),
    ],
)
def test_what_gives_no_limit_is_refused_with_the_reason(flags, wanted, monkeypatch, capsys):
    code, out, err = outcome(["calibrate", "model.safetensors", *flags], monkeypatch, capsys)
    assert_one_message(code, 2, wanted, out, err)
    assert not list(Path().glob("calibration-*"))


@pytest.mark.usefixtures("regression")
def test_files_of_others_are_not_replaced(monkeypatch, capsys):
    Path("c").mkdir()
    for name in ("gates.toml", "calibration.json"):  # one that is beside it makes it no less another's
        Path("c", name).write_text("# by hand")
        code, out, err = outcome(ONE, monkeypatch, capsys)
        assert_one_message(code, 2, "is in the way: no audit wrote it.", out, err)
        assert Path("c/gates.toml").read_text() == "# by hand"


@pytest.mark.usefixtures("folder")
def test_code_and_checkpoint_are_left_as_they_were(monkeypatch, capsys):
    before = hashlib.sha256(Path("model.safetensors").read_bytes()).hexdigest()
    assert outcome(["calibrate", "model.safetensors", "-n", "5", "--only", "loss"], monkeypatch, capsys)[0] == 0
    assert hashlib.sha256(Path("model.safetensors").read_bytes()).hexdigest() == before
    assert Path("code.py").read_text() == CODE
    assert Path("calibration-model/gates.toml").exists()
