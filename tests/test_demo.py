"""The demo writes a project, and never over somebody's own."""

from __future__ import annotations

import pytest

from landscape_audit.demo import train
from landscape_audit.errors import OutputError


def test_a_project_of_ones_own_is_not_overwritten(tmp_path):
    (tmp_path / "audit.toml").write_text("mine = true\n")
    with pytest.raises(OutputError, match="is not the demo's"):
        train.write_project(tmp_path)
    assert (tmp_path / "audit.toml").read_text() == "mine = true\n"
    assert {path.name for path in tmp_path.iterdir()} == {"audit.toml"}


def test_a_checkpoint_of_ones_own_is_not_overwritten(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(OutputError, match="not the demo's"):
        train.write_project(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == b"mine"


def test_a_demo_may_be_made_again_in_its_own_place(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "EPOCHS", 1)
    train.write_project(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    train.write_project(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
