"""The peers, each by its own calls and its own rules for stopping, with its products counted where it makes them.

They are given what suits them: the sample as one batch, attention in the math kernel (fused attention has no second
derivative), λ_max where a call wants to know it beforehand, and the smallest budget that was enough. The density
takes as many steps as ours would.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import curvlinops
import hessian_eigenthings
import numpy as np
import torch
from contestants import (
    ENDS_TOLERANCE,
    LAMBDA_MAX_TOLERANCE,
    PROBES,
    TOP,
    TRACE_TOLERANCE,
    Answer,
    Contestant,
    Part,
    precise,
)
from reference import Reference
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from workloads import Workload

GROUPS = {
    "lambda_max": ("lambda_max",),
    "ends": ("top", "lambda_min"),
    "trace": ("trace",),
    "spectrum": ("top", "lambda_min", "trace", "density"),
    "battery": ("top", "lambda_min", "trace", "density"),
}
RESTARTS = 15
"""Of ARPACK, fifteen to nineteen products each. Where it converges it takes a few; where products are not symmetric,
as on the transformer, it would try until the next day."""
LANCZOS_BUDGETS = (10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400)
MOST_PROBES = 400

pyhessian = importlib.import_module("pyhessian.hessian")  # the package hides this module behind its class


class Curvlinops:
    """curvlinops' Hessian with SciPy's eigsh, its Hutchinson trace one probe a call, and its Lanczos density."""

    name = "curvlinops + eigsh"
    groups = GROUPS

    def __init__(self, workload: Workload, truth: Reference, steps: int) -> None:
        self._operator = _CountedCurvlinops(
            workload.model,
            nn.CrossEntropyLoss(),
            list(workload.model.parameters()),
            [(workload.inputs, workload.targets)],
            check_deterministic=False,
        )
        self._truth, self._steps = truth, steps
        self._direction = workload.direction
        self.parts: Mapping[str, Part] = {
            "lambda_max": Part(lambda seed, _: self._eigsh(seed, 1, "LA", LAMBDA_MAX_TOLERANCE)),
            "top": Part(lambda seed, _: self._eigsh(seed, TOP, "LA", ENDS_TOLERANCE)),
            "lambda_min": Part(self._lambda_min),
            "trace": Part(self._trace),
            "density": Part(self._density),
        }

    def product(self) -> Tensor:
        """The Hessian times the workload's direction."""
        return self._operator @ self._direction

    def _lambda_min(self, seed: int, _: int) -> Answer:
        """ARPACK's tolerance is a share of the value itself, so the share of λ_max is made one of λ_min."""
        share = ENDS_TOLERANCE * abs(self._truth.top[0] / self._truth.lambda_min)
        found = self._eigsh(seed, 1, "SA", min(0.5, share))
        return Answer(found.products, lambda_min=found.top[0] if found.top else None, enough=found.enough)

    def _eigsh(self, seed: int, count: int, which: str, tolerance: float) -> Answer:
        before = self._operator.products
        matrix = self._operator.to_scipy(dtype=np.float32)
        start = np.random.default_rng(seed).standard_normal(matrix.shape[0]).astype(np.float32)
        enough = True
        try:
            values = eigsh(matrix, count, which=which, tol=tolerance, v0=start, maxiter=RESTARTS)[0]
        except ArpackNoConvergence as stopped:
            values, enough = stopped.eigenvalues, False
        top = tuple(sorted(map(float, values), reverse=True))
        return Answer(self._operator.products - before, top=top, enough=enough)

    def _trace(self, seed: int, _: int) -> Answer:
        torch.manual_seed(seed)
        samples: list[float] = []
        while not precise(samples) and len(samples) < MOST_PROBES:
            samples.append(float(curvlinops.hutchinson_trace(self._operator, num_matvecs=1)))
        return Answer(len(samples), trace=statistics.mean(samples), enough=precise(samples))

    def _density(self, seed: int, _: int) -> Answer:
        torch.manual_seed(seed)
        before = self._operator.products
        ends = (self._truth.lambda_min, self._truth.top[0])
        curvlinops.lanczos_approximate_spectrum(self._operator, self._steps, boundaries=ends)
        return Answer(self._operator.products - before)


class _CountedCurvlinops(curvlinops.HessianLinearOperator):  # type: ignore[misc]
    products = 0

    def _matmat_batch(self, X: Tensor, y: Tensor, M: list[Tensor]) -> list[Tensor]:
        self.products += M[0].shape[-1]  # there is one batch: every column is one product
        with sdpa_kernel(SDPBackend.MATH):
            return super()._matmat_batch(X, y, M)


