"""Batches in which no target counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from subjects import bench
from torch.nn import functional
from user_files import DATA, subject_in

from landscape_audit.errors import LossError

SPARSE = DATA.replace("    return", "    y[0:3] = y[20:25] = y[49] = -100\n    return")


@pytest.mark.parametrize("batch_size", [{}, {"batch_size": 1}])
def test_a_batch_without_a_target_that_counts_changes_nothing(tmp_path: Path, batch_size):
    audited = subject_in(tmp_path, loader=SPARSE, data=batch_size, protocol={"dtype": "float64"})
    on = bench(audited, dtype="float64")
    x, y = (torch.cat([getattr(batch, side) for batch in audited.sample.batches]) for side in ("inputs", "targets"))
    assert len(x) == 50
    exact = functional.cross_entropy(audited.model(x), y)
    assert on.landscape.evaluate(audited.theta).loss == pytest.approx(exact.item(), rel=1e-14)
    assert all(mean > 0 for mean in on.landscape.evaluate(audited.theta).means())
    assert any("without a target that counts joined to a neighbour" in line for line in audited.adjustments)


def test_where_the_shapes_differ_it_is_left_out_and_told(tmp_path: Path):
    lone = SPARSE.replace("zip(x.split(12), y.split(12))", "[(x, y), (torch.ones(2, 3, 4), torch.full((2, 3), -100))]")
    audited = subject_in(tmp_path, loader=lone, loss={"kwargs": {"class_axis": -1}})
    assert audited.data.n_samples == 50
    assert any("left out (2 examples)" in line for line in audited.adjustments)


def test_weight_zero_and_smoothing_have_no_mean_over_examples(tmp_path: Path):
    with pytest.raises(LossError, match="weigh nothing"):
        subject_in(tmp_path, loss={"kwargs": {"weight": [1.0, 0.0, 2.0], "label_smoothing": 0.1}})
