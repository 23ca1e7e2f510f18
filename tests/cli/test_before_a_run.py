"""`plan` and progress: what a person asks before spending anything."""

from __future__ import annotations

import json
import re

import pytest
from command_line import assert_one_message, outcome

from landscape_audit.cli.progress import Lines, forecast, seconds
from landscape_audit.plan import Plan, PlannedProbe
from landscape_audit.results import Cost


@pytest.mark.usefixtures("folder")
def test_a_plan_adds_up_and_names_who_asked(monkeypatch, capsys):
    code, out, _ = outcome(["plan", "model.safetensors", "--json"], monkeypatch, capsys)
    assert code == 0
    plan = json.loads(out)
    assert plan["gradients"] == pytest.approx(sum(probe["in_gradients"] for probe in plan["probes"]))
    krylov = next(probe for probe in plan["probes"] if probe["name"] == "hessian_krylov")
    assert krylov["hvps"] == 20
    assert {"sharpness", "negative_curvature", "trace", "spectral_density"} <= set(krylov["checks"])


@pytest.mark.usefixtures("folder")
def test_a_plan_is_a_table_with_a_forecast_on_top(monkeypatch, capsys):
    code, out, _ = outcome(["plan", "model.safetensors", "--only", "loss"], monkeypatch, capsys)
    assert code == 0
    assert re.match(r"Auditing 83 parameters on 40 examples: about \d+ gradients", out)
    assert "checkpoint_loss" in out
    assert "hessian_krylov" not in out


@pytest.mark.usefixtures("folder")
def test_flags_choose_the_parameters_and_a_folder_stands_for_its_only_checkpoint(folder, monkeypatch, capsys):
    (folder / "alone").mkdir()
    (folder / "model.safetensors").rename(folder / "alone" / "model.safetensors")
    asked = ["plan", "alone", "-c", "audit.toml", "--only", "loss"]
    _, out, _ = outcome([*asked, "--parameters", "2.*", "--parameters", "!*.bias"], monkeypatch, capsys)
    assert "Auditing 24 parameters on 40 examples" in out


MISSPELT = [
    ('[gates."flatness.tolerence"]\nat_least = 1', "Did you mean 'flatness.tolerance'?"),
    ('[gates."stationarity.class"]\none_of = ["minima"]', "Did you mean 'minimum'?"),
    ('[gates."loss.reason"]\none_of = ["none"]', "loss gives nothing of that name"),
]


@pytest.mark.parametrize(("gate", "says"), MISSPELT)
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_misspelt_gate_is_told_before_the_checkpoint_is_looked_for(command, gate, says, folder, monkeypatch, capsys):
    (folder / "policy.toml").write_text(f'{gate}\nwhy = "w"\n')
    (folder / "model.safetensors").unlink()
    code, out, err = outcome([command, "model.safetensors", "--policy", "policy.toml"], monkeypatch, capsys)
    assert code == 2
    assert says in out + err
    assert command == "doctor" or "no such file" not in err


@pytest.mark.parametrize("command", [["run"], ["run", "--against", "model.safetensors"]])
@pytest.mark.parametrize(
    ("required", "says"),
    [
        ("n_samples = 41", "require.n_samples: the policy requires at least 41 examples; found: 40."),
        (f'data = "{"0" * 64}"', f"require.data: the policy requires the sample {'0' * 64}; found: "),
    ],
)
def test_a_sample_that_the_policy_does_not_take_is_told_before_anything_is_measured(
    command, required, says, folder, monkeypatch, capsys
):
    (folder / "policy.toml").write_text(f"[require]\n{required}\n")
    monkeypatch.setattr("landscape_audit.measure.forecast", lambda *_: pytest.fail("measured"))
    arguments = [*command, "--policy", "policy.toml", "--quiet", "model.safetensors"]
    code, out, err = outcome(arguments, monkeypatch, capsys)
    assert_one_message(code, 2, says, out, err)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["observe", "recommended", "strict"])
def test_a_built_in_policy_is_named_like_a_file(name, monkeypatch, capsys):
    _, out, _ = outcome(["doctor", "model.safetensors", "--policy", name], monkeypatch, capsys)
    assert "✓ gates" in out


def a_plan() -> Plan:
    probes = (
        PlannedProbe("first_probe", Cost(gradients=10), ("loss",)),
        PlannedProbe("second_probe", Cost(hvps=10), ("trace",)),
    )
    return Plan(
        probes,
        parameters=1000,
        n_samples=50,
        gradient_seconds=2.0,
        forward_gradients=0.25,
        hvp_gradients=2.0,
        memory_bytes=3 * 2**20,
    )


def test_a_forecast_is_one_sentence():
    assert forecast(a_plan()) == (
        "Auditing 1,000 parameters on 50 examples: about 30 gradients of the whole sample, 60 s, 3 MiB."
    )


def test_without_a_terminal_progress_is_a_line_a_probe_with_the_share_done(capsys):
    lines = Lines()
    lines.planned(a_plan())
    lines.started("first_probe")
    lines.spent(Cost(gradients=15))
    lines.started("second_probe")
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 3
    assert shown[1] == "    0 %  first probe"
    assert shown[2].startswith("   50 %  second probe, about ")


def test_progress_tells_a_probe_in_words_that_need_no_glossary(capsys):
    lines = Lines()
    lines.planned(a_plan())
    lines.started("in_double")
    assert capsys.readouterr().err.endswith("  0 %  again in float64, where that decides\n")


@pytest.mark.parametrize(
    ("value", "said"), [(0.34, "0.3 s"), (34.0, "34 s"), (90.0, "90 s"), (600.0, "10 min"), (7200.0, "2.0 h")]
)
def test_durations_are_said_as_people_say_them(value, said):
    assert seconds(value) == said