class Eigenthings:
    """hessian-eigenthings: its Lanczos, its Hutch++ and its Lanczos density."""

    name = "hessian-eigenthings"
    groups = GROUPS

    def __init__(self, workload: Workload, truth: Reference, steps: int) -> None:
        loss = hessian_eigenthings.supervised_loss(nn.CrossEntropyLoss())
        self._operator = _CountedEigenthings(workload.model, [(workload.inputs, workload.targets)], loss)
        self._direction = workload.direction
        self._steps, self._residual = steps, ENDS_TOLERANCE * truth.top[0]
        self.parts: Mapping[str, Part] = {
            "lambda_max": Part(self._lambda_max, LANCZOS_BUDGETS),
            "top": Part(self._top, LANCZOS_BUDGETS),
            "lambda_min": Part(self._lambda_min, LANCZOS_BUDGETS),
            "trace": Part(self._trace, tuple(3 * probes for probes in PROBES)),
            "density": Part(self._density),
        }

    def product(self) -> Tensor:
        """The Hessian times the workload's direction."""
        return self._operator.matvec(self._direction)

    def _lanczos(self, seed: int, budget: int, count: int, which: str) -> tuple[Any, int]:
        before = self._operator.products
        found = hessian_eigenthings.lanczos(
            self._operator, k=count, which=which, max_iter=budget, tol=LAMBDA_MAX_TOLERANCE, seed=seed
        )
        return found, self._operator.products - before

    def _lambda_max(self, seed: int, budget: int) -> Answer:
        found, products = self._lanczos(seed, budget, 1, "LA")
        return Answer(products, top=tuple(found.eigenvalues.tolist()), enough=bool(found.converged.all()))

    def _top(self, seed: int, budget: int) -> Answer:
        found, products = self._lanczos(seed, budget, TOP, "LA")
        return Answer(products, top=tuple(found.eigenvalues.tolist()), enough=self._ended(found))

    def _lambda_min(self, seed: int, budget: int) -> Answer:
        found, products = self._lanczos(seed, budget, 1, "SA")
        return Answer(products, lambda_min=float(found.eigenvalues[0]), enough=self._ended(found))

    def _ended(self, found: Any) -> bool:
        return bool((found.residuals <= self._residual).all())

    def _trace(self, seed: int, budget: int) -> Answer:
        before = self._operator.products
        found = hessian_eigenthings.trace(self._operator, num_matvecs=budget, seed=seed)
        enough = found.stderr <= TRACE_TOLERANCE * abs(found.estimate)
        return Answer(self._operator.products - before, trace=found.estimate, enough=enough)

    def _density(self, seed: int, _: int) -> Answer:
        before = self._operator.products
        hessian_eigenthings.spectral_density(self._operator, num_runs=1, lanczos_steps=self._steps, seed=seed)
        return Answer(self._operator.products - before)


class _CountedEigenthings(hessian_eigenthings.HessianOperator):  # type: ignore[misc]
    products = 0

    def matvec(self, v: Tensor) -> Tensor:
        self.products += 1
        with sdpa_kernel(SDPBackend.MATH):
            return super().matvec(v)


class PyHessian:
    """PyHessian: power iteration with deflation, Hutchinson and Lanczos density, each with its own stopping rule.

    It finds the eigenvalues of largest size, whatever their sign, and offers no λ_min.
    """

    name = "PyHessian"
    groups: Mapping[str, tuple[str, ...]] = {
        name: tuple(part for part in parts if part != "lambda_min") for name, parts in GROUPS.items()
    }

    def __init__(self, workload: Workload, truth: Reference, steps: int) -> None:
        del truth
        self._workload, self._steps = workload, steps
        self.parts: Mapping[str, Part] = {
            "lambda_max": Part(lambda seed, _: self._eigenvalues(seed, 1)),
            "top": Part(lambda seed, _: self._eigenvalues(seed, TOP)),
            "trace": Part(self._trace),
            "density": Part(self._density),
        }

    def product(self) -> Tensor:
        """The Hessian times the workload's direction, on the graph that it keeps."""
        held = self._held
        pieces = self._workload.direction.split([parameter.numel() for parameter in held.params])
        direction = [piece.view_as(parameter) for piece, parameter in zip(pieces, held.params, strict=True)]
        parts = pyhessian.hessian_vector_product(held.gradsH, held.params, direction)
        return torch.cat([part.reshape(-1) for part in parts])

    def _eigenvalues(self, seed: int, count: int) -> Answer:
        torch.manual_seed(seed)
        with _counted_pyhessian() as count_of:
            values, _ = self._hessian().eigenvalues(maxIter=100, tol=LAMBDA_MAX_TOLERANCE, top_n=count)
        return Answer(count_of[0], top=tuple(sorted(values, reverse=True)))

    def _trace(self, seed: int, _: int) -> Answer:
        torch.manual_seed(seed)
        with _counted_pyhessian() as count_of:
            samples = self._hessian().trace(maxIter=100, tol=1e-3)
        return Answer(count_of[0], trace=statistics.mean(samples))

    def _density(self, seed: int, _: int) -> Answer:
        torch.manual_seed(seed)
        with _counted_pyhessian() as count_of, _old_torch_eig():
            self._hessian().density(iter=self._steps, n_v=1)
        return Answer(count_of[0])

    @functools.cached_property
    def _held(self) -> Any:
        return self._hessian()

    def _hessian(self) -> Any:
        """Its object, on a model without gradients: it would add to those it finds, and double H."""
        workload = self._workload
        workload.model.zero_grad()
        with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a cycle through .grad, which is cut below
            made = pyhessian.hessian(
                workload.model, nn.CrossEntropyLoss(), data=(workload.inputs, workload.targets), cuda=False
            )
        workload.model.zero_grad()
        return made


@contextlib.contextmanager
def _counted_pyhessian() -> Iterator[list[int]]:
    product, count = pyhessian.hessian_vector_product, [0]

    def counted(*arguments: Any) -> Any:
        count[0] += 1
        return product(*arguments)

    pyhessian.hessian_vector_product = counted
    try:
        yield count
    finally:
        pyhessian.hessian_vector_product = product


@contextlib.contextmanager
def _old_torch_eig() -> Iterator[None]:
    """PyHessian 0.1 calls torch.eig, which PyTorch removed; without this its density stops at its last line."""

    def eig(matrix: Tensor, *, eigenvectors: bool) -> tuple[Tensor, Tensor]:
        assert eigenvectors  # noqa: S101 - what its one caller asks for
        values, vectors = torch.linalg.eigh(matrix)
        return torch.stack([values, torch.zeros_like(values)], dim=1), vectors

    removed = getattr(torch, "eig", None)
    torch.eig = eig  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.eig = removed  # type: ignore[attr-defined]


PEERS: tuple[Callable[[Workload, Reference, int], Contestant], ...] = (Curvlinops, Eigenthings, PyHessian)
