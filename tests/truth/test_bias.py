"""A sample's largest eigenvalue lies above the population's; the jackknife sees about half to all of that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from subjects import bench, half_square, subject
from torch import nn

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.rayleigh import RitzRayleigh

POPULATION = torch.tensor([2.0] * 4 + [1.0] * 16, dtype=torch.float64).sqrt()
"""The Hessian of linear regression is the covariance of its inputs: here of known, close eigenvalues."""


def rayleigh(examples, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(examples, 20, generator=generator, dtype=torch.float64) * POPULATION
    audited = subject(nn.Linear(20, 1, bias=False), half_square, x, x[:, :1], dtype=torch.float64)
    on = bench(audited, dtype="float64", budgets={"lanczos_steps": 20, "top_k": 1})
    exact = float(torch.linalg.eigvalsh(x.T @ x / examples)[-1])
    return on, on.take(RitzRayleigh()), exact, x


@pytest.mark.parametrize("examples", [160, 640])
def test_the_jackknife_sees_about_half_to_all_of_the_bias(examples):
    told, true = [], []
    for seed in range(60):
        _, found, exact, _ = rayleigh(examples, seed)
        told.append(found.bias.value)
        true.append(exact - 2.0)
    assert np.mean(true) > 5 * np.std(true) / np.sqrt(len(true))  # there is a bias to see
    assert 0.4 < np.mean(told) / np.mean(true) < 1.2
    assert min(told) >= 0


def test_the_arrow_matrix_is_close_to_the_jackknife_that_takes_every_batch_out():
    ratios = []
    for seed in range(10):
        on, found, exact, x = rayleigh(320, seed)
        pieces = [batch.inputs for batch in on.subject.sample.batches]
        without = []
        for index in range(len(pieces)):
            rest = torch.cat([piece for other, piece in enumerate(pieces) if other != index])
            without.append(float(torch.linalg.eigvalsh(rest.T @ rest / len(rest))[-1]))
        ratios.append(found.bias.value / ((len(pieces) - 1) * (np.mean(without) - exact)))
        assert len(x) == 320
    assert 0.7 < np.mean(ratios) < 1.5


def test_more_examples_have_less_bias():
    few, many = (np.mean([rayleigh(n, seed)[1].bias.value for seed in range(10)]) for n in (160, 1600))
    assert many < 0.3 * few


def test_the_space_that_tells_the_bias_is_the_one_that_was_run():
    on, found, exact, _ = rayleigh(320, 0)
    assert on.take(HessianKrylov()).complete
    assert found.top[0].value == pytest.approx(exact, rel=1e-9)
