"""What `landscape-audit run` takes beyond importing torch: the demo, one cheap check, no PDF."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 300  # seconds; a hang must not look like a slow machine


def overhead(rounds: int) -> dict[str, float]:
    """Median CPU seconds of both, interleaved, and what is between them."""
    with tempfile.TemporaryDirectory() as folder:
        tool = [sys.executable, "-m", "landscape_audit"]
        cpu_of([*tool, "demo", "demo"], folder)
        checkpoint = next(Path(folder, "demo").glob("*.safetensors"))
        policy = Path(folder, "policy.toml")
        policy.touch()  # the demo's own gates want checks that do not run here
        flags = ["--no-pdf", "--only", "loss", "--quiet", "--policy", str(policy), "--out", "audit"]
        audit = [*tool, "run", str(checkpoint), *flags]
        bare = [sys.executable, "-c", "import torch"]
        pairs = [(cpu_of(audit, folder), cpu_of(bare, folder)) for _ in range(rounds + 1)][1:]
    run, torch = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"run": run, "import torch": torch, "overhead": run - torch}


def cpu_of(command: list[str], folder: str) -> float:
    """CPU seconds of a command and its children. Exit codes up to 3 are verdicts, any other is a failure."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(  # noqa: S603 - the command is ours
        command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, env=os.environ, check=False
    )
    if done.returncode not in {0, 1, 3}:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
