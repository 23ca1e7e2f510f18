"""The snippets of ci/README.md, and the files that machines of continuous integration read, are what they should be."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import gitlab_runner
import pytest
import yaml
from ci_machine import Machine

ROOT = Path(__file__).parents[2]
README = (ROOT / "ci/README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
WORKFLOWS = [each for each in SNIPPETS if "\njobs:" in each]
PIPELINES = [each for each in SNIPPETS if each.startswith("include:")]
(HOOKS,) = (each for each in SNIPPETS if each.startswith("repos:"))
ACTION = yaml.safe_load((ROOT / "ci/github/action.yml").read_text())
TEMPLATE = ROOT / "ci/gitlab/landscape-audit.yml"
FILES = [path for path in (ROOT / "ci").rglob("*") if path.is_file()]
PROGRAMS = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin"
SHELLCHECK = shutil.which("shellcheck", path=PROGRAMS) or "shellcheck"
ACTIONLINT = shutil.which("actionlint", path=PROGRAMS)
SCRIPTS = [path for path in FILES if path.read_bytes().startswith(b"#!/usr/bin/env bash")]


def valid(schema, *files, transform=()):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *transform, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def written(folder, texts):
    for number, text in enumerate(texts):
        (folder / f"{number}.yml").write_text(text)
    return sorted(folder.glob("*.yml"))


def test_every_snippet_is_tested_here():
    assert len(SNIPPETS) == len(WORKFLOWS) + len(PIPELINES) + 1
    assert len(WORKFLOWS) == 3
    assert len(PIPELINES) == 2


def test_the_action_is_one_by_githubs_schema():
    valid("github-actions", ROOT / "ci/github/action.yml")


def test_the_workflows_are_some_by_githubs_schema(tmp_path):
    valid("github-workflows", *written(tmp_path, WORKFLOWS))


@pytest.mark.skipif(not ACTIONLINT, reason="actionlint is on PyPI only as what downloads it from elsewhere")
def test_the_workflows_and_the_actions_steps_pass_actionlint(tmp_path):
    inputs = {name: {"type": "string"} for name in ACTION["inputs"]}
    job = {"runs-on": "ubuntu-latest", "steps": ACTION["runs"]["steps"]}  # actionlint reads workflows alone
    as_workflow = {"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": job}}
    files = written(tmp_path, [*WORKFLOWS, yaml.safe_dump(as_workflow)])
    subprocess.run([ACTIONLINT, "-shellcheck=", "-pyflakes=", *files], check=True)


def test_the_template_and_the_pipelines_are_some_by_gitlabs_schema(tmp_path):
    valid("gitlab-ci", TEMPLATE, *written(tmp_path, PIPELINES), transform=("--data-transform", "gitlab-ci"))


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_asks_the_action_for_what_it_has(workflow):
    (used,) = (step for step in steps(workflow) if step.get("uses", "").startswith("OWNER/landscape-audit/ci/github@"))
    needed = {name for name, about in ACTION["inputs"].items() if about.get("required")}
    assert needed <= set(used["with"]) <= set(ACTION["inputs"])


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_gives_a_stranger_nothing(workflow):
    described = yaml.safe_load(workflow)
    assert described[True] == "pull_request"  # YAML reads the word `on` as true
    assert described["permissions"]["contents"] == "read"
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert not any(step["with"]["persist-credentials"] for step in checkouts)
    assert "secrets." not in workflow
    assert not [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


def steps(workflow):
    return [step for job in yaml.safe_load(workflow)["jobs"].values() for step in job["steps"]]


def test_the_readmes_steps_ask_the_action_for_what_it_has():
    (snippet,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (checkout, used) = yaml.safe_load(snippet)
    uses = [step["uses"] for step in steps(WORKFLOWS[0])]
    assert [checkout["uses"], used["uses"]] == uses
    assert set(used["with"]) <= set(ACTION["inputs"])


def test_every_input_and_output_of_the_action_is_told():
    told = set(re.findall(r"`([\w-]+)`", README))
    assert set(ACTION["inputs"]) | set(ACTION["outputs"]) <= told


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_runs_the_template_with_its_own_variables(pipeline, tmp_path):
    described = yaml.safe_load(pipeline)
    (included,) = described["include"]
    assert ROOT / included["file"] == TEMPLATE
    ((name, template),) = yaml.safe_load(TEMPLATE.read_text()).items()
    theirs = described[name]
    assert set(theirs["variables"]) <= set(template["variables"])
    job = {**template, **theirs, "variables": {**template["variables"], **theirs["variables"]}}  # as `include` merges
    machine = Machine(tmp_path / "machine")
    assert gitlab_runner.run(job, tmp_path / "workspace", machine, audit_exits=1) == 1
    given = {value for name, value in theirs["variables"].items() if name != "AUDIT_INSTALL"}
    assert given <= {each.rpartition("=")[2] for each in machine.calls("landscape-audit")[0]}


def test_the_container_is_built_with_arguments_that_it_has():
    used = set(re.findall(r"--build-arg (\w+)=", README))
    assert used <= set(re.findall(r"^ARG (\w+)=", (ROOT / "ci/Containerfile").read_text(), re.MULTILINE))
    assert used == {"BASE", "EXTRAS", "TORCH_INDEX"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_scripts_pass_shellcheck(script):
    subprocess.run([SHELLCHECK, script], check=True)


def test_the_templates_script_passes_shellcheck_for_any_shell():
    job = yaml.safe_load(TEMPLATE.read_text())["landscape-audit"]
    script = "\n".join([*(f"{name}=x" for name in job["variables"]), *job["before_script"], *job["script"]])
    # SC2034: PIP_CACHE_DIR is for pip alone.
    subprocess.run([SHELLCHECK, "--shell=sh", "--exclude=SC2034", "-"], input=script, text=True, check=True)


@pytest.fixture
def hooked(tmp_path):
    """A repository with the hooks of the snippet, and a `landscape-audit` that writes down how it is called."""
    machine = Machine(tmp_path / "machine")
    environment = {**machine.environment(), "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for name in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{name}_NAME": "a test", f"GIT_{name}_EMAIL": "test@example.com"}

    def call(folder, *argv):
        return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    def repository(name, **files):
        folder = tmp_path / name
        folder.mkdir()
        call(folder, "git", "init", "--quiet")
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        call(folder, "git", "add", "--all")
        assert call(folder, "git", "commit", "--quiet", "--message", "all of it").returncode == 0
        return folder

    ours = repository("ours", **{".pre-commit-hooks.yaml": (ROOT / ".pre-commit-hooks.yaml").read_text()})
    call(ours, "git", "tag", "v0.1.0")
    config = HOOKS.replace("https://github.com/OWNER/landscape-audit", str(ours))
    names = ("audit.toml", "models/strict-policy.toml", "pyproject.toml", "results.json", "README.md", "model.py")
    theirs = repository("theirs", **dict.fromkeys(names, ""), **{".pre-commit-config.yaml": config})

    def run(code):
        environment["AUDIT_EXITS"] = str(code)
        return call(theirs, sys.executable, "-m", "pre_commit", "run", "--all-files"), machine.calls("landscape-audit")

    return run


def test_the_hooks_look_at_policies_and_at_the_card(hooked):
    done, calls = hooked(0)
    assert done.returncode == 0, done.stdout + done.stderr
    (policies, card) = sorted(calls, reverse=True)
    assert [policies[0], *sorted(policies[1:])] == ["policy", "audit.toml", "models/strict-policy.toml"]
    assert card == ["card", "--check", "results.json", "README.md"]


def test_a_stale_card_stops_the_commit(hooked):
    assert hooked(1)[0].returncode == 1


def test_the_manifest_of_the_hooks_is_one():
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml"]
    subprocess.run(command, check=True)
