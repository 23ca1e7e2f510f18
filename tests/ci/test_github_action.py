"""The GitHub action: its steps, read from action.yml and run as a runner does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ci_machine import Machine
from github_runner import Job

ACTION = Path(__file__).parents[2] / "ci/github/action.yml"
STEPS = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
HOSTILE = "$(touch pwned) `touch pwned`; touch pwned & \"'\n|${{ inputs.args }} --help.safetensors"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


@pytest.fixture
def job(tmp_path, machine):
    def start(audit_exits=0):
        for folder in ("workspace", "temp"):
            (tmp_path / folder).mkdir()
        return Job(ACTION, tmp_path / "workspace", tmp_path / "temp", machine.environment(audit_exits=audit_exits))

    return start


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 130, 143])
def test_the_report_is_kept_and_then_the_job_ends_with_the_audits_code(job, code):
    done = job(code).run(checkpoint="model.safetensors")
    assert done.step("Audit the checkpoint").outcome == "success"
    assert done.step("Keep the report").given["path"] == "landscape-audit"
    assert done.step("Gate").code == done.code == code
    names = [step.name for step in done.steps]
    assert names.index("Keep the report") < names.index("Gate") == len(names) - 1


@pytest.mark.parametrize(("code", "verdict"), [(0, "PASS"), (1, "FAIL"), (3, "UNDECIDED"), (5, "ERROR")])
def test_the_outputs_are_those_of_the_audit(job, code, verdict):
    assert job(code).run(checkpoint="model.safetensors", out="audit").outputs == {
        "verdict": verdict,
        "exit-code": str(code),
        "report": "audit/report.html",
        "passed": "3",
        "failed": "1",
        "undecided": "2",
    }


@pytest.mark.parametrize("code", [2, 4])
def test_without_results_the_verdict_is_an_error_and_there_is_no_report(job, code):
    done = job(code).run(checkpoint="model.safetensors")
    told = {name: value for name, value in done.outputs.items() if value}
    assert told == {"verdict": "ERROR", "exit-code": str(code)}


@pytest.mark.parametrize("code", [2, 4])
def test_without_results_the_job_is_red_and_its_summary_says_why_word_by_word(job, code):
    done = job(code).run(checkpoint="model.safetensors")
    assert done.code == code
    why = "landscape-audit: error: `<b>**x**</b>: no such file."
    assert done.summary == f"**landscape-audit: ERROR**, there is no verdict (exit {code}).\n\n    {why}\n"
    assert why in done.log
    assert "Name another." in done.log


@pytest.mark.parametrize("code", [0, 1, 3, 5])
def test_the_summary_is_the_audits_own_where_there_are_results(job, code):
    assert job(code).run(checkpoint="model.safetensors").summary == "the audit's own summary\n"


def test_nothing_is_kept_where_that_is_not_wanted(job):
    done = job(1).run(checkpoint="model.safetensors", upload="false")
    assert done.step("Keep the report").outcome == "skipped"
    assert done.code == 1


def test_the_audit_gets_the_inputs_that_were_given_and_no_others(job, machine):
    job().run(checkpoint="model.safetensors")
    formats = ["--format=junit", "--format=sarif", "--format=github"]
    assert machine.calls("landscape-audit") == [["run", "--out=landscape-audit", *formats, "--", "model.safetensors"]]


def test_names_with_blanks_and_commands_reach_the_audit_as_they_are(job, machine, tmp_path):
    named = dict.fromkeys(("config", "policy", "baseline", "preset", "out"), HOSTILE)
    done = job().run(checkpoint=f"--{HOSTILE}", args="--n-samples=20\n\n--only\n  $(touch pwned) *\n", **named)
    (argv,) = machine.calls("landscape-audit")
    assert [each for each in argv if not each.startswith("--format=")] == [
        "run",
        f"--out={HOSTILE}",
        *(f"--{name}={HOSTILE}" for name in ("config", "policy", "baseline", "preset")),
        *("--n-samples=20", "--only", "  $(touch pwned) *"),
        *("--", f"--{HOSTILE}"),
    ]
    assert done.step("Keep the report").given["path"] == HOSTILE
    assert not list(tmp_path.rglob("pwned"))


def test_no_script_has_an_expression_in_it():
    assert not [step["name"] for step in STEPS if "${{" in step.get("run", "")]


def test_every_input_is_used():
    described = yaml.safe_load(ACTION.read_text())
    used = set(re.findall(r"inputs\.([\w-]+)", yaml.safe_dump(described["runs"])))
    assert used == set(described["inputs"])


def pip(machine):
    return [argv[argv.index("pip") + 1 :] for argv in machine.calls("python3") if "pip" in argv and "install" in argv]


def test_pytorch_for_the_cpu_is_installed_where_there_is_none(job, machine):
    machine.lacks("torch")
    job().run(checkpoint="model.safetensors")
    torch, ours = pip(machine)
    assert torch[-4:] == ["--index-url", "https://download.pytorch.org/whl/cpu", "torch", "torchvision"]
    assert "torch" not in ours


def test_pytorch_that_is_there_is_neither_installed_again_nor_replaced(job, machine, tmp_path):
    job().run(checkpoint="model.safetensors", extras="timm,peft")
    (ours,) = pip(machine)
    constraints = Path(ours[ours.index("--constraint") + 1])
    assert constraints.read_text() == "torch==2.13.0+cpu\n"
    assert constraints.is_relative_to(tmp_path / "temp")
    assert ours[-1] == f"{ACTION.parent}/../..[timm,peft]"
    assert (ACTION.parent / "../../pyproject.toml").is_file()


def test_what_is_installed_can_be_said(job, machine):
    job().run(checkpoint="model.safetensors", install=HOSTILE)
    assert pip(machine)[0][-1] == HOSTILE


def test_a_module_of_the_checkout_is_not_imported_in_place_of_pip(job, machine, tmp_path):
    machine.has_real_python()
    started = job()
    for name in ("pip", "email", "importlib", "weasyprint"):
        (started.workspace / f"{name}.py").write_text("open('pwned', 'w').close()")
    assert started.run(checkpoint="model.safetensors").code == 0
    assert next((tmp_path / "temp").glob("*.txt")).read_text() == "torch==2.5.1\n"
    assert not list(tmp_path.rglob("pwned"))


def test_pango_is_installed_where_it_is_missing(job, machine):
    machine.lacks("pango")
    (machine.folder / "apt-has-pango").touch()
    job().run(checkpoint="model.safetensors")
    assert "--no-pdf" not in machine.calls("landscape-audit")[0]


def test_without_pango_there_is_a_warning_in_place_of_the_pdf(job, machine):
    machine.lacks("pango")
    done = job().run(checkpoint="model.safetensors")
    assert "--no-pdf" in machine.calls("landscape-audit")[0]
    assert "::warning title=landscape-audit::Pango is missing" in done.log
    assert done.code == 0


def test_without_an_installation_nothing_is_audited_kept_or_passed(job, machine):
    (machine.folder / "no-torch").mkdir()  # it is missing, and what installs it fails
    done = job().run(checkpoint="model.safetensors")
    assert done.code != 0
    assert machine.calls("landscape-audit") == []
    assert [done.step(name).outcome for name in ("Keep the report", "Gate")] == ["skipped", "skipped"]


@pytest.mark.parametrize(("version", "outcome"), [("3.13", "success"), ("none", "skipped")])
def test_python_is_set_up_unless_the_one_that_is_there_is_wanted(job, version, outcome):
    done = job().run(checkpoint="model.safetensors", python_version=version)
    assert done.step("Set up Python").outcome == outcome


def test_the_cache_is_another_for_another_installation(job, tmp_path, machine):
    first = job().run(checkpoint="m").step("Restore pip's cache").given
    other = Job(ACTION, tmp_path / "workspace", tmp_path / "temp/2", machine.environment())
    (tmp_path / "temp/2").mkdir()
    second = other.run(checkpoint="m", extras="timm").step("Restore pip's cache").given
    assert first["path"] == second["path"]
    assert re.fullmatch(r"landscape-audit-Linux-X64-[0-9a-f]{64}", first["key"])
    assert first["key"] != second["key"]
