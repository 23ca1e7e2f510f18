"""What curvature costs, in gradients of the full sample, here and by three peers; run by ci/bench.

Never part of the tests: timings are noisy. Exits 1 where a peer could not be run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import table
from clock import medians
from ours import SURFACE, Ours
from overhead import overhead
from peers import PEERS
from race import Row, race, rows
from reference import reference
from workloads import WORKLOADS, workload

LIBRARIES = ("torch", "scipy", "curvlinops-for-pytorch", "hessian-eigenthings", "PyHessian")
UNITS = ("forward", "product", "surface point", "vector algebra")


@dataclasses.dataclass(frozen=True)
class Measured:
    """One workload."""

    parameters: int
    loss: float
    reference: Mapping[str, Any]
    gradient_seconds: float
    units: Mapping[str, float]
    """In gradients; a surface point in forwards, the vector algebra as a share of the products."""
    rows: Sequence[Row]


def measure(name: str, rounds: int, short_rounds: int) -> Measured:
    """One workload by everyone."""
    given = workload(name)
    truth = reference(given)
    ours = Ours(given)
    steps = round(ours.parts["ends"].call(0, 0).products)
    peers = [peer(given, truth, steps) for peer in PEERS]
    calls = {"gradient": ours.gradient, "forward": ours.forward, "product": ours.product}
    seconds = medians(calls | {f"product by {peer.name}": peer.product for peer in peers}, short_rounds)
    around = medians({"forward": ours.forward, "surface": ours.surface}, rounds)
    contestants = [ours, *peers]
    return Measured(
        parameters=given.parameters,
        loss=ours.loss(),
        reference=dataclasses.asdict(truth),
        gradient_seconds=seconds["gradient"],
        units={what: found / seconds["gradient"] for what, found in seconds.items() if what != "gradient"}
        | {
            "surface point": around["surface"] / SURFACE**2 / around["forward"],
            "vector algebra": statistics.median(ours.algebra() for _ in range(3)),
        },
        rows=rows(contestants, race(contestants, ours.gradient, rounds), truth),
    )


def report(found: Mapping[str, Measured], program: Mapping[str, float]) -> str:
    """All tables."""
    names = [unit for unit in next(iter(found.values())).units if unit not in UNITS]
    heads = [
        "workload",
        "parameters",
        "gradient, ms",
        *UNITS[:2],
        *names,
        "surface point, in forwards",
        "vector algebra",
    ]
    cells = [
        [
            name,
            f"{each.parameters:,}",
            f"{1e3 * each.gradient_seconds:.0f}"
            if each.gradient_seconds > 0.01
            else f"{1e3 * each.gradient_seconds:.1f}",
            *(f"{each.units[unit]:.2f}" for unit in (*UNITS[:2], *names, "surface point")),
            f"{each.units['vector algebra']:.0%}",
        ]
        for name, each in found.items()
    ]
    spent = table.markdown(["CPU seconds", *program], [["", *(f"{seconds:.2f}" for seconds in program.values())]])
    parts = (
        f"### Units, in gradients\n\n{table.markdown(heads, cells)}",
        table.groups({name: each.rows for name, each in found.items()}),
        f"### `landscape-audit run --no-pdf --only loss` on the demo\n\n{spent}",
        table.LEGEND,
        "Versions: " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    )
    return "\n\n".join(parts)


def main() -> int:
    """Measure, print, and say whether everyone could be run."""
    asked = _arguments()
    torch.set_num_threads(1)
    program = overhead(asked.short_rounds)
    found = {}
    for name in asked.workloads or WORKLOADS:
        print(name, file=sys.stderr, flush=True)
        found[name] = measure(name, asked.rounds, asked.short_rounds)
    print(report(found, program))
    if asked.json:
        stored = {name: dataclasses.asdict(each) for name, each in found.items()}
        versions = {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()}
        asked.json.write_text(json.dumps({"workloads": stored, "program": program, "versions": versions}, indent=1))
    failed = [f"{name}: {row.who}, {row.group}" for name, each in found.items() for row in each.rows if row.failure]
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
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
