"""CPU seconds of `landscape-audit report`, with Python's start and every import; exits 1 where it is slow. By ci/pages.

Of the demo's own audit, which is run first, or of the results that are named; beside it one of few pages, whose cost
is mostly that of starting.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from overhead import cpu_of
from pypdf import PdfReader

TOOL = [sys.executable, "-m", "landscape_audit"]
FEW = Path(__file__).parents[1] / "tests" / "released" / "1.0.json"
ALLOWED = 3.0
"""CPU seconds of ten pages, of a report that has at least as many."""
HEADS = ("report of", "pages", "without the PDF", "whole", "ten pages")


def row(name: str, results: Path, rounds: int) -> tuple[str, bool]:
    """One line of the table, and whether ten pages cost more than they may."""
    with tempfile.TemporaryDirectory() as folder:
        whole = [*TOOL, "report", str(results), "--out", folder]
        pairs = [(cpu_of([*whole, "--no-pdf"], folder), cpu_of(whole, folder)) for _ in range(rounds + 1)][1:]
        pages = len(PdfReader(Path(folder, "report.pdf")).pages)
    short, long = (statistics.median(column) for column in zip(*pairs, strict=True))
    ten = 10 * long / pages
    return f"| {name} | {pages} | {short:.2f} | {long:.2f} | {ten:.2f} |", pages >= 10 and ten > ALLOWED


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="ci/pages", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, help="A results.json; by default the demo is audited.")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        name, results = "the demo's audit" if asked.results is None else asked.results.name, asked.results
        if results is None:
            cpu_of([*TOOL, "demo", "demo"], folder)
            cpu_of([*TOOL, "run", "demo/model.safetensors", "--no-pdf", "--quiet", "--out", "audit"], folder)
            results = Path(folder, "audit", "results.json")
        rows = [row(name, results.absolute(), asked.rounds), row("a small audit", FEW, asked.rounds)]
    print("\n".join([f"| {' | '.join(HEADS)} |", "| --- | ---: | ---: | ---: | ---: |", *(line for line, _ in rows)]))
    sys.exit(int(any(slow for _, slow in rows)))


if __name__ == "__main__":
    main()
