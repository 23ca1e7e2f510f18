"""Curvature by layer against the diagonal blocks of a dense Hessian."""

from __future__ import annotations

import pytest
import torch
from subjects import bench, cross_entropy, dense_hessian, measured, subject
from torch import nn

from landscape_audit.checks import layer_curvature, trace
from landscape_audit.curvature.layout import Layout
from landscape_audit.probes.krylov import KrylovTrace


def classifier():
    torch.manual_seed(2)
    x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
    layers = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
    return subject(layers, cross_entropy, x, y, sizes=[40, 13, 7], dtype=torch.float64)


def blocks_of(audited):
    exact = dense_hessian(audited)
    spans = [audited.layout.span(group.members) for group in audited.layout.groups(12)]
    return [exact[span, span] for span in spans]


def test_a_blocks_products_are_those_of_the_dense_block():
    audited = classifier()
    on = bench(audited, dtype="float64")
    for group, exact in zip(on.layers, blocks_of(audited), strict=True):
        product = on.landscape.block(group.members)
        columns = torch.stack([product(e) for e in torch.eye(len(exact), dtype=torch.float64)])
        assert torch.allclose(columns, exact, atol=1e-12)


def test_the_largest_eigenvalue_of_every_block_is_within_its_residual():
    audited = classifier()
    found = measured(bench(audited, dtype="float64", budgets={"layer_steps": 6}), layer_curvature)
    rows = found.details[0].rows
    assert [row[0] for row in rows] == ["0", "2", "4"]
    for row, exact in zip(rows, blocks_of(audited), strict=True):
        top = float(torch.linalg.eigvalsh(exact)[-1])
        assert row[2] - 1e-9 <= top <= row[2] + row[3] + 1e-9
    assert found.estimates["lambda_max"].value == pytest.approx(max(row[2] for row in rows))


def test_the_traces_add_up_to_the_whole_and_cover_the_dense_blocks():
    audited = classifier()
    on = bench(audited, dtype="float64", budgets={"lanczos_steps": 10, "trace_probes": 200, "trace_tolerance": 1e-9})
    found, whole = on.take(KrylovTrace()), measured(on, trace).estimates["trace"].value
    assert sum(found.layer(index).value for index in range(3)) == pytest.approx(whole, rel=1e-9)
    for index, exact in enumerate(blocks_of(audited)):
        mean = found.layer(index)
        assert abs(mean.value - float(exact.trace())) < 5 * mean.error


def test_parameters_are_grouped_by_module_as_deep_as_stays_readable():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.wide = nn.Linear(2, 2), nn.Linear(2, 2)

    model = nn.Sequential(*(Block() for _ in range(5)))
    assert [group.name for group in Layout.of(model).groups(12)] == [
        f"{i}.{n}" for i in range(5) for n in ("mix", "wide")
    ]
    assert [group.name for group in Layout.of(model).groups(7)] == ["0", "1", "2", "3", "4"]
    few = Layout.of(model).groups(2)
    assert len(few) == 2
    assert [index for group in few for index in group.members] == list(range(20))
