"""A machine of continuous integration to run scripts on: programs on PATH that write down how they were called."""

from __future__ import annotations

import itertools
import shlex
import sys
from pathlib import Path

_RECORD = """#!/bin/bash
set -eu
here={here}
printf '%s\\0' {name} "$#" "$@" >> "$here/calls"
"""
_AUDIT = """
for each in "$@"; do case "$each" in --out=*) out=${each#--out=};; esac; done
case "$AUDIT_EXITS" in 0) word=PASS;; 1) word=FAIL;; 3) word=UNDECIDED;; *) word=ERROR;; esac
if [ "$1" = run ] && [ "$AUDIT_EXITS" != 2 ] && [ "$AUDIT_EXITS" != 4 ]; then # then there are results
  mkdir -p -- "$out"
  touch -- "$out/report.html"
  if [ -n "${GITHUB_STEP_SUMMARY-}" ]; then echo "the audit's own summary" >> "$GITHUB_STEP_SUMMARY"; fi
  if [ -n "${GITHUB_OUTPUT-}" ]; then
    printf '%s<<END\\n%s\\nEND\\n' verdict "$word" exit-code "$AUDIT_EXITS" report "$out/report.html" \\
      passed 3 failed 1 undecided 2 >> "$GITHUB_OUTPUT"
  fi
else
  printf '%s\n' 'note: a word before' 'landscape-audit: error: `<b>**x**</b>: no such file.' '  Name another.' >&2
fi
exit "$AUDIT_EXITS"
"""
_PYTHON = """
case "$*" in
  *" install "*" torch"*) rm -f "$here/no-torch";;
  *" install "*) ;;
  *" cache dir") echo "$here/pip";;
  *'version("torch")'*) test ! -e "$here/no-torch"; echo torch==2.13.0+cpu;;
  *"import weasyprint") test ! -e "$here/no-pango";;
  --version) echo Python 3.12.0;;
  *) echo "python3 $*: what is that?" >&2; exit 9;;
esac
"""
_REAL_PYTHON = """
PYTHONPATH="$here/lib" exec {python} -S "$@"
"""
_LIBRARY = {
    "pip/__main__.py": "print('no network here')",
    "weasyprint.py": "",
    "torch-2.5.1.dist-info/METADATA": "Name: torch\nVersion: 2.5.1\n",
}
_APT = """
case "$*" in *install*libpango*) if [ -e "$here/apt-has-pango" ]; then rm "$here/no-pango"; fi;; esac
"""


class Machine:
    """Programs in `folder`: `landscape-audit`, `python3` (pip installs nothing), `apt-get` and `sudo`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        programs = {"landscape-audit": _AUDIT, "python3": _PYTHON, "apt-get": _APT, "sudo": 'shift; exec "$@"'}
        for name, does in programs.items():
            self._program(name, does)

    def environment(self, *, audit_exits: int = 0) -> dict[str, str]:
        """For a process that finds these programs first."""
        path = f"{self.folder / 'bin'}:/usr/bin:/bin"
        return {"PATH": path, "HOME": str(self.folder), "AUDIT_EXITS": str(audit_exits)}

    def lacks(self, what: str) -> None:
        """Whether `torch` or `pango` is missing until it is installed."""
        (self.folder / f"no-{what}").touch()

    def has_real_python(self) -> None:
        """From now on `python3` is the one that runs the tests, with nothing installed but what stands for packages."""
        self._program("python3", _REAL_PYTHON.format(python=shlex.quote(sys.executable)))
        for name, text in _LIBRARY.items():
            (self.folder / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "lib" / name).write_text(text)

    def has_the_real_program(self, root: Path) -> None:
        """From now on `landscape-audit` is the one in the checkout at `root`."""
        python, path = shlex.quote(sys.executable), shlex.quote(str(root))
        self._program(
            "landscape-audit", f'PYTHONPATH={path} OMP_NUM_THREADS=1 exec {python} -P -m landscape_audit "$@"'
        )

    def calls(self, name: str) -> list[list[str]]:
        """The arguments of every call of a program, in order."""
        recorded = self.folder / "calls"
        words = iter(recorded.read_text().split("\0")[:-1] if recorded.exists() else ())
        calls = [(called, list(itertools.islice(words, int(next(words))))) for called in words]
        return [argv for called, argv in calls if called == name]

    def _program(self, name: str, does: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(_RECORD.format(name=name, here=shlex.quote(str(self.folder))) + does)
        path.chmod(0o755)
