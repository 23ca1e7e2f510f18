"""The truth: SciPy's eigsh to 1e-8 on our products in float64, and the trace with its own error. Kept between runs."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from contestants import TOP
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from subjects import bench
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from workloads import Workload

Vector = NDArray[np.float64]
Product = Callable[[Vector], Vector]

KEPT = Path(__file__).parents[2] / "build" / "benchmark"
EXACT = 10_000
"""Up to this many parameters the trace is the sum of the whole diagonal."""
BASIS = 80
"""Vectors that ARPACK keeps at the lower end, where eigenvalues crowd: the more, the fewer restarts."""
SKETCH = 60
TRACE_ERROR = 0.006


@dataclass(frozen=True)
class Reference:
    """The five largest eigenvalues, the smallest, and the trace with its standard error, 0 where it is exact."""

    top: tuple[float, ...]
    lambda_min: float
    trace: float
    trace_error: float


def reference(workload: Workload) -> Reference:
    """From an earlier run on the same parameters and data, or computed, which takes minutes."""
    path = KEPT / f"{workload.name}-{_digest(workload)}.json"
    if path.is_file():
        stored = json.loads(path.read_text())
        return Reference(**{**stored, "top": tuple(stored["top"])})
    _tell(workload, "computing the reference in float64, once: the top")
    found = _computed(workload)
    KEPT.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(found)))
    return found


def _digest(workload: Workload) -> str:
    tensors = [workload.inputs, workload.targets, *workload.model.state_dict().values()]
    content = b"".join(tensor.detach().contiguous().numpy().tobytes() for tensor in tensors)
    return hashlib.sha256(content + Path(__file__).read_bytes()).hexdigest()[:16]


def _tell(workload: Workload, what: str) -> None:
    print(f"{workload.name}: {what}", file=sys.stderr, flush=True)


def _computed(workload: Workload) -> Reference:
    on = bench(workload.subject().in_dtype(torch.float64))
    with on.outside_the_ledger("reference"):

        def product(v: Vector) -> Vector:
            return on.hvp(torch.from_numpy(np.array(v, dtype=np.float64).ravel())).numpy()

        _check(workload, product)
        matrix = LinearOperator((workload.parameters,) * 2, matvec=product, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(workload.parameters)
        top = eigsh(matrix, TOP, which="LA", tol=1e-8, v0=start, ncv=30, return_eigenvectors=False)
        _tell(workload, "the bottom")
        bottom = _bottom(matrix, start, max(top))
        _tell(workload, "the trace")
        trace, error = _trace(product, workload.parameters)
    return Reference(tuple(sorted(map(float, top), reverse=True)), bottom, trace, error)


def _bottom(matrix: LinearOperator, start: Vector, largest: float) -> float:
    """To 1e-8 of λ_max, which is what errors of λ_min are shares of; ARPACK's tolerance is a share of λ_min itself."""
    rough = float(eigsh(matrix, 1, which="SA", tol=1e-2, v0=start, ncv=BASIS, return_eigenvectors=False)[0])
    share = min(1e-2, 1e-8 * largest / abs(rough))
    return float(eigsh(matrix, 1, which="SA", tol=share, v0=start, ncv=BASIS, return_eigenvectors=False)[0])


def exact_product(workload: Workload, v: Tensor) -> Tensor:
    """H v by double backward in float64, as PyTorch's manual writes it: our engine proves nothing alone."""
    model, x = copy.deepcopy(workload.model).double(), workload.inputs
    parameters = list(model.parameters())
    with sdpa_kernel(SDPBackend.MATH):
        loss = nn.functional.cross_entropy(model(x.double() if x.is_floating_point() else x), workload.targets)
        slope = torch.autograd.grad(loss, parameters, create_graph=True)
    along = torch.cat([part.reshape(-1) for part in slope]) @ v.double()
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(along, parameters)])


def apart(found: Tensor, exact: Tensor) -> float:
    """|found − exact| / |exact|."""
    return float(torch.linalg.vector_norm(found.double() - exact) / torch.linalg.vector_norm(exact))


def _check(workload: Workload, product: Product) -> None:
    found = torch.from_numpy(product(workload.direction.double().numpy()))
    if (error := apart(found, exact_product(workload, workload.direction))) > 1e-10:
        raise RuntimeError(f"{workload.name}: the engine's float64 product is {error:.1e} away from double backward")


def _trace(product: Product, size: int) -> tuple[float, float]:
    if size <= EXACT:
        return _diagonal_sum(product, size), 0.0
    generator = np.random.default_rng(2)
    basis = _range(product, generator, size)
    inside = sum(float(q @ product(q)) for q in basis)
    outside: list[float] = []
    while len(outside) < 16 or _error(outside) > TRACE_ERROR * abs(inside + statistics.mean(outside)):
        signs = generator.choice([-1.0, 1.0], size)
        signs -= (signs @ basis.T) @ basis
        outside.append(float(signs @ product(signs)))
    return inside + statistics.mean(outside), _error(outside)


def _diagonal_sum(product: Product, size: int) -> float:
    unit = np.zeros(size)
    total = 0.0
    for index in range(size):
        unit[index] = 1.0
        total += float(product(unit)[index])
        unit[index] = 0.0
    return total


def _range(product: Product, generator: np.random.Generator, size: int) -> Vector:
    """An orthonormal basis of a Krylov space: any would give an unbiased trace, this one a small error."""
    basis = np.empty((SKETCH, size))
    vector = generator.standard_normal(size)
    for step in range(SKETCH):
        for _ in range(2):
            vector -= (vector @ basis[:step].T) @ basis[:step]
        basis[step] = vector / np.linalg.norm(vector)
        vector = product(basis[step])
    return basis


def _error(samples: list[float]) -> float:
    return statistics.stdev(samples) / len(samples) ** 0.5
