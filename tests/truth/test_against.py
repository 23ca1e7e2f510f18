"""Two audits of known landscapes: what is known of the one over the other is what their comparison says."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from user_files import write

from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.comparison.changes import changes
from landscape_audit.measure import audit
from landscape_audit.spec import AuditSpec

MODEL = """
import torch
from torch import nn

class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, 5))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x):
        return self.scale * nn.functional.linear(x, self.w)

def build():
    return Line()
"""
DATA = """
import torch

def batches(stretch=1.0):
    x, noise = torch.randn(96, 6, generator=torch.Generator().manual_seed(3)).split((5, 1), 1)
    x = stretch * x
    return list(zip(x.split(6), (x.sum(1, keepdim=True) + 0.3 * noise).split(6)))
"""


@pytest.fixture
def line(tmp_path):
    """The audit of scale · wᵀx under the squared error, whose Hessian is scale² · 2XᵀX/N wherever it is."""
    write(tmp_path, "model.py", MODEL)
    write(tmp_path, "data.py", DATA)

    def audited(scale, w=0.5, **data):
        path = tmp_path / f"{scale:g}-{w:g}.safetensors"
        save_file({"w": torch.full((1, 5), w), "scale": torch.tensor(scale)}, path)
        spec = {
            "model": {"factory": "model.py:build"},
            "data": {"loader": "data.py:batches", **data},
            "loss": {"name": "mse"},
            "protocol": {"dtype": "float64", "budgets": {"lanczos_steps": 5, "trace_probes": 2}},
            "checks": {"only": ["instrument", "loss", "sharpness", "trace", "flatness"]},
        }
        return audit(AuditSpec.model_validate(spec), path, tmp_path)

    return audited


def compared(here, there):
    results = here.model_copy(update={"baseline": baseline_of(here, there, "together")})
    return {each.key: each for each in changes(results)}


def test_a_line_of_twice_the_scale_is_four_times_as_sharp_for_certain(line):
    found = compared(line(2.0), line(1.0))
    for key in ("sharpness.lambda_max", "sharpness.lambda_2", "trace.trace"):
        change = found[key].relative
        assert change.low <= 3.0 <= change.high
        assert change.value == pytest.approx(3.0, rel=1e-9)
        # Every batch is exactly four times as sharp: no other sample would say otherwise.
        assert change.high - change.low < 1e-6, key
    apart = found["sharpness.lambda_max"].here
    assert apart.high - apart.low > 0.1 * apart.value


def test_the_loss_of_another_line_differs_as_far_as_the_batches_say(line):
    here, there = line(1.0, w=0.6), line(1.0, w=0.5)
    found = compared(here, there)["loss.value"]
    losses = [each.estimates()["loss.value"].parts[0].pieces for each in (here, there)]
    moves = torch.tensor(losses[0]) - torch.tensor(losses[1])
    assert found.paired
    assert found.absolute.value == pytest.approx(moves.mean().item(), rel=1e-5)
    change = found.absolute  # further on the side of a long tail
    assert min(change.value - change.low, change.high - change.value) == pytest.approx(
        (1.998 * moves.std() / len(moves) ** 0.5).item(), rel=1e-3
    )
    assert found.word == "lower"  # the truth is 1
    assert compared(here, there)["sharpness.lambda_max"].relative.value == pytest.approx(0.0, abs=1e-9)


def test_rescaled_data_are_other_data(line):
    found = compared(line(1.0, kwargs={"stretch": 2.0}), line(1.0))
    for change in found.values():
        assert change.word == "not comparable"
        assert "data.fingerprint" in {each.key for each in change.obstacles}


def test_other_batches_of_the_same_data_compare_by_their_intervals(line):
    found = compared(line(1.0, batch_size=12), line(1.0, w=0.6))
    assert not found["sharpness.lambda_max"].paired
    assert found["trace.trace"].word != "not comparable"
    assert found["flatness.m_sharpness"].word == "not comparable"
    assert {each.key for each in found["flatness.m_sharpness"].obstacles} == {"data.batches"}
