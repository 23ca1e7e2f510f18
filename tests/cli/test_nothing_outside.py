"""No command opens a connection, or writes anywhere but into the output folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import fill

ROOT = Path(__file__).parents[2]
WATCH = """
import json, os, sys

def refuse(event, args):
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}:
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(json.dumps([event, repr(args)]) + "\\n")
        raise OSError("no network here")

sys.addaudithook(refuse)
for line in sys.stdin:
    sys.argv = ["landscape-audit", *json.loads(line)]
    try:
        from landscape_audit.cli.main import main  # not before: importing is watched too
        main()
    except SystemExit as ended:
        os.write(int(os.environ["ENDED"]), f"{ended.code}\\n".encode())
"""
AUDIT = ["run", "model.safetensors", "--only", "loss", "--only", "surface", "--preset", "quick", "--out", "OUT"]
COMMANDS = [
    (["doctor", "model.safetensors"], 0),
    (AUDIT, 0),
    (["plan", "model.safetensors"], 0),
    (["checks", "sharpness"], 0),
    (["schema", "config"], 0),
    (["gate", "OUT/results.json"], 0),
    (["calibrate", "model.safetensors", "-n", "5", "--only", "loss", "--preset", "quick", "--out", "OUT"], 0),
    (["report", "OUT/results.json", "--out", "OUT"], 0),
    (["card", "OUT/results.json", "OUT/README.md"], 0),
    (["--version"], 0),
]


def everything_under(*folders: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file, by path; folders too."""
    found = {}
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            state = path.lstat()
            found[str(path)] = (0, 0) if path.is_dir() else (state.st_size, state.st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A project, with home, caches and temporary files in folders of their own."""
    base = tmp_path_factory.mktemp("sandbox")
    places = {name: base / name for name in ("project", "home", "cache", "tmp", "config")}
    for place in places.values():
        place.mkdir()
    before = Path.cwd()
    os.chdir(places["project"])
    fill(places["project"])
    os.chdir(before)
    return base, places


def environment(base, places):
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "",  # its own bytecode is its installation's matter; the user's is looked at
        "PYTHONPYCACHEPREFIX": "",
        "OMP_NUM_THREADS": "1",
        "HOME": str(places["home"]),
        "XDG_CACHE_HOME": str(places["cache"]),
        "XDG_CONFIG_HOME": str(places["config"]),
        "TMPDIR": str(places["tmp"]),
        "CONNECTIONS": str(base / "connections"),
    }


@pytest.fixture(scope="module")
def watched(sandbox):
    """Runs a command in one watched process, which imports everything once; its exit code and what it said."""
    base, places = sandbox
    reading, writing = os.pipe()
    with (base / "said").open("w") as said, os.fdopen(reading) as ended:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCH],
            cwd=places["project"],
            env={**environment(base, places), "ENDED": str(writing)},
            pass_fds=[writing],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            text=True,
        )
        os.close(writing)

        def run(arguments):
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            return ended.readline().strip(), (base / "said").read_text()

        before = everything_under(*places.values())
        run([each.replace("OUT", str(base / "out")) for each in AUDIT])  # which others read, in whatever order
        assert everything_under(*places.values()) == before
        yield run
        process.communicate(timeout=30)


@pytest.mark.parametrize(("arguments", "code"), COMMANDS, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_command_connects_to_nothing_and_writes_only_into_its_folder(sandbox, watched, arguments, code):
    base, places = sandbox
    before = everything_under(*places.values())
    ended, said = watched([each.replace("OUT", str(base / "out")) for each in arguments])
    assert ended == str(code), said
    assert not (base / "connections").exists(), (base / "connections").read_text()
    assert everything_under(*places.values()) == before


def test_the_watch_sees_a_connection(sandbox, watched):
    base, places = sandbox
    (places["project"] / "dials.py").write_text(
        "import socket\ndef f():\n    socket.create_connection(('127.0.0.1', 9))\n"
    )
    ended, said = watched(
        ["run", "model.safetensors", "--no-pdf", "--model", "dials.py:f", "--out", str(base / "other")]
    )
    (places["project"] / "dials.py").unlink()
    assert ended == "4"
    assert "no network here" in said
    assert "socket." in json.loads((base / "connections").read_text().splitlines()[0])[0]
    (base / "connections").unlink()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_an_audit_runs_where_there_is_no_network_at_all(sandbox):
    base, places = sandbox
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no network namespaces")
    arguments = ["run", "model.safetensors", "--only", "loss", "--no-pdf", "--out", str(base / "alone")]
    done = subprocess.run(
        [*alone, sys.executable, "-m", "landscape_audit", *arguments],
        cwd=places["project"],
        env=environment(base, places),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
