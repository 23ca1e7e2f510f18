"""Parts of PyTorch whose derivatives are not those of what they compute, or have no second: made exact."""

from __future__ import annotations

import contextlib
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import checkpoint as recomputation

from landscape_audit.errors import ModelError
from landscape_audit.subject.code.process import replaced
from landscape_audit.text import count

_ROW = "_audited_padding_row"
_HOOKED = sys.modules["torch.nn.utils.weight_norm"]  # `torch.nn.utils.weight_norm` is a function of that module's name


def made_differentiable(model: nn.Module) -> tuple[str, ...]:
    """Embeddings of `model` changed to have the gradient of what they compute; the sentences say how.

    A padding row is held at its stored values, as in training, where it gets no gradient: the loss of a displaced
    model must not move with it either, or differences of the loss and its derivatives are of two functions.
    """
    told: list[str] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            told += _embedding(name, module)
    return tuple(told)


def _embedding(name: str, module: nn.Embedding | nn.EmbeddingBag) -> Iterator[str]:
    if module.max_norm is not None:
        raise ModelError(
            f"the embedding '{name}' has max_norm = {module.max_norm:g}, which rewrites its weights in every forward "
            "pass: the loss is no function of them.",
            remedy="Build it without max_norm; a checkpoint's rows are as the last pass left them.",
        )
    if module.scale_grad_by_freq:
        module.scale_grad_by_freq = False
        yield f"'{name}': scale_grad_by_freq off, as gradients scaled by frequency are those of no loss."
    if type(module).forward is nn.Embedding.forward and module.padding_idx is not None:
        yield from _held(name, module)


def _held(name: str, module: Any) -> Iterator[str]:
    row = module.padding_idx
    if isinstance(module.weight, nn.Parameter):
        module.register_buffer(_ROW, module.weight[row].detach().clone(), persistent=False)
        module.__class__ = type("HeldPadding", (HeldPadding, type(module)), {})
        yield f"'{name}': row {row} (padding_idx) is held at its stored values, as in training."


class HeldPadding(nn.Embedding):
    """An embedding whose padding row is a constant."""

    padding_idx: int

    def forward(self, words: Tensor) -> Tensor:
        """The rows of `words`, of which the padding row is not differentiated."""
        rows = functional.embedding(words, self.weight)
        return torch.where(words.eq(self.padding_idx).unsqueeze(-1), getattr(self, _ROW), rows)


def layers_changed(model: nn.Module) -> tuple[str, ...]:
    """What `exactly_differentiable` does for layers of this model, in words."""
    modules = list(model.modules())
    recurrent = sum(isinstance(module, nn.RNNBase) for module in modules)
    normed = sum(_is_weight_normed(module) for module in modules)
    told = []
    if recurrent:
        told.append(f"Recurrent layers without cuDNN, which has no second derivative ({count(recurrent, 'module')}).")
    if normed:
        told.append(
            f"Weight normalisation written out, as PyTorch's own second derivative of it is wrong "
            f"({count(normed, 'module')})."
        )
    return tuple(told)


def _is_weight_normed(module: nn.Module) -> bool:
    hooks = module._forward_pre_hooks.values()  # noqa: SLF001 - the only trace of the older kind
    return type(module).__name__ == "_WeightNorm" or any(type(hook).__name__ == "WeightNorm" for hook in hooks)


@contextlib.contextmanager
def exactly_differentiable(model: nn.Module) -> Iterator[None]:
    """While it lasts, a forward pass can be differentiated twice, and the second derivative is right.

    * `torch._weight_norm` takes the norms it saved for constants when its backward is differentiated.
    * cuDNN's recurrent layers have no backward in `eval()` mode, and no second one in any.
    * Activation checkpoints in the model compute their part again in the backward pass, when the model has its own
      parameters back and not those it is evaluated at. Without them the same numbers take more memory.
    """
    with contextlib.ExitStack() as stack:
        for place in (torch, _HOOKED):
            stack.enter_context(replaced(place, "_weight_norm", _weight_norm))
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            stack.enter_context(replaced(torch.backends.cudnn, "enabled", value=False))
        stack.enter_context(_uncheckpointed(model))
        yield


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))


# What `torch.utils.checkpoint.checkpoint` calls: users hold that function itself, so that these must be exchanged.
_REENTRANT, _NON_REENTRANT = "CheckpointFunction", "_checkpoint_without_reentrant_generator"
_ORIGINAL = {name: getattr(recomputation, name) for name in (_REENTRANT, _NON_REENTRANT)}
_checkpointed: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def is_checkpointed(model: nn.Module) -> bool:
    """Whether a forward pass came upon an activation checkpoint in `model`."""
    return any(module in _checkpointed for module in model.modules())


@contextlib.contextmanager
def _uncheckpointed(model: nn.Module) -> Iterator[None]:
    def around(*_: object, **__: object) -> Iterator[None]:
        _checkpointed.add(model)
        yield

    def apply(function: Callable[..., Any], _: object, *inputs: Any) -> Any:
        _checkpointed.add(model)
        return function(*inputs)

    plain = types.SimpleNamespace(apply=apply)
    with replaced(recomputation, _REENTRANT, plain), replaced(recomputation, _NON_REENTRANT, around):
        yield


@contextlib.contextmanager
def checkpointing() -> Iterator[None]:
    """Within `exactly_differentiable`: the audit's own checkpoints work."""
    with (
        replaced(recomputation, _REENTRANT, _ORIGINAL[_REENTRANT]),
        replaced(recomputation, _NON_REENTRANT, _ORIGINAL[_NON_REENTRANT]),
    ):
        yield
