"""What curvature costs, in gradients of the full sample, here and by three peers; run by ci/bench.

Never part of the tests: timings are noisy. Exits 1 where a peer could not be run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from measure import measure
from overhead import overhead
from table import report
from workloads import WORKLOADS

LIBRARIES = ("torch", "scipy", "curvlinops-for-pytorch", "hessian-eigenthings", "PyHessian")


def main() -> int:
    """Measure, print, and say whether everyone could be run."""
    asked = _arguments()
    torch.set_num_threads(1)
    program = overhead(asked.short_rounds)
    found = {}
    for name in asked.workloads or WORKLOADS:
        print(name, file=sys.stderr, flush=True)
        found[name] = measure(name, asked.rounds, asked.short_rounds)
    versions = {name: version(name) for name in LIBRARIES}
    print(report(found, program, versions))
    if asked.json:
        workloads = {name: dataclasses.asdict(each) for name, each in found.items()}
        asked.json.write_text(json.dumps({"workloads": workloads, "program": program, "versions": versions}, indent=1))
    failed = [(name, one) for name, each in found.items() for one in (*each.products, *each.rows) if one.failure]
    for name, one in failed:
        print(f"FAILED {name}, {one.who}: {one.failure}", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"Of {', '.join(WORKLOADS)}; all by default.")
    parser.add_argument("--rounds", type=int, default=2, help="Interleaved rounds of the long runs.")
    parser.add_argument("--short-rounds", type=int, default=9, help="Of single gradients, products and programs.")
    parser.add_argument("--json", type=Path, help="Also write everything measured to this file.")
    asked = parser.parse_args()
    if unknown := set(asked.workloads) - set(WORKLOADS):
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
