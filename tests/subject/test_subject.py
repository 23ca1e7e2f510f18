from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from user_files import DATA, MODEL, subject_in, trained, weights, wrapped, write

from landscape_audit.errors import DataError, LossError, ModelError
from landscape_audit.subject.subject import Subject


def mean_loss(subject: Subject, theta: torch.Tensor | None = None) -> torch.Tensor:
    views = subject.layout.views(subject.theta if theta is None else theta)
    found = [subject.batch_loss(views, batch) for batch in subject.sample.batches]
    return sum(loss.total for loss in found) / sum(loss.weight for loss in found)


def gradient(subject: Subject) -> torch.Tensor:
    theta = subject.theta.clone().requires_grad_()
    return torch.autograd.grad(mean_loss(subject, theta), theta)[0]


def test_ragged_batches_give_the_full_batch_loss_and_gradient(tmp_path: Path) -> None:
    ragged, whole = subject_in(tmp_path), subject_in(tmp_path, data={"batch_size": 50})
    assert [batch.size for batch in whole.sample.batches] == [50]
    assert len({batch.size for batch in ragged.sample.batches}) > 1
    # A few roundings of float32 numbers of order 1.
    torch.testing.assert_close(mean_loss(ragged), mean_loss(whole), rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient(ragged), gradient(whole), rtol=1e-5, atol=1e-7)


def test_the_loss_is_the_models_own(tmp_path: Path) -> None:
    subject = subject_in(tmp_path)
    inputs = torch.cat([batch.inputs for batch in subject.sample.batches])
    targets = torch.cat([batch.targets for batch in subject.sample.batches])
    own = functional.cross_entropy(subject.model(inputs), targets)
    torch.testing.assert_close(mean_loss(subject).float(), own, rtol=1e-6, atol=0)
    assert subject.data.weight == subject.data.n_samples == 50
    assert subject.info.parameters == subject.theta.numel() == 5 * 4 + 5 + 3 * 5 + 3


def test_evaluating_anywhere_leaves_the_model_and_the_random_state_as_they_were(tmp_path: Path) -> None:
    subject = subject_in(tmp_path)
    before, theta = subject.state(), subject.theta.clone()
    mean_loss(subject, subject.theta + 1)
    gradient(subject)
    assert subject.state() == before
    assert torch.equal(subject.theta, theta)


def test_the_state_notices_weights_mode_and_random_numbers(tmp_path: Path) -> None:
    subject = subject_in(tmp_path)
    states = [subject.state()]
    subject.model.train()
    states.append(subject.state())
    with torch.no_grad():
        subject.model[0].weight[0, 0] += 1
    states.append(subject.state())
    torch.rand(1)
    states.append(subject.state())
    assert len(set(states)) == 4


def test_loading_leaves_no_trace_in_the_process(tmp_path: Path) -> None:
    path, modules = sys.path.copy(), set(sys.modules)
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002 - the global state
    seeds = "import torch, random, numpy\ntorch.manual_seed(5); random.seed(5); numpy.random.seed(5)\n"
    subject_in(
        tmp_path,
        model=seeds + "torch.set_default_dtype(torch.float64)\n" + MODEL,
        loader=seeds + DATA,
        tensors=weights(),
    )
    assert sys.path == path
    assert not {"model", "data"} & (set(sys.modules) - modules)
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(np.random.get_state())) == states[1:]  # noqa: NPY002 - the global state


def test_in_float64_only_the_rounding_changes(tmp_path: Path) -> None:
    subject = subject_in(tmp_path)
    double = subject.in_dtype(torch.float64)
    assert double.theta.dtype == torch.float64
    assert torch.equal(double.theta, subject.theta.double())
    assert abs(mean_loss(double) - mean_loss(subject)) < 1e-6
    assert mean_loss(double) != mean_loss(subject)


BATCH_NORM = """
from torch import nn
def build():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats={tracked}), nn.Dropout(0.5))
"""


