"""Where each parameter lies in one flat vector, and along which axis its filters do."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

WHOLE = -1
"""The `filter_dim` of a tensor that is one filter as a whole."""

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Filters:
    """How a tensor divides into filters: the weights that together make one output.

    `dim` indexes them; `WHOLE` is one filter; `None` is left out of filter-normalised directions (biases,
    normalisation layers). With `groups` > 1 the first axis holds that many independent sets of filters one after
    another, as in a grouped transposed convolution, whose weight has shape (in, out / groups, …).
    """

    dim: int | None
    groups: int = 1


@dataclass(frozen=True)
class Block:
    """One parameter: its name, its shape, and where it begins in the flat vector."""

    name: str
    shape: tuple[int, ...]
    offset: int
    filter_dim: int | None
    groups: int = 1

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def slice(self) -> slice:
        """Its place in the flat vector."""
        return slice(self.offset, self.offset + self.size)

    def filter_norms(self, tensor: Tensor, order: float = 2.0) -> Tensor:
        """The norm of each filter of `tensor` (this block's shape), in float64, broadcastable against it.

        Euclidean, or of another `order`: infinity is the largest absolute value. Source: filters as in Li et al. 2018
        (filter-wise normalisation).
        """
        if self.filter_dim is None:
            message = f"{self.name} has no filters"
            raise ValueError(message)
        if self.filter_dim == WHOLE:
            return _norm(tensor, order)
        grouped = tensor.reshape(self.groups, self.shape[0] // self.groups, *self.shape[1:])
        others = [dim for dim in range(grouped.ndim) if dim not in {0, self.filter_dim + 1}]
        # The axis added last keeps `dim` from being empty, which would reduce over everything.
        norms = _norm(grouped.unsqueeze(-1), order, [*others, grouped.ndim]).squeeze(-1)
        return norms.expand(-1, grouped.shape[1], *norms.shape[2:]).reshape(self.shape[0], *norms.shape[2:])


@dataclass(frozen=True)
class Group:
    """Neighbouring parameters that one would name together: a layer."""

    name: str
    members: range


@dataclass(frozen=True)
class Layout:
    """The order of the parameters in the flat vector."""

    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, model: nn.Module, chosen: Collection[str] | None = None) -> Layout:
        """The `chosen` parameters of `model`, by default the trainable ones, in its own order, tied ones once."""
        filters = filter_dims(model)
        blocks: list[Block] = []
        offset = 0
        for name, parameter in model.named_parameters():
            if parameter.requires_grad if chosen is None else name in chosen:
                how = filters[name]
                blocks.append(Block(name, tuple(parameter.shape), offset, how.dim, how.groups))
                offset += parameter.numel()
        return cls(tuple(blocks))

    @property
    def size(self) -> int:
        """P, the length of the flat vector."""
        return sum(block.size for block in self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(block.name for block in self.blocks)

    def groups(self, most: int) -> tuple[Group, ...]:
        """The parameters by module, as deep in the tree as leaves at most `most` groups of neighbours."""
        paths = [tuple(block.name.split(".")[:-1]) or (block.name,) for block in self.blocks]
        for depth in range(max(map(len, paths)), 0, -1):
            found = _runs([".".join(path[:depth]) for path in paths])
            if len(found) <= most:
                return found
        bounds = [round(index * len(found) / most) for index in range(most + 1)]
        merged = [found[first:last] for first, last in itertools.pairwise(bounds)]
        return tuple(
            Group(f"{run[0].name} to {run[-1].name}", range(run[0].members.start, run[-1].members.stop))
            if len(run) > 1
            else run[0]
            for run in merged
        )

    def part(self, members: range) -> Layout:
        """Neighbouring parameters by themselves: a layout of their own, from offset 0."""
        first = self.blocks[members.start].offset
        return Layout(tuple(replace(self.blocks[index], offset=self.blocks[index].offset - first) for index in members))

    def span(self, members: range) -> slice:
        """The place of neighbouring parameters in the flat vector."""
        return slice(self.blocks[members[0]].slice.start, self.blocks[members[-1]].slice.stop)

    def views(self, flat: Tensor) -> list[Tensor]:
        """The parameters as views of `flat` (P,): no copies, and gradients flow back into it."""
        return [flat[block.slice].view(block.shape) for block in self.blocks]

    def flatten(self, tensors: Sequence[Tensor]) -> Tensor:
        """The parameters, in this order, as one new vector (P,)."""
        return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _runs(keys: Sequence[str]) -> tuple[Group, ...]:
    groups: list[Group] = []
    for key, run in itertools.groupby(enumerate(keys), key=lambda item: item[1]):
        indices = [index for index, _ in run]
        groups.append(Group(key, range(indices[0], indices[-1] + 1)))
    return tuple(groups)


def filter_dims(model: nn.Module) -> dict[str, Filters]:
    """How each parameter of `model` divides into filters, by name, tied ones once.

    Weights of two and more dimensions: the first indexes outputs, as in Linear, Conv, Embedding. Transposed
    convolutions have them second, within each group. Biases and normalisation layers have none: perturbing them in
    proportion to their own size is meaningless (a bias is often zero). Any other scalar or vector is one filter. A
    model that has nothing but biases and normalisation would have no direction left: there each tensor is one filter.
    """
    found = {
        f"{prefix}.{name}" if prefix else name: _filters(module, name, parameter)
        for prefix, module in model.named_modules()
        for name, parameter in module.named_parameters(recurse=False)
    }
    # Only the first name of a tied parameter is asked for; the model's own order decides which that is.
    kept = {name: found[name] for name, _ in model.named_parameters()}
    if all(how.dim is None for how in kept.values()):
        return dict.fromkeys(kept, Filters(WHOLE))
    return kept


def _norm(tensor: Tensor, order: float, dim: list[int] | None = None) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(tensor, order, dim=dim, keepdim=dim is not None, dtype=torch.float64)
    return norm


def _filters(module: nn.Module, name: str, parameter: Tensor) -> Filters:
    if _normalises(module) or (parameter.ndim <= 1 and "bias" in name):
        return Filters(None)
    if isinstance(module, _TRANSPOSED):
        return Filters(1, module.groups)
    return Filters(0 if parameter.ndim > 1 else WHOLE)


def _normalises(module: nn.Module) -> bool:
    # By name, as architectures bring their own: LlamaRMSNorm, LayerNorm2d, FrozenBatchNorm2d, BatchNormAct2d.
    return re.search(r"norm(act)?(\dd)?$", type(module).__name__.lower()) is not None
