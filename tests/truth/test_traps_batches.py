"""One Hessian, however the sample is cut: sums and means, ragged batches, padded tokens, gradients left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from landscapes import DOUBLE, found, regression, spectrum_of, top, whole_loss
from subjects import bench, half_square, subject
from torch import nn
from user_files import subject_in

from landscape_audit.checks.gradient import gradient
from landscape_audit.checks.loss import loss
from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.trace import trace


@pytest.mark.parametrize("sizes", [[64], [16] * 4, [4] * 16, [60, 4], [1] * 64])
def test_how_the_sample_is_batched_changes_nothing(sizes):
    whole = found(bench(regression([32, 32]), **DOUBLE), loss, gradient, sharpness, negative_curvature, trace)
    parts = found(bench(regression(sizes), **DOUBLE), loss, gradient, sharpness, negative_curvature, trace)
    for name in ("value", "norm", "lambda_max", "lambda_5", "lambda_min", "trace"):
        assert parts[name].value == pytest.approx(whole[name].value, rel=1e-9), name


def test_the_last_four_examples_weigh_as_much_as_any_four():
    # 96 inputs of covariance near 1 and four of about 100: the mean of the two batches' means has λ_max near 100.
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x[96:] *= 10
    audited = subject(nn.Linear(3, 1, bias=False), half_square, x, x[:, :1], sizes=[96, 4], dtype=torch.float64)
    weight = audited.theta.double()
    errors = x @ weight - x[:, 0]
    estimates = found(bench(audited, **DOUBLE), loss, gradient, sharpness, trace)
    assert top(estimates, 3) == pytest.approx(torch.linalg.eigvalsh(x.T @ x / 100).flip(0).tolist(), rel=1e-12)
    assert estimates["trace"].value == pytest.approx(float(x.square().sum() / 100), rel=1e-12)
    assert estimates["value"].value == pytest.approx(float(errors.square().mean() / 2), rel=1e-12)
    assert estimates["norm"].value == pytest.approx(float((x.T @ errors / 100).norm()), rel=1e-12)


LANGUAGE = """
from torch import nn
class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(6, 3), nn.Linear(3, 6)
    def forward(self, tokens):
        return self.head(self.embed(tokens).cumsum(1)).transpose(1, 2)
def build():
    return Language()
"""
SENTENCES = """
import torch
def batches():
    # Ever longer sentences, padded with the token 0: the first batch has 8 tokens that count and the last has 88.
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 6, (40, 12), generator=generator)
    lengths = 1 + torch.arange(40) * 11 // 39
    targets = torch.where(torch.arange(12) < lengths[:, None], tokens.roll(-1, 1), 0)
    return list(zip(tokens.split(8), targets.split(8)))
"""


@pytest.mark.parametrize("batch_size", [40, 8, 3])
def test_padded_tokens_count_nowhere_and_every_other_token_counts_the_same(tmp_path: Path, batch_size):
    kwargs = {"name": "cross_entropy", "kwargs": {"ignore_index": 0}}
    audited = subject_in(
        tmp_path, model=LANGUAGE, loader=SENTENCES, loss=kwargs, data={"batch_size": batch_size}, protocol=DOUBLE
    )
    targets = torch.cat([batch.targets for batch in audited.sample.batches])
    own = whole_loss(audited, ignore_index=0)
    exact = torch.linalg.eigvalsh(torch.autograd.functional.hessian(own, audited.theta)).numpy()
    assert audited.data.weight == int((targets != 0).sum()) < targets.numel()
    assert spectrum_of(audited, **DOUBLE) == pytest.approx(exact, abs=1e-12)
    assert found(bench(audited, **DOUBLE), loss)["value"].value == pytest.approx(own(audited.theta).item(), rel=1e-12)


def test_a_second_audit_of_one_model_finds_the_same_whatever_gradients_lie_on_it():
    audited = regression([30, 30, 4])
    before = found(bench(audited, **DOUBLE), sharpness, gradient, trace)
    for parameter in audited.model.parameters():
        parameter.grad = torch.full_like(parameter, 1e3)
    assert found(bench(audited, **DOUBLE), sharpness, gradient, trace) == before
    assert all(torch.all(parameter.grad == 1e3) for parameter in audited.model.parameters())
