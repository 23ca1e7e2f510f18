"""`--format` on `run` and on `gate`, as a CI job would use it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_one_message, outcome
from junitparser import JUnitXml
from results_factory import an_audit

from landscape_audit.cli.outputs import clear
from landscape_audit.errors import OutputError
from landscape_audit.formats import FILES, FORMATS

ROOT = Path(__file__).parents[2]
FAILING = '[gates."sharpness.lambda_max"]\nat_most = 20\nwhy = "w"\n'
ALL = [argument for name in FORMATS for argument in ("--format", name)]


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A folder with results and two policies, outside of any job."""
    monkeypatch.chdir(tmp_path)
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(variable, raising=False)
    Path("out").mkdir()
    Path("out/results.json").write_text(an_audit().to_json())
    Path("failing.toml").write_text(FAILING)
    Path("wrong.toml").write_text(FAILING.replace("lambda_max", "lambda_mix"))
    return tmp_path


def gate(monkeypatch, capsys, *arguments):
    return outcome(["gate", "out", *arguments], monkeypatch, capsys)


@pytest.mark.usefixtures("folder")
def test_a_run_writes_every_format_into_its_folder_and_the_next_one_takes_them_away(monkeypatch, capsys):
    quick = ["run", "model.safetensors", "--no-pdf", "--only", "loss", "--out", "out"]
    code, out, err = outcome([*quick, *ALL], monkeypatch, capsys)
    assert (code, out) == (0, ""), err
    assert {path.name for path in Path("out").iterdir()} == {"results.json", "report.html", "summary.md", *FILES}
    assert f"Written: {Path('out/junit.xml')}, " in err
    outcome([*quick, "-q"], monkeypatch, capsys)
    assert {path.name for path in Path("out").iterdir()} == {"results.json", "report.html", "summary.md"}


@pytest.mark.usefixtures("stored")
def test_a_gate_writes_beside_the_results_before_it_exits_with_the_verdicts_code(monkeypatch, capsys):
    code, out, err = gate(monkeypatch, capsys, "--policy", "failing.toml", *ALL)
    assert code == 1, err
    assert out.startswith("::error title=sharpness.lambda_max failed,file=failing.toml,line=1::")
    assert {path.name for path in Path("out").iterdir()} == {"results.json", *FILES}
    assert JUnitXml.fromstring(Path("out/junit.xml").read_bytes()).failures == 1
    assert json.loads(Path("out/audit.sarif").read_text())["runs"][0]["invocations"][0]["exitCode"] == 1


@pytest.mark.usefixtures("stored")
def test_a_gate_writes_elsewhere_where_asked_and_nothing_but_what_was_asked(monkeypatch, capsys):
    arguments = ("--out", "new/place", "--format", "badge", "--format", "badge", "--quiet")
    code, out, err = gate(monkeypatch, capsys, *arguments)
    assert (code, out, len(err.splitlines())) == (0, "", 1)
    assert [path.name for path in Path("new/place").iterdir()] == ["badge.json"]
    assert [path.name for path in Path("out").iterdir()] == ["results.json"]


@pytest.mark.usefixtures("stored")
def test_without_formats_nothing_is_written(monkeypatch, capsys):
    gate(monkeypatch, capsys, "--policy", "failing.toml", "--out", "new")
    assert not Path("new").exists()


@pytest.mark.usefixtures("stored")
def test_a_mistake_in_the_policy_writes_nothing(monkeypatch, capsys):
    code, out, err = gate(monkeypatch, capsys, "--policy", "wrong.toml", "--out", "new", *ALL)
    assert_one_message(code, 2, "this audit has nothing of that name", out, err)
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--format", "junt"], "--format junt: no such format.\n  Did you mean 'junit'?"),
        (["--format", "x\x1b[31m"], "--format x\\x1b[31m: no such format."),
        (["--json", "--format", "github"], "--json and --format github: both want stdout."),
    ],
)
@pytest.mark.parametrize("command", [["gate", "out"], ["run", "none.safetensors"]])
@pytest.mark.usefixtures("stored")
def test_a_format_that_cannot_be_is_told_before_anything_else(command, arguments, wanted, monkeypatch, capsys):
    code, out, err = outcome([*command, *arguments], monkeypatch, capsys)
    assert_one_message(code, 2, wanted, out, err)


