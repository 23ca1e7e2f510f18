"""The trace, its probes and its standard error, and sums of a million elements."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from landscapes import DOUBLE, found, landscape, quadratic, regression
from subjects import bench, measured

from landscape_audit.checks.gradient import gradient
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.trace import trace
from landscape_audit.quantiles import t_quantile

EIGHT = {"trace_probes": 8, "trace_tolerance": 1e-9}


def test_the_traces_standard_error_is_what_repetition_shows():
    # 150 seeds know a variance to √(2/149) = 12 %, and its mean claim, of seven degrees of freedom each, to 4 %.
    spectrum = [60.0, 20.0, *np.random.default_rng(0).normal(size=80)]
    audited, values, claims = quadratic(spectrum), [], []
    for seed in range(150):
        on = bench(audited, seed=seed, budgets={**EIGHT, "lanczos_steps": 6}, **DOUBLE)
        total = found(on, trace)["trace"]
        assert total.n == 8
        values.append(total.value)
        claims.append((total.high - total.value) / t_quantile(0.95, 7))
    assert np.mean(np.square(claims)) / np.var(values, ddof=1) == pytest.approx(1, abs=5 * 0.13)
    assert abs(np.mean(values) - sum(spectrum)) < 5 * np.std(values) / 150**0.5


def probes_of_the_trace(seed):
    budgets = {**EIGHT, "lanczos_steps": 6}
    on = bench(quadratic(np.linspace(-1, 3, 60).tolist()), seed=seed, budgets=budgets, **DOUBLE)
    (parts,) = measured(on, trace).details
    return [row[1] for row in parts.rows]


def test_probes_follow_the_seed_and_nothing_else():
    torch.manual_seed(1)
    first = probes_of_the_trace(1)
    torch.manual_seed(2)
    assert probes_of_the_trace(1) == first
    other = probes_of_the_trace(2)
    assert len({*first, *other}) == 18  # a Krylov part and eight probes each, no two of them alike


def test_few_examples_are_told_that_their_largest_eigenvalue_is_too_large():
    def caveats(n):
        return " ".join(measured(bench(regression([n], n)), sharpness).caveats)

    assert "biased upward" in caveats(200)
    assert "biased" not in caveats(2000)


def test_a_million_elements_lose_no_digit():
    # A slope of c in every direction and one eigenvalue λ along (1, …, 1): every inner product sums a million equal
    # terms, which torch.dot does in float32 with an error of up to 7e-4 (each lane stalls as its sum grows).
    size, slope, curvature = 1_000_000, 0.1, 3.0

    def function(theta):
        total = theta.sum(dtype=torch.float64)
        return 1 + slope * total + 0.5 * curvature * total**2 / size

    audited = landscape(function, [0.0] * size, torch.float32)
    on = bench(audited, budgets={"lanczos_steps": 4, "top_k": 1})
    estimates = found(on, gradient, sharpness)
    assert estimates["norm"].value == pytest.approx(slope * size**0.5, rel=2e-6)
    assert estimates["lambda_max"].value == pytest.approx(curvature, rel=2e-6)
