"""Runs that are compared: with stored results, and with a checkpoint that is measured beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import assert_one_message, outcome
from safetensors.torch import load_file, save_file

from landscape_audit import measure
from landscape_audit.comparison.changes import changes
from landscape_audit.results import read_results

RUN = ("run", "model.safetensors", "--no-pdf", "--only", "instrument", "--only", "loss", "--only", "sharpness")
NO_WORSE = """
[gates."sharpness.lambda_max"]
no_worse_than_baseline = 0.1
why = "a test"
"""


@pytest.fixture
def run(folder, monkeypatch, capsys):
    (folder / "audit.toml").write_text((folder / "audit.toml").read_text() + NO_WORSE)
    return lambda *arguments: outcome([*RUN, *arguments], monkeypatch, capsys)


@pytest.fixture
def moved(folder):
    """The checkpoint after a small step."""
    torch.manual_seed(1)
    state = {
        name: value + 0.003 * torch.randn_like(value) for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(state, "moved.safetensors")
    return "moved.safetensors"


def test_a_checkpoint_against_itself_has_changed_by_nothing_at_all(run):
    code, _, err = run("--against", "model.safetensors")
    assert code == 0, err
    results = read_results(Path("audit-model/results.json"))
    assert results.baseline.measured == "together"
    assert {each.word for each in changes(results)} == {"the same"}
    assert results.gates[0].found.startswith("0 %:")
    assert "on the same batches and directions" in Path("audit-model/report.html").read_text()


def test_what_was_measured_beside_can_be_a_baseline_again(run, moved):
    code, _, err = run("--against", moved)
    assert code == 0, err
    assert "Two audits, that of moved.safetensors and then this one: together twice what each costs." in err
    together = read_results(Path("audit-model/results.json"))
    assert together.baseline.paired == ("sampling", "probe")
    assert together.gates[0].status == "pass"
    Path("audit-model/baseline-results.json").rename("kept.json")
    code, _, err = run("--baseline", "kept.json")
    assert code == 0, err
    stored = read_results(Path("audit-model/results.json"))
    assert stored.baseline == together.baseline.model_copy(update={"measured": "stored"})
    assert not Path("audit-model/baseline-results.json").exists()


def test_stored_results_are_judged_again_against_a_baseline(run, moved, monkeypatch, capsys):
    run("--out", "here")
    run("--out", "there", "--against", moved)
    judge = lambda *arguments: outcome(["gate", "here", *arguments], monkeypatch, capsys)  # noqa: E731
    code, _, err = judge()
    assert "There is no baseline" in err
    code, _, err = judge("--baseline", "there/baseline-results.json")
    assert code == 0, err
    assert "pass  sharpness.lambda_max" in err
    code, _, err = outcome(["gate", "there"], monkeypatch, capsys)
    assert "pass  sharpness.lambda_max" in err, "what it was compared with is in the results"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "wanted"),
    [
        (["--against", "none.safetensors"], 4, "none.safetensors"),
        (["--against", "pickle.safetensors"], 4, "pickle.safetensors"),
        (["--against", "cut.safetensors"], 4, "cut.safetensors"),
        (["--against", "page.safetensors"], 4, "page.safetensors"),
        (["--against", "inf.safetensors"], 4, "inf.safetensors: the tensor '0.bias' has 8 infinite"),
        (["--against", "less.safetensors"], 4, "no tensor '2.bias'"),
        (["--baseline", "none.json"], 4, "none.json"),
        (["--baseline", "not.json"], 4, "not.json: not the results of an audit"),
        (["--baseline", "model.safetensors"], 4, "model.safetensors"),
        (["--baseline", "not.json", "--against", "model.safetensors"], 2, "--baseline and --against"),
    ],
)
def test_what_is_no_baseline_is_told_before_anything_is_measured(arguments, code, wanted, monkeypatch, capsys):
    monkeypatch.setattr(measure, "audit", lambda *_, **__: pytest.fail("measured"))
    found, out, err = outcome([*RUN, *arguments], monkeypatch, capsys)
    assert_one_message(found, code, wanted, out, err)


def test_a_checkpoint_of_another_model_is_named_with_what_differs(folder, monkeypatch, capsys):
    (folder / "code.py").write_text(
        (folder / "code.py").read_text()
        + "\nimport pathlib\ndef either():\n    wide = 8 + pathlib.Path('other').exists()\n"
        "    pathlib.Path('other').touch()\n"
        "    return nn.Sequential(nn.Linear(6, wide), nn.ReLU(), nn.Linear(wide, 3))\n"
    )
    torch.manual_seed(0)
    wide = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 3))
    save_file(wide.state_dict(), "wide.safetensors")
    code, out, err = outcome([*RUN, "--model", "code.py:either", "--against", "wide.safetensors"], monkeypatch, capsys)
    assert_one_message(code, 4, "wide.safetensors: is of another model than model.safetensors", out, err)
    assert "'0.bias' has shape (9,), and (8,) there" in err


@pytest.mark.usefixtures("folder")
def test_other_data_for_the_other_checkpoint_are_refused(monkeypatch, capsys):
    loaded = lambda _, checkpoint, *__: (_layout(), checkpoint.name)  # noqa: E731 - each has a sample of its own
    monkeypatch.setattr("landscape_audit.subject.alike._loaded", loaded)
    code, out, err = outcome([*RUN, "--against", "hostile.safetensors"], monkeypatch, capsys)
    assert_one_message(code, 4, "gave other examples for hostile.safetensors", out, err)


def _layout():
    from landscape_audit.curvature.layout import Layout

    return Layout.of(torch.nn.Linear(2, 2), ("weight", "bias"))


@pytest.mark.parametrize("within", [True, False])
def test_a_signal_during_the_audit_of_the_other_one_ends_the_run_before_this_one_is_measured(
    run, moved, monkeypatch, within
):
    measured, begun = measure.audit, []

    def interrupted(spec, checkpoint, *arguments, **more):
        begun.append(checkpoint.name)
        if not within:
            raise KeyboardInterrupt("SIGTERM")
        found = measured(spec, checkpoint, *arguments, **more)
        return found.model_copy(update={"run": found.run.model_copy(update={"signal": "SIGTERM"})})

    monkeypatch.setattr(measure, "audit", interrupted)
    code, _, err = run("--against", moved)
    assert code == 143, err
    assert begun == [moved]
    assert not Path("audit-model").exists()


def test_a_signal_after_the_other_one_is_measured_leaves_an_audit_that_can_be_gone_on_with(run, moved, monkeypatch):
    measured = measure.audit

    def interrupted(spec, checkpoint, *arguments, **more):
        found = measured(spec, checkpoint, *arguments, **more)
        run = found.run.model_copy(update={"signal": None if checkpoint.name == moved else "SIGINT"})
        return found.model_copy(update={"run": run})

    monkeypatch.setattr(measure, "audit", interrupted)
    code, _, err = run("--against", moved)
    assert code == 130
    assert "--resume" in err
    assert read_results(Path("audit-model/results.json")).baseline.measured == "together"
    monkeypatch.setattr(measure, "audit", measured)
    code, _, err = run("--against", moved, "--resume")
    assert code == 0, err
    assert "Going on with an interrupted audit" in err
    assert not Path("audit-model/.probes").exists()


def test_a_gate_that_the_solver_leaves_open_against_a_stored_baseline_buys_products(folder, run):
    run("--out", "before")
    config = (folder / "audit.toml").read_text()
    short = 'preset = "quick"\nbudgets = { lanczos_steps = 2, top_k = 1 }'
    (folder / "audit.toml").write_text(config.replace('preset = "quick"', short))
    code, _, err = run("--baseline", "before")
    results = read_results(Path("audit-model/results.json"))
    assert results.protocol.looks > 1
    assert any("for the gate on sharpness.lambda_max" in note for note in results.protocol.adjustments)
    assert results.gates[0].status == "pass"
    assert code == 0, err


def test_the_command_line_is_the_same_for_both(run, moved):
    run("--against", moved)
    first, second = (
        json.loads(Path(f"audit-model/{name}.json").read_text()) for name in ("results", "baseline-results")
    )
    assert first["run"]["argv"] == second["run"]["argv"]
    assert first["protocol"]["budgets"] == second["protocol"]["budgets"]
    assert first["data"] == second["data"]
