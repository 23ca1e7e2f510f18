"""A composite action run step by step as a GitHub runner does: expressions, environment, files for outputs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml


def _outputs(text: str) -> dict[str, str]:
    """`name=value` lines, and `name<<END` … `END` for what may have several; the last one of a name counts."""
    outputs, lines = {}, iter(text.splitlines())
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals:
            name, several, end = line.partition("<<")
            assert several, f"{line}: the runner would refuse this"
            value = "\n".join(iter(lines.__next__, end))
        outputs[name] = value
    return outputs


@dataclass
class Step:
    """What became of one step."""

    name: str
    outcome: str
    outputs: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    """What a step that `uses` another action gives to it."""
    code: int = 0


class Job:
    """One job with one action in it. `environment` is what the machine has: PATH, HOME."""

    def __init__(self, action: Path, workspace: Path, temp: Path, environment: Mapping[str, str]) -> None:
        self.action, self.workspace, self.temp, self.environment = action, workspace, temp, environment
        self.steps: list[Step] = []
        self.log = self.summary = ""
        self.failed = False
        self._context: dict[str, str] = {"runner.os": "Linux", "runner.arch": "X64"}

    def run(self, **inputs: str) -> Job:
        """All steps in the order of the file; what was not asked for is skipped, as it is after a failure."""
        described = yaml.safe_load(self.action.read_text())
        defaults = {name: str(about.get("default", "")) for name, about in described["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        missing = {name for name, about in described["inputs"].items() if about.get("required")} - set(given)
        assert not missing
        assert set(given) <= set(defaults)
        self._context |= {f"inputs.{name}": value for name, value in (defaults | given).items()}
        for number, step in enumerate(described["runs"]["steps"]):
            self._take(step, number)
        self.outputs = {name: self._text(about["value"]) for name, about in described["outputs"].items()}
        return self

    def step(self, name: str) -> Step:
        """The step of this name."""
        (found,) = (step for step in self.steps if step.name == name)
        return found

    @property
    def code(self) -> int:
        """The exit code of the first step that failed; 0 where none did."""
        return next((step.code for step in self.steps if step.code), 0)

    def _take(self, described: dict, number: int) -> None:
        step = Step(described["name"], "skipped")
        if self._wanted(described.get("if", "'true'")):
            step.outcome = "success"
            if "uses" in described:
                step.given = {name: self._text(str(value)) for name, value in described["with"].items()}
            else:
                self._shell(described, step, self.temp / f"step-{number}")
        self.failed |= step.outcome == "failure"
        self.steps.append(step)
        if "id" in described:
            self._context[f"steps.{described['id']}.outcome"] = step.outcome
            self._context |= {f"steps.{described['id']}.outputs.{key}": value for key, value in step.outputs.items()}

    def _shell(self, described: dict, step: Step, files: Path) -> None:
        assert described["shell"] == "bash"
        files.mkdir()
        script, output, summary = files / "script", files / "output", files / "summary"
        script.write_text(self._text(described["run"]))
        for each in (output, summary):
            each.touch()
        environment = {
            **self.environment,
            **{name: self._text(str(value)) for name, value in described.get("env", {}).items()},
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(self.action.parent),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_ENV": str(files / "env"),
            "RUNNER_TEMP": str(self.temp),
        }
        done = subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.workspace,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.log += done.stdout + done.stderr
        step.code, step.outcome = done.returncode, "failure" if done.returncode else "success"
        step.outputs = _outputs(output.read_text())
        self.summary += summary.read_text()

    def _text(self, text: str) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(self._value(found[1])), text)

    def _wanted(self, condition: str) -> bool:
        return bool(self._value(condition)) and ("always()" in condition or not self.failed)

    def _value(self, expression: str) -> str | bool:
        """Of as much of GitHub's language as the action speaks: values, == and != without case, &&, always()."""
        if "&&" in expression:
            return all(self._value(part) for part in expression.split("&&"))
        if compared := re.fullmatch(r"(.+?)(==|!=)(.+)", expression):
            left, right = (str(self._value(compared[each])).lower() for each in (1, 3))
            return (left == right) is (compared[2] == "==")
        word = expression.strip()
        if word == "always()":
            return True
        if quoted := re.fullmatch(r"'([^']*)'", word):
            return quoted[1]
        assert word in self._context or re.fullmatch(r"steps\.[\w-]+\.outputs\.[\w-]+", word), f"{word}: what is that?"
        return self._context.get(word, "")
