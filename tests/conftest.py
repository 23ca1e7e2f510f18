"""What every test may rely on."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests share small builders: subjects.py, results_factory.py
sys.path.insert(0, str(Path(__file__).parent / "truth"))  # and what is known of landscapes: known_landscapes.py

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # in the background of a shell; what is interrupted here inherits it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flag by which a person accepts what reports say now: tests/report/test_golden.py."""
    parser.addoption("--rewrite-goldens", action="store_true", help="Accept what reports say now as what they should.")