def test_batch_normalisation_uses_running_statistics_and_keeps_them(tmp_path: Path) -> None:
    subject = subject_in(tmp_path, model=BATCH_NORM.format(tracked=True))
    before = subject.state()
    assert mean_loss(subject) == mean_loss(subject)  # dropout would change it
    assert subject.state() == before
    assert any("running statistics (1 module)" in sentence for sentence in subject.mode)
    assert any("Dropout off (1 module)" in sentence for sentence in subject.mode)


def test_batch_normalisation_without_statistics_is_told(tmp_path: Path) -> None:
    subject = subject_in(tmp_path, model=BATCH_NORM.format(tracked=False))
    assert any("'1'" in sentence and "depends on the batches" in sentence for sentence in subject.adjustments)


COUNTING = """
import torch
from torch import nn
class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))
    def forward(self, x):
        self.calls += 1
        return self.linear(x) * self.calls
def build():
    return Counting()
"""


def test_a_buffer_that_the_forward_pass_writes_to_starts_afresh_each_time(tmp_path: Path) -> None:
    subject = subject_in(tmp_path, model=COUNTING)
    assert mean_loss(subject) == mean_loss(subject)
    assert subject.model.calls == 0
    assert any("writes to 'calls'" in sentence for sentence in subject.adjustments)


ATTENTION = """
from torch import nn
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.head = nn.Linear(4, 3)
    def forward(self, x):
        return self.head(self.layer(x[:, None, :].repeat(1, 3, 1)).mean(1))
def build():
    return Attention()
"""
LSTM = """
from torch import nn
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 3, batch_first=True)
    def forward(self, x):
        return self.lstm(x.view(-1, 2, 2))[0][:, -1]
def build():
    return Recurrent()
"""


@pytest.mark.parametrize("model", [ATTENTION, LSTM], ids=["attention", "lstm"])
def test_second_derivatives_agree_with_differences_of_gradients(tmp_path: Path, model: str) -> None:
    subject = subject_in(tmp_path, model=model, protocol={"dtype": "float64"})
    theta = subject.theta.clone().requires_grad_()
    v = torch.randn(theta.shape, dtype=theta.dtype, generator=torch.Generator().manual_seed(0))
    (grad,) = torch.autograd.grad(mean_loss(subject, theta), theta, create_graph=True)
    (hvp,) = torch.autograd.grad(grad, theta, v)
    step = 1e-5  # near the cube root of the rounding: truncation ~ step^2, rounding ~ 1e-16 / step

    def at(t: float) -> torch.Tensor:
        moved = (subject.theta + t * v).requires_grad_()
        return torch.autograd.grad(mean_loss(subject, moved), moved)[0]

    torch.testing.assert_close(hvp, (at(step) - at(-step)) / (2 * step), rtol=1e-5, atol=1e-7)
    assert hvp.norm() > 1e-3


def test_frozen_parameters_are_no_coordinates_but_count(tmp_path: Path) -> None:
    frozen = wrapped("m[0].requires_grad_(False)")
    subject = subject_in(tmp_path, model=frozen)
    assert subject.layout.names == ("2.weight", "2.bias")
    assert (subject.info.parameters, subject.info.frozen_parameters) == (18, 25)
    assert gradient(subject).shape == (18,)


TIED = """
from torch import nn
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight
    def forward(self, x):
        return self.b(self.a(x).tanh())
def build():
    return Tied()
"""


@pytest.mark.parametrize("stored", ["a.weight", "b.weight"])
def test_a_tied_weight_is_one_set_of_coordinates_under_either_name(tmp_path: Path, stored: str) -> None:
    weight = torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
    subject = subject_in(tmp_path, model=TIED, tensors={stored: weight})
    assert subject.layout.names == ("a.weight",)
    inputs = subject.sample.batches[0].inputs
    out = subject.outputs([weight * 2], subject.sample.batches[0])
    torch.testing.assert_close(out, (inputs @ weight.T * 2).tanh() @ weight.T * 2)


