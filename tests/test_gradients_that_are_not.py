"""A finite loss whose gradient is not a number, or not a dense tensor, is refused; 8-bit weights load."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from subjects import bench
from user_files import subject_in, trained

from landscape_audit.checks.loss import loss
from landscape_audit.errors import LossError, ModelError
from landscape_audit.estimate import Estimate
from landscape_audit.measure import audit
from landscape_audit.outcome import outcome_of
from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.probes.instrument import InstrumentTrial
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.results import Failed
from landscape_audit.spec import AuditSpec

ROOTS = """
import torch
from torch import nn
class Roots(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.scale = nn.Linear(4, 3), nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))
    def forward(self, x):
        return self.body(x) * self.scale.sqrt()
def build():
    return Roots()
"""
LATER = ROOTS.replace("* self.scale.sqrt()", "+ torch.where(x[:, :1] > 5, self.scale, 1.0).square().sqrt()")
MARKED = """
import torch
def batches():
    x = torch.randn(48, 4, generator=torch.Generator().manual_seed(3))
    x[40, 0] = 6
    return list(zip(x.split(1), torch.zeros(48).long().split(1)))
"""
SPARSE = """
from torch import nn
def build():
    return nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Flatten(), nn.Linear(8, 3))
"""
TOKENS = """
import torch
def batches():
    return [(torch.arange(64).reshape(32, 2) % 9, torch.arange(32) % 3)]
"""


def test_a_gradient_that_is_not_finite_names_its_parameter(tmp_path: Path) -> None:
    with pytest.raises(LossError, match=r"gradient is not, in 2 elements of 3 of 'scale'") as told:
        subject_in(tmp_path, model=ROOTS, tensors={**trained(ROOTS), "scale": torch.tensor([1.0, 0.0, 0.0])})
    assert told.value.exit_code == 4


def test_one_that_shows_in_a_later_batch_is_one_message_too(tmp_path: Path) -> None:
    subject_in(tmp_path, model=LATER, loader=MARKED, tensors={**trained(LATER), "scale": torch.zeros(3)})
    tables = {"model": {"factory": "model.py:build"}, "data": {"loader": "data.py:batches"}}
    with pytest.raises(LossError, match=r"gradient is not, in 3 elements of 3 of 'scale'"):
        audit(AuditSpec.model_validate(tables), tmp_path / "model.safetensors", tmp_path)


def test_a_probe_says_so_in_one_sentence(tmp_path: Path) -> None:
    on = bench(subject_in(tmp_path, model=LATER, loader=MARKED, tensors={**trained(LATER), "scale": torch.zeros(3)}))
    for probe in (InstrumentTrial(), BatchGradients()):
        with pytest.raises(ProbeFailedError, match=r"gradient is not, in 3 elements of 3 of 'scale'"):
            on.take(probe)


def test_a_result_that_is_none_is_told_in_one_sentence(tmp_path: Path) -> None:
    broken = replace(loss, measure=lambda *_: Estimate(value=float("nan"), unit="", direction="lower"))
    outcome = outcome_of(bench(subject_in(tmp_path)), broken)
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("what was measured is no result: ")
    assert "pydantic" not in outcome.error


def test_a_sparse_gradient_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'0\.weight' gets a sparse gradient") as told:
        subject_in(tmp_path, model=SPARSE, loader=TOKENS)
    assert "sparse=False" in str(told.value)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_8_bit_weights_are_audited_in_float32_and_told(tmp_path: Path, dtype: torch.dtype) -> None:
    dense = SPARSE.replace("True", "False")
    tensors = {name: value.to(dtype) for name, value in trained(dense).items()}
    subject = subject_in(tmp_path, model=dense, loader=TOKENS, tensors=tensors)
    assert torch.equal(subject.theta, torch.cat([value.float().flatten() for value in tensors.values()]))
    assert any("audited in float32" in sentence for sentence in subject.adjustments)
