"""Curvature through the layers, modes and wrappers of real models, against dense Hessians."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from landscapes import DOUBLE, found, landscape, spectrum_of, whole_loss
from subjects import bench, cross_entropy, dense_hessian, measured, subject
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_audit.checks import BATTERY
from landscape_audit.checks.instrument import instrument
from landscape_audit.checks.loss import loss
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.trace import trace
from tests.user_files import MODEL, subject_in, trained


def normalised(only_norm, dtype=torch.float64):
    """A network through layer normalisation; of which only the normalisation's weights are trained, if wished."""
    torch.manual_seed(4)
    x, y = torch.randn(48, 5), torch.randint(0, 3, (48,))
    model = nn.Sequential(
        nn.Linear(5, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 3)
    )
    for layer in model:
        norm = isinstance(layer, nn.LayerNorm)
        for parameter in layer.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter) * norm
            parameter.requires_grad_(norm or not only_norm)
    return subject(model, cross_entropy, x, y, sizes=[20, 20, 8], dtype=dtype)


@pytest.mark.parametrize("only_norm", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_norm_weights_have_their_dense_hessian(dtype, only_norm):
    exact = torch.linalg.eigvalsh(dense_hessian(normalised(only_norm))).numpy()
    spectrum = spectrum_of(normalised(only_norm, getattr(torch, dtype)), dtype=dtype)
    # Two hundred roundings of |λ|_max; the wrong product is off by 1 % to 57 %.
    assert spectrum == pytest.approx(exact, abs=200 * torch.finfo(getattr(torch, dtype)).eps * np.abs(exact).max())


def difference_hessian(own, theta, step):
    columns = []
    for direction in step * torch.eye(len(theta), dtype=theta.dtype):
        ends = [(theta + sign * direction).requires_grad_() for sign in (1, -1)]
        ahead, behind = (torch.autograd.grad(own(end), end)[0] for end in ends)
        columns.append((ahead - behind) / (2 * step))
    return torch.stack(columns)


def test_layer_norm_weights_agree_with_differences_to_the_square_of_the_step():
    audited = normalised(only_norm=True)
    spectrum = spectrum_of(audited, **DOUBLE)

    def miss(step):
        matrix = difference_hessian(whole_loss(audited), audited.theta, step)
        return np.abs(torch.linalg.eigvalsh((matrix + matrix.T) / 2).numpy() - spectrum).max()

    assert miss(1e-2) / miss(1e-3) == pytest.approx(100, rel=0.1)
    assert miss(1e-4) < 1e-7


class Attention(nn.Module):
    """One head of the fused call over three made-up positions."""

    def __init__(self, *, causal):
        super().__init__()
        self.causal = causal
        self.project, self.head = nn.Linear(4, 12), nn.Linear(4, 3)

    def forward(self, x):
        rows = torch.stack([x, x.flip(1), x.square()], 1)
        q, k, v = (part[:, None] for part in self.project(rows).chunk(3, -1))
        return self.head(functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)[:, 0].mean(1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 4, dropout=0.5, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.layer(torch.stack([x, x.flip(1), x.square()], 1)).mean(1))


ATTENTIVE = {
    "encoder layer": Encoder,
    "sdpa": lambda: Attention(causal=False),
    "causal sdpa": lambda: Attention(causal=True),
}


@pytest.mark.parametrize("kind", ATTENTIVE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_attention_has_its_dense_hessian(kind, dtype):
    def audited(precision):
        torch.manual_seed(6)
        x, y = torch.randn(24, 4), torch.randint(0, 3, (24,))
        return subject(ATTENTIVE[kind](), cross_entropy, x, y, sizes=[10, 10, 4], dtype=precision)

    double = audited(torch.float64)
    with sdpa_kernel(SDPBackend.MATH):
        exact = torch.linalg.eigvalsh(torch.autograd.functional.hessian(whole_loss(double), double.theta)).numpy()
    spectrum = spectrum_of(audited(getattr(torch, dtype)), dtype=dtype)
    assert spectrum == pytest.approx(exact, abs=200 * torch.finfo(getattr(torch, dtype)).eps * np.abs(exact).max())


class HalfDerived(torch.autograd.Function):
    """tanh with its right derivative, which claims to be a constant: the second derivative is lost without a word."""

    @staticmethod
    def forward(ctx, t):
        ctx.save_for_backward(t)
        return t.tanh()

    @staticmethod
    def backward(ctx, grad):
        return grad * (1 - ctx.saved_tensors[0].detach().tanh() ** 2)


class Wrong(nn.Module):
    def forward(self, x):
        return HalfDerived.apply(x)


@pytest.mark.parametrize(("activation", "word"), [(Wrong, "disagrees"), (nn.Tanh, "agrees")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_second_derivative_is_found_out(activation, word, dtype):
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randint(0, 2, (64,))
    model = nn.Sequential(nn.Linear(4, 5), activation(), nn.Linear(5, 2))
    on = bench(subject(model, cross_entropy, x, y, dtype=getattr(torch, dtype)), dtype=dtype)
    assert measured(on, instrument).labels["agreement"].value == word


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_differences_are_taken_at_the_scale_of_the_weights(dtype, scale):
    # The same function of rescaled weights: a fixed step is lost in rounding at one end and too long at the other.
    torch.manual_seed(0)
    start = (scale * torch.randn(40)).tolist()
    audited = landscape(lambda t: 2 + torch.cos(t / scale).mean(), start, getattr(torch, dtype))
    found_out = measured(bench(audited, dtype=dtype), instrument)
    assert found_out.labels["agreement"].value == "agrees", found_out.labels["agreement"].reason


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
        measured(on, check)
    assert audited.state() == state
    assert torch.equal(audited.fixed["1.running_mean"], moved_statistics()["1.running_mean"].double())
    exact = torch.linalg.eigvalsh(torch.autograd.functional.hessian(whole_loss(reference), reference.theta)).numpy()
    assert spectrum_of(audited, **DOUBLE) == pytest.approx(exact, abs=1e-12)


COMPILED = MODEL.replace("return ", "import torch\n    return torch.compile(").replace("width, 3))", "width, 3)))")


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch's own, on importing the compiler
def test_a_compiled_model_has_the_curvature_of_the_model(tmp_path: Path):
    plain = subject_in(tmp_path / "plain", tensors=trained(MODEL))
    compiled = subject_in(tmp_path / "compiled", model=COMPILED, tensors=trained(MODEL))
    assert found(bench(compiled), sharpness, trace) == found(bench(plain), sharpness, trace)
    exact = torch.linalg.eigvalsh(dense_hessian(plain)).numpy()
    assert found(bench(compiled), sharpness)["lambda_max"].value == pytest.approx(exact[-1], rel=1e-5)


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
