"""`init` writes an audit.toml with which `doctor` and `run` work as they are, or says what is missing from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import outcome
from safetensors.torch import save_file

import landscape_audit.demo

SIDES = ("inputs", "targets")
PROJECT = Path(landscape_audit.demo.__file__).parent / "project"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's project, untrained and on few made-up images: its files are what counts here."""
    folder = tmp_path_factory.mktemp("demo")
    for name in ("model.py", "data.py"):
        shutil.copy(PROJECT / name, folder)
    generator = np.random.default_rng(0)
    images, digits = generator.random((32, 1, 8, 8), np.float32), np.arange(32) % 10
    parts = {"train": (images, digits), "validation": (images, digits)}
    arrays = {f"{part}_{side}": value for part, pair in parts.items() for side, value in zip(SIDES, pair, strict=True)}
    np.savez(folder / "digits.npz", **arrays)
    space = {}
    exec((PROJECT / "model.py").read_text(), space)  # noqa: S102 - the project's own text
    torch.manual_seed(0)
    save_file(space["build"]().state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def in_demo(demo, monkeypatch):
    monkeypatch.chdir(demo)
    yield demo
    (demo / "audit.toml").unlink(missing_ok=True)


@pytest.mark.usefixtures("in_demo")
def test_what_init_writes_beside_the_demo_runs_as_it_is(monkeypatch, capsys):
    code, out, err = outcome(["init", "model.safetensors"], monkeypatch, capsys)
    assert code == 0, err
    assert out == ""
    assert err.splitlines()[-1] == "Next:  landscape-audit doctor --config audit.toml"
    code, out, err = outcome(["run", "--only", "loss", "--preset", "quick", "--no-pdf"], monkeypatch, capsys)
    assert code == 0, err
    assert Path("audit-model/results.json").is_file()


@pytest.mark.usefixtures("in_demo")
def test_paths_start_at_the_folder_that_the_file_is_written_to(tmp_path, monkeypatch, capsys):
    code, _, err = outcome(["init", "model.safetensors", "--out", str(tmp_path)], monkeypatch, capsys)
    assert code == 0, err
    config = tomllib.loads((tmp_path / "audit.toml").read_text())
    assert (tmp_path / config["checkpoint"]["path"]).samefile("model.safetensors")
    monkeypatch.chdir("/")
    code, out, _ = outcome(["doctor", "--config", str(tmp_path / "audit.toml")], monkeypatch, capsys)
    assert "✓ weights" in out
    assert "✓ gradient" in out


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_there_is_replaced_only_by_force(monkeypatch, capsys):
    before = Path("audit.toml").read_text()
    code, _, err = outcome(["init", "model.safetensors"], monkeypatch, capsys)
    assert code == 2
    assert "audit.toml: is there already" in err
    assert Path("audit.toml").read_text() == before
    outcome(["init", "model.safetensors", "--force"], monkeypatch, capsys)
    assert Path("audit.toml").read_text() != before


def test_a_dangling_link_is_not_written_through(folder, monkeypatch, capsys):
    (folder / "audit.toml").unlink()
    (folder / "audit.toml").symlink_to(folder / "elsewhere.toml")
    code, _, err = outcome(["init", "model.safetensors"], monkeypatch, capsys)
    assert code == 2
    assert "is there already" in err
    assert not (folder / "elsewhere.toml").exists()


def test_with_nothing_beside_it_init_says_what_is_missing(folder, monkeypatch, capsys):
    alone = folder / "alone"
    alone.mkdir()
    (folder / "model.safetensors").rename(alone / "model.safetensors")
    code, out, err = outcome(["init", str(alone / "model.safetensors")], monkeypatch, capsys)
    assert code == 2
    assert out == ""
    assert "still missing:" in err
    assert "[model] factory" in err
    assert "[data] loader" in err
    code, out, _ = outcome(["doctor", "--config", str(alone / "audit.toml")], monkeypatch, capsys)
    assert code == 2
    assert "✗ config" in out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nothing.safetensors", "no such file"),
        ("pickle.safetensors", "which runs code when loaded"),
        ("empty.safetensors", "is empty"),
        ("page.safetensors", "is a web page"),
        (".", "is a folder with 9 checkpoints in it"),
    ],
)
def test_what_is_no_checkpoint_is_exit_code_4_and_nothing_is_written(name, wanted, monkeypatch, capsys):
    code, _, err = outcome(["init", name, "--out", "new.toml"], monkeypatch, capsys)
    assert code == 4
    assert wanted in err
    assert not Path("new.toml").exists()


def test_a_folder_is_the_only_checkpoint_in_it_as_for_an_audit(demo, tmp_path, monkeypatch, capsys):
    code, _, err = outcome(["init", str(demo), "--out", str(tmp_path)], monkeypatch, capsys)
    assert code == 0, err
    config = tomllib.loads((tmp_path / "audit.toml").read_text())
    assert (tmp_path / config["checkpoint"]["path"]).samefile(demo / "model.safetensors")
    assert config["model"]["factory"].endswith("model.py:build")


@pytest.mark.usefixtures("folder")
def test_hostile_names_of_tensors_reach_neither_the_terminal_nor_the_file(monkeypatch, capsys):
    _, out, err = outcome(["init", "hostile.safetensors", "--force"], monkeypatch, capsys)
    for text in (out, err, Path("audit.toml").read_text()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    tomllib.loads(Path("audit.toml").read_text())


def test_init_needs_neither_torch_nor_numpy(demo, tmp_path):
    forbidden = "import sys; sys.modules['torch'] = sys.modules['numpy'] = None; sys.argv[0] = 'landscape-audit'; "
    call = "from landscape_audit.cli.main import main; main()"
    arguments = ["init", str(demo / "model.safetensors"), "--out", str(tmp_path / "audit.toml")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, "-c", forbidden + call, *arguments], env=environment, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
