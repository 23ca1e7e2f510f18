"""The loss is measured on the user's batches: cut or joined only where that changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from landscapes import found
from subjects import bench, half_square, subject
from torch import nn
from user_files import MODEL, subject_in

from landscape_audit.checks.ggn import ggn
from landscape_audit.checks.gradient import gradient
from landscape_audit.checks.loss import loss
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.errors import ModelError

SIZES = """
import torch
def batches():
    x = torch.randn(sum({sizes}), 4, generator=torch.Generator().manual_seed(3))
    return list(zip(x.split({sizes}), x[:, :3].sum(1).long().clamp(0, 2).split({sizes})))
"""
PAIR = """
def spread(outputs, targets):
    return (outputs - outputs.mean(0)).pow(2).mean()
def alone(outputs, targets):
    return outputs.pow(2).mean()
"""
BATCH_NORM = """
from torch import nn
def build():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False))
"""
FOUR = """
from torch import nn
class Four(nn.Linear):
    def forward(self, x):
        if len(x) < 4:
            raise ValueError("at least four")
        return super().forward(x)
def build():
    return Four(4, 3)
"""
WRITES = """
from torch import nn
class Counting(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
        self.register_buffer("calls", nn.init.zeros_(self.bias.detach().clone()))
    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls
def build():
    return Counting()
"""


def made(folder: Path, model=MODEL, sizes=(8, 8, 8), **settings):
    (folder / "loss.py").write_text(PAIR)
    return subject_in(folder, model=model, loader=SIZES.format(sizes=list(sizes)), **settings)


def told(subject):
    return [sentence for sentence in subject.adjustments if "own" in sentence and "kept" in sentence]


def sizes_of(subject):
    return [batch.size for batch in subject.sample.batches]


@pytest.mark.parametrize("sizes", [(16, 16, 16), (18, 16), (48,)])
@pytest.mark.parametrize("model", [MODEL, BATCH_NORM])
def test_a_loss_that_depends_on_the_batches_is_measured_on_the_users(tmp_path, model, sizes):
    audited = made(tmp_path, model, sizes, **({"loss": {"name": "loss.py:spread"}} if model == MODEL else {}))
    assert sizes_of(audited) == list(sizes) == [batch.size for batch in audited.sample.as_given().batches]
    assert audited.data.n_batches == len(sizes)
    assert "depends on what else is in it" in told(audited)[0]
    views = audited.layout.views(audited.theta)
    truth = sum(float(audited.batch_loss(views, batch).total) for batch in audited.sample.batches) / sum(sizes)
    assert found(bench(audited), loss)["value"].value == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("model", [MODEL, WRITES])
@pytest.mark.parametrize("name", ["cross_entropy", "loss.py:alone"])
def test_a_loss_of_single_examples_is_cut_for_its_standard_errors(tmp_path, name, model):
    audited = made(tmp_path, model, loss={"name": name})
    assert len(audited.sample.batches) == 24
    assert not told(audited)
    assert [batch.size for batch in audited.sample.as_given().batches] == [8, 8, 8]


def test_a_batch_size_that_was_asked_for_is_kept(tmp_path):
    audited = made(tmp_path, loss={"name": "loss.py:spread"}, data={"batch_size": 4})
    assert sizes_of(audited) == [4] * 6


@pytest.mark.parametrize("sizes", [(8, 8, 8), (4, 9, 5)])
def test_a_model_that_refuses_small_batches_gets_the_loaders(tmp_path, sizes):
    audited = made(tmp_path, FOUR, sizes)
    assert sizes_of(audited) == list(sizes)
    assert "raised on pieces" in told(audited)[0]
    assert found(bench(audited), loss, gradient, sharpness, ggn)["lambda_max"].value > 0


def test_a_model_that_refuses_the_loaders_batches_too_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="at least four"):
        made(tmp_path, FOUR, (8, 3))


def test_ragged_batches_are_joined_only_if_a_joined_one_adds_up(tmp_path):
    audited = made(tmp_path, sizes=(8, 3, 3), loss={"name": "loss.py:spread"})
    views = audited.layout.views(audited.theta)
    on = bench(audited)
    sums = [float(audited.batch_loss(views, batch).total) for batch in audited.sample.batches]
    with on.outside_the_ledger("test"):
        assert on.evaluate().sums == pytest.approx(sums, rel=1e-6)
        slope, value = on.gradient()
        assert value == pytest.approx(sum(sums) / 14, rel=1e-6)
        assert slope.isfinite().all()


def test_a_batch_is_never_cut_to_make_room_where_its_pieces_have_another_loss():
    class Tight(nn.Linear):
        def forward(self, x):
            if len(x) > 8:
                raise torch.OutOfMemoryError
            return super().forward(x)

    def spread(outputs, targets):
        return half_square(outputs - outputs.mean(0), targets)

    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    for measure, fits in ((half_square, True), (spread, False)):
        on = bench(subject(Tight(4, 3), measure, x, x[:, :3], sizes=[16] * 4))
        with on.outside_the_ledger("test"):
            if fits:
                assert on.evaluate().loss > 0
            else:
                with pytest.raises(torch.OutOfMemoryError):
                    on.evaluate()