def test_low_precision_weights_are_audited_in_float32_and_told(tmp_path: Path) -> None:
    tensors = weights()
    tensors |= {"0.weight": tensors["0.weight"].half(), "2.weight": tensors["2.weight"].bfloat16()}
    subject = subject_in(tmp_path, tensors=tensors)
    assert subject.theta.dtype == torch.float32
    assert "1 tensor stored in float16, audited in float32." in subject.adjustments
    assert "1 tensor stored in bfloat16, audited in float32." in subject.adjustments


def test_parameters_without_influence_are_told(tmp_path: Path) -> None:
    unused = wrapped("m[0].extra = nn.Parameter(m[0].bias.detach())")
    subject = subject_in(tmp_path, model=unused)
    assert any("1 parameter tensor without influence" in s and "'0.extra'" in s for s in subject.adjustments)


def test_a_loss_cut_off_from_the_parameters_is_refused(tmp_path: Path) -> None:
    cut = MODEL.replace(
        "def build",
        "class Cut(nn.Linear):\n    def forward(self, x):\n        return super().forward(x).detach()\n\ndef build",
    )
    cut = cut.replace("nn.Linear(width", "Cut(width")
    with pytest.raises(LossError, match="does not depend on any trainable parameter") as caught:
        subject_in(tmp_path, model=cut)
    assert "detach()" in caught.value.remedy


def test_a_loss_that_is_not_finite_names_its_batch(tmp_path: Path) -> None:
    data = DATA.replace("torch.randint(0, 3, (50,)", "torch.rand((50, 3)")
    with pytest.raises(LossError, match=r"mse: the loss of batch 0 is nan") as caught:
        subject_in(tmp_path, loader=data, loss={"name": "mse"}, tensors=weights(3e38))
    assert "normalised" in caught.value.remedy


def test_targets_that_all_do_not_count_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LossError, match="no target of the sample counts"):
        subject_in(tmp_path, loader=DATA.replace("randint(0, 3,", "randint(-100, -99,"))


def test_a_forward_pass_that_raises_names_the_users_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model.py:build: forward: raised RuntimeError: .*shapes") as caught:
        subject_in(tmp_path, loader=DATA.replace("randn(50, 4", "randn(50, 7"))
    assert isinstance(caught.value.__cause__, RuntimeError)
    raising = ATTENTION.replace("return self.head", "raise ValueError('oh no')\n        return self.head")
    with pytest.raises(ModelError, match=r"raised ValueError: oh no \(model.py, line 9\)"):
        subject_in(tmp_path, model=raising)


def test_running_out_of_memory_asks_for_smaller_batches(tmp_path: Path) -> None:
    hungry = ATTENTION.replace("return self.head", "raise MemoryError\n        return self.head")
    with pytest.raises(DataError, match="out of memory on batch 0") as caught:
        subject_in(tmp_path, model=hungry)
    assert "batch_size" in caught.value.remedy


def test_fewer_examples_than_asked_for_are_told(tmp_path: Path) -> None:
    assert "80 examples asked for, 50 there." in subject_in(tmp_path, data={"n_samples": 80}).adjustments


def test_what_the_model_prints_stays_off_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chatty = "print('import')\n" + ATTENTION.replace("return self.head", "print('forward')\n        return self.head")
    mean_loss(subject_in(tmp_path, model=chatty, tensors=trained(ATTENTION)))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert {"import", "forward"} <= set(printed.err.split())


def test_lazy_imports_beside_the_model_work_in_the_forward_pass(tmp_path: Path) -> None:
    write(tmp_path, "beside.py", "FACTOR = 2\n")
    late = ATTENTION.replace("return self.head", "from beside import FACTOR\n        return FACTOR * self.head")
    mean_loss(subject_in(tmp_path, model=late))
    assert "beside" not in sys.modules
