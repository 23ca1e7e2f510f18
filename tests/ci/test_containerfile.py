"""The Containerfile, read instruction by instruction; a test needs no registry to pull from."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "ci/Containerfile"
PROGRAMS = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin"
SHELLCHECK = shutil.which("shellcheck", path=PROGRAMS) or "shellcheck"
HADOLINT = shutil.which("hadolint", path=PROGRAMS)


def stages():
    """The instructions of each stage, with lines that go on joined: [(word, rest), …]."""
    lines = [line for line in CONTAINERFILE.read_text().splitlines() if not line.startswith("#")]
    instructions = [line.split(maxsplit=1) for line in "\n".join(lines).replace("\\\n", "").splitlines() if line]
    starts = [number for number, (word, _) in enumerate(instructions) if word == "FROM"]
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


BUILD, FINAL = stages()


def of(stage, word):
    return [rest for each, rest in stage if each == word]


def sources():
    """What of the checkout goes into the image's wheel."""
    return [source for rest in of(BUILD, "COPY") for source in rest.split()[:-1]]


def test_it_runs_as_a_user_without_rights_and_needs_no_shell_to_start():
    assert of(FINAL, "USER") == ["10001:10001"]
    assert json.loads(of(FINAL, "ENTRYPOINT")[0]) == ["landscape-audit"]
    words = [word for word, _ in FINAL]
    assert "RUN" not in words[words.index("USER") :]


def test_the_index_and_the_base_are_arguments():
    assert "ARG BASE=" in CONTAINERFILE.read_text().partition("FROM")[0]
    assert of(BUILD, "FROM") == ["${BASE} AS build"]
    assert of(FINAL, "FROM") == ["${BASE}"]
    assert "TORCH_INDEX=https://download.pytorch.org/whl/cpu" in of(BUILD, "ARG")


def test_no_cache_is_left_in_it():
    commands = [*of(BUILD, "RUN"), *of(FINAL, "RUN")]
    assert all("--no-cache-dir" in each for each in commands if "pip install" in each)
    assert all("rm -rf /var/lib/apt/lists/*" in each for each in commands if "apt-get" in each)
    assert [rest for rest in of(FINAL, "COPY") if not rest.startswith("--from=build /opt/landscape-audit ")] == []


def test_it_says_what_it_is():
    labels = of(FINAL, "LABEL")[0]
    assert set(re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)) == {"title", "description"}


def test_pytorch_is_the_version_that_the_tests_ran_with():
    pins = (ROOT / "ci/constraints.txt").read_text()
    assert "grep -E '^(torch|torchvision)==' ci/constraints.txt" in "".join(of(BUILD, "RUN"))
    assert len(re.findall(r"^(?:torch|torchvision)==", pins, re.MULTILINE)) == 2


def test_pango_is_the_one_that_setup_installs():
    wanted = set(re.search(r'install "PDF rendering" (.*)', (ROOT / "ci/setup").read_text())[1].split())
    assert wanted <= set("".join(of(FINAL, "RUN")).split())


def test_a_build_is_given_what_it_copies_and_nothing_else():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    assert admitted == set(sources())


def test_what_it_copies_is_enough_for_the_wheel(tmp_path):
    for source in sources():
        (tmp_path / "source" / source).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / "source" / source)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path / "source", check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert "landscape_audit/_data/templates/report.html.j2" in names
    tracked = {str(path.relative_to(ROOT)) for path in (ROOT / "landscape_audit").rglob("*.py")}
    assert tracked <= names


def test_its_commands_pass_shellcheck():
    for stage, shell in ((BUILD, "bash"), (FINAL, "sh")):
        script = "\n".join([*(f"{each.split('=')[0]}=x" for each in of(stage, "ARG")), *of(stage, "RUN")])
        subprocess.run([SHELLCHECK, f"--shell={shell}", "-"], input=script, text=True, check=True)


@pytest.mark.skipif(not HADOLINT, reason="hadolint is no need of the project's own environment: 55 MB")
def test_it_passes_hadolint():
    subprocess.run([HADOLINT, CONTAINERFILE], check=True)
