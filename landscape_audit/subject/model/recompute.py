"""Activation checkpointing: a block keeps its inputs alone, and computes the rest again when a derivative needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from landscape_audit.subject.model.derivatives import checkpointing, exactly_differentiable


def blocks_of(model: nn.Module) -> tuple[nn.Module, ...]:
    """The elements of the container that holds most of the parameters: a transformer's layers, a network's stages."""
    containers = [module for module in model.modules() if isinstance(module, nn.ModuleList | nn.Sequential)]
    sized = [(sum(value.numel() for value in container.parameters()), container) for container in containers]
    if not sized:
        return ()
    # Of containers that hold the same parameters, the innermost: it has the smaller elements.
    largest = max(size for size, _ in sized)
    return tuple([container for size, container in sized if size >= 0.5 * largest][-1].children())


@contextlib.contextmanager
def recomputing(model: nn.Module) -> Iterator[None]:
    """While it lasts, calling `model` keeps no activations inside its blocks. Derivatives of any order stay exact."""
    blocks = blocks_of(model)
    for block in blocks:
        vars(block)["forward"] = _recomputed(block)
    try:
        yield
    finally:
        for block in blocks:
            vars(block).pop("forward", None)


def _recomputed(block: nn.Module) -> Callable[..., Any]:
    def forward(*inputs: Any, **named: Any) -> Any:
        # The tensors that the block computes with now: by the time of the backward pass it has its own again.
        tensors = {**dict(block.named_parameters()), **dict(block.named_buffers())}

        def again(*inputs: Any) -> Any:
            with sdpa_kernel(SDPBackend.MATH), exactly_differentiable(block):
                return functional_call(block, tensors, inputs, named)

        patched = vars(block).pop("forward")
        try:
            with checkpointing():
                return checkpoint(again, *inputs, use_reentrant=False, preserve_rng_state=False)
        finally:
            vars(block)["forward"] = patched

    return forward
