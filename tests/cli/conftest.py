"""Fixtures of the command line's tests."""

from __future__ import annotations

import pytest
from command_line import fill


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a project in it."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    return tmp_path
