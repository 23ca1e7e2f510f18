"""Runs of the command line in forks of one process that has imported torch already: a run more costs no start-up.

Started as a script of its own, as a process that has computed with torch cannot be forked safely.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


class Forks:
    """The process to fork from, in a folder."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(
        self, *arguments: str, signals: Sequence[tuple[float | str | dict[str, float], int]] = ()
    ) -> tuple[int, str, float]:
        """Exit code, stderr and CPU seconds of one run that gets signals.

        Each comes so many seconds after the one before, after a word on stderr, or once the run has taken so much CPU
        time (`{"cpu": 0.5}`), which is the same moment of it on a busy machine.
        """
        told = {"arguments": arguments, "signals": signals}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return tuple(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


def _serve() -> None:
    import landscape_audit.measure
    import landscape_audit.probes.encoding
    import landscape_audit.report.write

    landscape_audit.probes.encoding.types()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever started the tests may have it ignored, as nohup does
    for line in sys.stdin:
        told = json.loads(line)
        log = Path("stderr.txt")
        log.write_text("")
        child = os.fork()
        if not child:
            _be(told["arguments"], log)
        for when, number in told["signals"]:
            _wait(when, log, child)
            os.kill(child, number)
        _, status, used = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps([code, log.read_text(), used.ru_utime + used.ru_stime]) + "\n")
        sys.stdout.flush()


def _wait(when: float | str | dict[str, float], log: Path, child: int) -> None:
    if isinstance(when, dict):
        while _cpu_seconds(child) < when["cpu"]:
            time.sleep(0.001)
    elif isinstance(when, str):
        end = time.monotonic() + 30
        while when not in log.read_text() and time.monotonic() < end:
            time.sleep(0.001)
    else:
        time.sleep(when)


def _cpu_seconds(child: int) -> float:
    """What it has used; without end once it has ended."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    if fields[0] == "Z":
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _be(arguments: list[str], log: Path) -> None:
    from landscape_audit.__main__ import main

    handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["landscape-audit", *arguments]
    try:
        main()
    except SystemExit as ended:
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    os._exit(1)


if __name__ == "__main__":
    _serve()