@pytest.mark.usefixtures("stored")
def test_other_formats_leave_stdout_to_json(monkeypatch, capsys):
    code, out, _ = gate(monkeypatch, capsys, "--json", "--format", "junit")
    assert (code, json.loads(out)["verdict"]["word"]) == (0, "OBSERVED")
    assert Path("out/junit.xml").exists()


def test_a_job_gets_outputs_and_a_summary_and_what_cannot_be_written_changes_no_code(stored, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_OUTPUT", str(stored / "outputs"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(stored / "none" / "summary"))
    code, out, err = gate(monkeypatch, capsys, "--policy", "failing.toml", "--format", "github")
    assert code == 1
    assert out.count("::error ") == 1
    assert "landscape-audit: $GITHUB_STEP_SUMMARY" in err
    assert re.search(r"^exit-code<<(end-\w+)\n1\n\1$", (stored / "outputs").read_text(), re.MULTILINE)
    assert err.splitlines()[-1].startswith("landscape-audit: FAIL  ")


@pytest.mark.usefixtures("stored")
def test_what_another_program_wrote_is_not_replaced(monkeypatch, capsys):
    Path("out/junit.xml").write_text("<testsuites/>")
    code, out, err = gate(monkeypatch, capsys, "--format", "junit")
    assert_one_message(code, 2, "junit.xml: is in the way: no audit wrote it", out, err)
    assert Path("out/junit.xml").read_text() == "<testsuites/>"


@pytest.mark.parametrize("stranger", ["<testsuites/>", None])
@pytest.mark.usefixtures("stored")
def test_a_new_audit_takes_its_own_files_away_and_leaves_another_programs(stranger, monkeypatch, capsys):
    gate(monkeypatch, capsys, *ALL)
    own = set(FILES)
    if stranger is not None:
        Path("out/junit.xml").write_text(stranger)
        own -= {"junit.xml"}
        with pytest.raises(OutputError, match="no audit wrote it"):
            clear(Path("out"), ["junit.xml"])
        assert {path.name for path in Path("out").iterdir()} == {"results.json", *FILES}
    clear(Path("out"), ["badge.json"])
    assert {path.name for path in Path("out").iterdir()} == set(FILES) - own


def test_a_format_loads_only_what_it_is_written_with(stored):
    script = """
import sys
from landscape_audit.cli.main import main
sys.argv = ["landscape-audit", "gate", "out", *sys.argv[1:]]
try:
    main()
except SystemExit:
    print(sorted({"junitparser", "prometheus_client", "matplotlib", "numpy", "torch"} & {*sys.modules}))
"""

    def loaded(*arguments):
        known = {**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(stored / "summary")}
        command = [sys.executable, "-c", script, *arguments]
        found = subprocess.run(command, cwd=stored, env=known, capture_output=True, text=True, check=True)
        return found.stdout.splitlines()[-1]

    assert loaded("--format", "github", "--format", "sarif", "--format", "gitlab", "--format", "badge") == "[]"
    assert loaded("--format", "junit", "--format", "openmetrics") == "['junitparser', 'prometheus_client']"


@pytest.mark.usefixtures("stored")
def test_annotations_are_utf_8_whatever_the_locale():
    Path("failing.toml").write_text(FAILING.replace('"w"', '"λ ≤ 2/η"'), encoding="utf-8")
    command = [sys.executable, "-m", "landscape_audit", "gate", "out", "--policy", "failing.toml", "--format", "github"]
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"}
    found = subprocess.run(command, env=known, capture_output=True, check=False)
    assert found.returncode == 1, found.stderr
    assert "Why: λ ≤ 2/η\n" in found.stdout.decode()


@pytest.mark.parametrize(
    ("name", "library", "remedy"),
    [
        ("cyclonedx", "cyclonedx.output.json", "pip install '.[bom]'"),
        ("junit", "junitparser", "pip install junitparser"),
        ("openmetrics", "prometheus_client", "pip install prometheus-client"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_format_whose_library_is_missing_is_refused_before_anything_is_measured(
    name, library, remedy, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, library, None)  # what makes importing it an ImportError
    arguments = ["run", "model.safetensors", "--out", "out", "--format", name]
    code, out, err = outcome(arguments, monkeypatch, capsys)
    assert_one_message(code, 2, f"--format {name}: ", out, err)
    assert remedy in err
    assert not Path("out").exists()
