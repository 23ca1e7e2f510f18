"""Train mode, random numbers in the forward pass, and compiled modules."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from landscapes import DOUBLE, found, spectrum_of, whole_loss
from subjects import bench, cross_entropy, dense_hessian, measured, subject
from torch import nn
from torch.nn import functional
from user_files import MODEL, subject_in, trained

from landscape_audit.checks import BATTERY
from landscape_audit.checks.instrument import instrument
from landscape_audit.checks.loss import loss
from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.surface import surface
from landscape_audit.checks.trace import trace
from landscape_audit.probes.probe import ProbeFailedError


class Drawing(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_that_draws_random_numbers_in_eval_mode_is_found_out(dtype):
    x, y = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(64, dtype=torch.long)
    model = nn.Sequential(nn.Linear(4, 5), Drawing(), nn.Tanh(), nn.Linear(5, 2))
    on = bench(subject(model, cross_entropy, x, y, dtype=getattr(torch, dtype)), dtype=dtype)
    assert measured(on, instrument).labels["agreement"].value == "disagrees"


TRAINING = """
from torch import nn
def build():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3))
    return model.train()
"""


def moved_statistics():
    tensors = trained(TRAINING)
    return tensors | {"1.running_mean": torch.linspace(-1, 1, 5), "1.running_var": torch.linspace(0.5, 3, 5)}


def test_an_audit_in_train_mode_is_the_audit_in_eval_mode_and_moves_no_statistics(tmp_path: Path):
    audited = subject_in(tmp_path, model=TRAINING, tensors=moved_statistics(), protocol=DOUBLE)
    state = audited.state()
    own = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Identity(), nn.Linear(5, 3))
    own.load_state_dict(moved_statistics())
    x, y = (torch.cat([getattr(batch, side) for batch in audited.sample.batches]) for side in ("inputs", "targets"))
    reference = subject(own, cross_entropy, x, y, dtype=torch.float64)
    on = bench(audited, preset="quick", **DOUBLE)
    for check in BATTERY:
        check.measure(*(on.take(probe) for probe in check.probes))
    assert audited.state() == state
    assert torch.equal(audited.fixed["1.running_mean"], moved_statistics()["1.running_mean"].double())
    exact = torch.linalg.eigvalsh(torch.autograd.functional.hessian(whole_loss(reference), reference.theta)).numpy()
    assert spectrum_of(audited, **DOUBLE) == pytest.approx(exact, abs=1e-12)


BY_BATCH = """
from torch import nn
def build():
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Tanh(), nn.Linear(5, 3))
"""


def test_a_loss_that_depends_on_its_batches_is_one_function_throughout_an_audit(tmp_path: Path):
    # Normalised by the statistics of the batch, so that the sample cut otherwise is another function. The lowest Ritz
    # value is vᵀHv averaged over batches, and the centre of the surface is the loss.
    budgets = {"eigen_tolerance": 1e-300, "lanczos_steps": 60}
    on = bench(subject_in(tmp_path, model=BY_BATCH, protocol=DOUBLE), preset="quick", budgets=budgets, **DOUBLE)
    estimates = found(on, negative_curvature, loss)
    plane = measured(on, surface).details[0]
    middle = len(plane.xs) // 2
    assert plane.z[middle][middle] == pytest.approx(estimates["value"].value, rel=1e-9)
    assert estimates["rayleigh"].value == pytest.approx(estimates["lambda_min"].value, rel=1e-6)


COMPILED = MODEL.replace("return ", "import torch\n    return torch.compile(").replace("width, 3))", "width, 3)))")


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch's own, on importing the compiler
def test_a_compiled_model_has_the_curvature_of_the_model(tmp_path: Path):
    plain = subject_in(tmp_path / "plain", tensors=trained(MODEL))
    compiled = subject_in(tmp_path / "compiled", model=COMPILED, tensors=trained(MODEL))
    assert found(bench(compiled), sharpness, trace) == found(bench(plain), sharpness, trace)
    exact = torch.linalg.eigvalsh(dense_hessian(plain)).numpy()
    assert found(bench(compiled), sharpness)["lambda_max"].value == pytest.approx(exact[-1], rel=1e-5)


class Inside(nn.Module):
    """Compiled where no wrapper can be taken off: within the forward pass."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)
        self.compiled = torch.compile(lambda x: x.tanh() * x, backend="aot_eager")

    def forward(self, x):
        return self.last(self.compiled(self.first(x)))


@pytest.mark.filterwarnings("ignore")  # torch's own, while it traces
def test_a_function_compiled_inside_the_forward_pass_fails_or_has_the_right_curvature():
    torch.manual_seed(0)
    audited = subject(Inside(), cross_entropy, torch.randn(32, 4), torch.randint(0, 3, (32,)), dtype=torch.float64)
    plain = Inside()
    plain.load_state_dict(audited.model.state_dict())
    plain.compiled = lambda x: x.tanh() * x
    x, y = (torch.cat([getattr(batch, side) for batch in audited.sample.batches]) for side in ("inputs", "targets"))
    exact = torch.linalg.eigvalsh(dense_hessian(subject(plain, cross_entropy, x, y, dtype=torch.float64)))
    try:
        largest = found(bench(audited, **DOUBLE), sharpness)["lambda_max"].value
    except ProbeFailedError:
        return  # as torch does where it has no double backward
    assert largest == pytest.approx(float(exact[-1]), rel=1e-6)
