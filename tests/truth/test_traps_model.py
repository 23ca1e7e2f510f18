"""Curvature through the layers of real models, against dense Hessians; and a product that is wrong is found out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from landscapes import DOUBLE, found, landscape, spectrum_of, whole_loss
from subjects import bench, cross_entropy, dense_hessian, measured, subject
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_audit.checks.instrument import instrument
from landscape_audit.checks.loss import loss
from landscape_audit.probes.instrument import InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.rayleigh import RitzRayleigh


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
    # Fifty roundings of |λ|_max; the wrong product is off by 1 % to 57 %.
    assert spectrum == pytest.approx(exact, abs=50 * torch.finfo(getattr(torch, dtype)).eps * np.abs(exact).max())


NORMS = {
    "batch statistics": lambda: nn.BatchNorm1d(6, track_running_stats=False),
    "running statistics": lambda: nn.BatchNorm1d(6),
    "group": lambda: nn.GroupNorm(2, 6),
    "root mean square": lambda: nn.RMSNorm(6),
}


@pytest.mark.parametrize("kind", NORMS)
def test_every_normalisation_has_its_dense_hessian(kind):
    # Of the whole sample in one batch, as a normalisation by the batch's own statistics depends on the batch.
    torch.manual_seed(4)
    x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
    model = nn.Sequential(nn.Linear(5, 6), NORMS[kind](), nn.Tanh(), nn.Linear(6, 3))
    audited = subject(model, cross_entropy, x, y, sizes=[32], dtype=torch.float64)
    exact = torch.linalg.eigvalsh(dense_hessian(audited)).numpy()
    assert spectrum_of(audited, **DOUBLE) == pytest.approx(exact, abs=1e-12 * np.abs(exact).max())


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
    assert spectrum == pytest.approx(exact, abs=50 * torch.finfo(getattr(torch, dtype)).eps * np.abs(exact).max())
    value = found(bench(audited(getattr(torch, dtype)), dtype=dtype), loss)["value"].value
    assert value == pytest.approx(whole_loss(double)(double.theta).item(), rel=1e-6)


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


class Upcast(nn.Module):
    """Computes in float32 whatever it is given, as the root-mean-square norms of transformers do."""

    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, x):
        return self.inside(x.float()).to(x.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("activation", "word"), [(Wrong, "disagrees"), (nn.Tanh, "agrees")])
def test_a_model_that_computes_in_float32_whatever_its_weights_are_is_held_to_float32(activation, word, dtype):
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randint(0, 2, (64,))
    layers = (nn.Linear(4, 16), Upcast(activation()), nn.Linear(16, 16), Upcast(activation()), nn.Linear(16, 2))
    on = bench(subject(nn.Sequential(*layers), cross_entropy, x, y, dtype=getattr(torch, dtype)), dtype=dtype)
    assert measured(on, instrument).labels["agreement"].value == word
    assert any("less than float64" in note for note in on.adjustments)


def test_what_float32_inside_a_float64_model_rounds_off_is_within_what_is_reported():
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randint(0, 2, (64,))
    first, middle, last = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 2)
    inside = nn.Sequential(first, Upcast(nn.Tanh()), middle, Upcast(nn.Tanh()), last)
    on = bench(subject(inside, cross_entropy, x, y, dtype=torch.float64), dtype="float64")
    noise = on.take(InstrumentTrial()).loss_noise
    space, told = on.take(HessianKrylov()), on.take(RitzRayleigh())
    pure = subject(nn.Sequential(first, nn.Tanh(), middle, nn.Tanh(), last), cross_entropy, x, y, dtype=torch.float64)
    exact = dense_hessian(pure)
    for quotient, vector in ((told.top[0], space.ritz_vector(space.top(1))), (told.bottom, space.ritz_vector(0))):
        off = abs(quotient.value - float(vector @ exact @ vector))
        assert 1e-12 < off <= quotient.rounding < 1e-3 * told.top[0].value
    truth = bench(pure, dtype="float64")
    for step in 1e-3 * torch.randn(5, pure.theta.numel(), dtype=torch.float64):
        with on.outside_the_ledger("test"), truth.outside_the_ledger("test"):
            rises = [each.evaluate(step).loss - each.evaluate().loss for each in (on, truth)]
        assert abs(rises[0] - rises[1]) <= noise
