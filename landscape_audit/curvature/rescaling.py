"""Rescales of neighbouring layers that may leave the function alone: one up by a factor, the next down by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from landscape_audit.curvature.layout import Layout


@dataclass(frozen=True)
class Pair:
    """Two layers by name, and the places in the layout of what goes up (weight and bias) and down (the next weight)."""

    first: str
    second: str
    up: tuple[int, ...]
    down: tuple[int, ...]

    @property
    def members(self) -> frozenset[int]:
        """All parameters that it touches."""
        return frozenset((*self.up, *self.down))


def candidates(model: nn.Module, layout: Layout) -> tuple[Pair, ...]:
    """Every layer with a trainable weight, and the next one in the model's own order whose weight is a matrix or more.

    Linear, convolution and normalisation layers may come first; a normalisation layer is passed over as the second.
    Whether something in between is positively homogeneous, or whether the two are connected at all, is not known here.
    Left out are layers that are partly frozen and weights that have several names.
    """
    places = {name: index for index, name in enumerate(layout.names)}
    told = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
    owned: list[tuple[str, dict[str, int]]] = []
    for name, module in model.named_modules():
        own = {key: (f"{name}.{key}".lstrip("."), value) for key, value in module.named_parameters(recurse=False)}
        free = all(path in places and told[id(value)] == 1 for path, value in own.values())
        if "weight" in own and free:
            owned.append((name or "the model", {key: places[path] for key, (path, _) in own.items()}))
    found = []
    for index, (first, up) in enumerate(owned):
        for second, down in owned[index + 1 :]:
            block = layout.blocks[down["weight"]]
            if block.filter_dim is not None and len(block.shape) > 1:
                found.append(Pair(first, second, tuple(up.values()), (down["weight"],)))
                break
    return tuple(found)


def rescaled(theta: Tensor, layout: Layout, pairs: Iterable[Pair], factor: float) -> Tensor:
    """θ, shape (P,), with the first of each pair times `factor` and the second divided by it. A new vector.

    Exact for a power of two. Source: Dinh et al. 2017.
    """
    found = theta.clone()
    views = layout.views(found)
    for pair in pairs:
        for index in pair.up:
            views[index].mul_(factor)
        for index in pair.down:
            views[index].div_(factor)
    return found
