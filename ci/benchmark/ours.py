"""Our side: the probes as an audit takes them, with the products that its ledgers counted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from contestants import LAMBDA_MAX_TOLERANCE, TOP, TRACE_TOLERANCE, Answer, Part
from subjects import bench, measured
from torch import Tensor
from workloads import Workload

from landscape_audit.checks import spectral_density
from landscape_audit.curvature.lanczos import lanczos
from landscape_audit.curvature.vectors import unit_gaussian
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.krylov import HessianKrylov, KrylovTrace, TraceFound
from landscape_audit.probes.rayleigh import RitzRayleigh
from landscape_audit.probes.walks import RandomPlane

STEPS = 400
"""More Lanczos steps than any workload needs: runs stop at their tolerance."""
SURFACE = 21
FAR = 1e9
"""λ_min may lie anywhere where λ_max alone is asked for."""


class Ours:
    """landscape-audit."""

    name = "landscape-audit"

    def __init__(self, workload: Workload) -> None:
        self.subject = workload.subject()
        self._bench = self.bench()
        self._direction = workload.direction
        self.parts: Mapping[str, Part] = {
            "lambda_max": Part(self._lambda_max),
            "ends": Part(self._ends),
            "trace": Part(self._trace),
            "spectrum": Part(self._spectrum),
            "battery": Part(self._battery),
        }
        self.groups = {name: (name,) for name in self.parts}

    def bench(self, seed: int = 0, **budgets: Any) -> Bench:
        """A fresh bench, on which nothing was taken."""
        most = {"lanczos_steps": STEPS, "trace_probes": STEPS}
        return bench(self.subject, preset="standard", seed=seed, budgets={**most, **budgets})

    def product(self) -> Tensor:
        """The Hessian times the workload's direction."""
        with self._bench.outside_the_ledger("benchmark"):
            return self._bench.hvp(self._direction)

    def gradient(self) -> None:
        """One gradient of the full sample: the unit of cost."""
        with self._bench.outside_the_ledger("benchmark"):
            self._bench.gradient()

    def forward(self) -> None:
        """One loss of the full sample."""
        with self._bench.outside_the_ledger("benchmark"):
            self._bench.evaluate()

    def loss(self) -> float:
        """Where on the way to a minimum the workload stands."""
        with self._bench.outside_the_ledger("benchmark"):
            return self._bench.evaluate().loss

    def surface(self) -> None:
        """The loss on a grid of `SURFACE` by `SURFACE` points."""
        self.bench(surface_points=SURFACE).take(RandomPlane())

    def algebra(self) -> float:
        """The share of a Lanczos run that is not products, over what is."""
        on, inside = self.bench(top_k=TOP, eigen_tolerance=LAMBDA_MAX_TOLERANCE), [0.0]
        product = on.hvp

        def timed(v: Any) -> Any:
            begun = time.process_time()
            found = product(v)
            inside[0] += time.process_time() - begun
            return found

        on.hvp = timed  # type: ignore[method-assign]
        begun = time.process_time()
        on.take(HessianKrylov())
        whole = time.process_time() - begun
        if not inside[0]:
            raise RuntimeError("HessianKrylov takes its products elsewhere than from Bench.hvp: nothing was timed")
        return (whole - inside[0]) / inside[0]

    def _lambda_max(self, seed: int, _: int) -> Answer:
        """λ_max alone, until what the run may have missed above it is below the tolerance."""
        on, theta = self.bench(seed), self.subject.theta
        generator, failure = on.generator("lambda_max"), 1 - on.protocol.level
        with on.outside_the_ledger("benchmark"):
            space = lanczos(
                on.hvp,
                unit_gaussian(theta.numel(), generator, theta),
                STEPS,
                generator,
                stop=lambda s: s.reaches_no_further(FAR, LAMBDA_MAX_TOLERANCE * abs(float(s.ritz_values[-1])), failure),
            )
        return Answer(products=space.steps, top=(float(space.ritz_values[-1]),))

    def _ends(self, seed: int, _: int) -> Answer:
        on = self.bench(seed, top_k=TOP, eigen_tolerance=LAMBDA_MAX_TOLERANCE)
        return Answer(products=_spent(on, HessianKrylov()), top=_top(on), lambda_min=_bottom(on))

    def _trace(self, seed: int, _: int) -> Answer:
        on = self.bench(seed, top_k=TOP, eigen_tolerance=LAMBDA_MAX_TOLERANCE, trace_tolerance=TRACE_TOLERANCE)
        products = _spent(on, KrylovTrace())
        found = on.take(KrylovTrace())
        return Answer(products, trace=found.whole.value, enough=_precise(found))

    def _spectrum(self, seed: int, _: int) -> Answer:
        """Both ends, the trace and the density."""
        return self._everything(seed, KrylovTrace())

    def _battery(self, seed: int, _: int) -> Answer:
        """The same, and what another sample would do to the eigenvalues."""
        return self._everything(seed, KrylovTrace(), RitzRayleigh())

    def _everything(self, seed: int, *probes: Any) -> Answer:
        on = self.bench(seed, top_k=TOP, eigen_tolerance=LAMBDA_MAX_TOLERANCE, trace_tolerance=TRACE_TOLERANCE)
        products = _spent(on, *probes)
        measured(on, spectral_density)
        found = on.take(KrylovTrace())
        return Answer(
            products,
            top=_top(on),
            lambda_min=_bottom(on),
            trace=found.whole.value,
            enough=_precise(found),
        )


def _precise(found: TraceFound) -> bool:
    return found.space.complete or found.whole.error <= TRACE_TOLERANCE * abs(found.whole.value)


def _spent(on: Bench, *probes: Any) -> float:
    """All products that the ledgers count when these are taken."""
    for probe in probes:
        on.take(probe)
    return sum(ledger.cost.hvps for ledger in on.ledgers.values())


def _top(on: Bench) -> tuple[float, ...]:
    return tuple(on.take(HessianKrylov()).ritz_values[::-1][:TOP].tolist())


def _bottom(on: Bench) -> float:
    return float(on.take(HessianKrylov()).ritz_values[0])
