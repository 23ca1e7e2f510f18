"""What curvature costs on this machine's GPU, and how far its numbers are from float64 on the host; run by ci/gpu."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from subjects import bench, dense_hessian, on_device  # the builders that the tests use
from workloads import WORKLOADS, workload

from landscape_audit.machine import exact_arithmetic, synchronise
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.rayleigh import RitzRayleigh

ROUNDS = 9
DENSE = 20_000
"""Parameters up to which the whole Hessian is formed in float64, as the truth."""
HEADS = (
    "workload",
    "parameters",
    "gradient, ms",
    "forward",
    "product",
    "Gauss-Newton",
    "products",
    "λ_max off",
    "peak GiB",
)


def timed(on: Bench, call: Callable[[], object]) -> float:
    """Median wall seconds, with the device waited for."""
    device, times = on.subject.theta.device, []
    for _ in range(ROUNDS + 1):
        synchronise(device)
        start = time.perf_counter()
        call()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def row(name: str, device: torch.device) -> list[str]:
    """One workload: costs in gradients, and λ_max against the host's float64."""
    audited = workload(name).subject()
    torch.cuda.reset_peak_memory_stats(device)
    on = bench(on_device(audited, device), preset="standard")
    v = torch.ones_like(on.subject.theta)
    with on.outside_the_ledger("benchmark"):
        calls = (on.gradient, on.evaluate, lambda: on.hvp(v), lambda: on.ggn(v))
        gradient, *others = (timed(on, call) for call in calls)
    found = on.take(RitzRayleigh()).top[0].value
    double = audited.in_dtype(torch.float64)
    exact = (
        float(torch.linalg.eigvalsh(dense_hessian(audited))[-1])
        if audited.theta.numel() <= DENSE
        else bench(double, dtype="float64", preset="thorough").take(RitzRayleigh()).top[0].value
    )
    return [
        name,
        f"{audited.theta.numel():,}",
        f"{1e3 * gradient:.2f}",
        *(f"{other / gradient:.2f}" for other in others),
        f"{on.take(HessianKrylov()).steps}",
        f"{abs(found - exact) / abs(exact):.0e}",
        f"{torch.cuda.max_memory_allocated(device) / 2**30:.2f}",
    ]


def main() -> None:
    """Print a Markdown table; a workload that cannot be run stops with its error."""
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}; costs in gradients of the full sample\n")
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", flush=True)
    with exact_arithmetic():
        for name in sys.argv[1:] or list(WORKLOADS):
            print(f"| {' | '.join(row(name, device))} |", flush=True)


if __name__ == "__main__":
    main()
