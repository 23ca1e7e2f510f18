"""Sharpness-aware minimisation: the base optimiser's step, at the gradient of the worst point nearby."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from landscape_audit.probes.ascent import ADAPTIVE_FLOOR


class Ascent(Protocol):
    """Where to take the second gradient."""

    def displacement(self, theta: Sequence[Tensor], gradient: Sequence[Tensor]) -> list[Tensor]:
        """How far each parameter moves, from its value and its gradient; zero where the whole gradient is zero."""


@dataclass(frozen=True)
class Sam:
    """ε = ρ g / |g|, the maximiser of the linearised loss in the ball |ε| ≤ ρ; the norm is over all parameters.

    Source: Foret et al. 2021.
    """

    rho: float

    def displacement(self, theta: Sequence[Tensor], gradient: Sequence[Tensor]) -> list[Tensor]:
        """ρ g / |g|."""
        del theta
        return _on_sphere(gradient, self.rho)


@dataclass(frozen=True)
class Asam:
    """ε = ρ T² g / |T g| with T = |θ| + η, that maximiser in the ball |ε / T| ≤ ρ, which rescaling does not change.

    T holds for every parameter, biases included. Source: Kwon et al. 2021.
    """

    rho: float

    def displacement(self, theta: Sequence[Tensor], gradient: Sequence[Tensor]) -> list[Tensor]:
        """ρ T² g / |T g|."""
        stretch = [value.abs() + ADAPTIVE_FLOOR for value in theta]
        u = _on_sphere([t * g for t, g in zip(stretch, gradient, strict=True)], self.rho)
        return [t * part for t, part in zip(stretch, u, strict=True)]


def _on_sphere(parts: Sequence[Tensor], radius: float) -> list[Tensor]:
    length = torch.stack([torch.linalg.vector_norm(part, dtype=torch.float64) for part in parts]).norm()
    scale = torch.where(length > 0, radius / length, 0.0)
    return [part * scale.to(part.dtype) for part in parts]


def take_step(model: nn.Module, optimiser: Optimizer, loss: Callable[[], Tensor], ascent: Ascent | None = None) -> None:
    """One step of `optimiser` on the parameters of `model` that require a gradient.

    Without an `ascent`, at the gradient of `loss()`: the cost is one gradient. With one, at the gradient of `loss()`
    where the ascent leads, so two. The second pass sees the first's dropout masks, and leaves buffers (the statistics
    of batch normalisation among them) as the first made them. Every parameter is back, bit for bit, before the step. A
    parameter without gradient in the first pass does not ascend, and without one in the second takes no step.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if ascent is None:
        _differentiate(optimiser, loss)
    else:
        with _same_random_numbers(parameters):
            _differentiate(optimiser, loss)
        with _displaced(parameters, ascent), _kept_buffers(model):
            _differentiate(optimiser, loss)
    optimiser.step()


def _differentiate(optimiser: Optimizer, loss: Callable[[], Tensor]) -> None:
    optimiser.zero_grad(set_to_none=True)
    with torch.enable_grad():
        torch.autograd.backward(loss())


def _same_random_numbers(parameters: Sequence[Tensor]) -> contextlib.AbstractContextManager[None]:
    """What runs inside draws the numbers that what follows it will draw again."""
    return torch.random.fork_rng(devices=sorted({p.device.index for p in parameters if p.device.type == "cuda"}))


@contextlib.contextmanager
def _displaced(parameters: Sequence[Tensor], ascent: Ascent) -> Iterator[None]:
    moving = [(parameter, grad) for parameter in parameters if (grad := parameter.grad) is not None]
    kept = [parameter.detach().clone() for parameter, _ in moving]
    with torch.no_grad():
        steps = ascent.displacement(kept, [gradient for _, gradient in moving]) if moving else []
        for (parameter, _), step in zip(moving, steps, strict=True):
            parameter.add_(step)
    try:
        yield
    finally:
        with torch.no_grad():
            for (parameter, _), value in zip(moving, kept, strict=True):
                parameter.copy_(value)  # subtracting the step again would leave its rounding behind


@contextlib.contextmanager
def _kept_buffers(model: nn.Module) -> Iterator[None]:
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
