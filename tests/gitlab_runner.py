"""A job of GitLab run as its runner does: the lines of `before_script` and `script` as one script, in bash or sh."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from ci_machine import Machine


def run(
    job: Mapping, workspace: Path, machine: Machine, *, shell: str = "bash", audit_exits: int = 0, **variables: str
) -> int:
    """The exit code. `variables` replace those of the job."""
    workspace.mkdir()
    script = "\n".join([*job["before_script"], *job["script"]])
    options = ["-eo", "pipefail"] if shell == "bash" else ["-e"]
    return subprocess.run(
        [f"/bin/{shell}", *options, "-c", script],
        cwd=workspace,
        env={**machine.environment(audit_exits=audit_exits), **job["variables"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).returncode
