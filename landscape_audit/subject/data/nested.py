"""Tensors in tuples and dicts: what a model may take and a loader may give."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

Nested = Tensor | tuple["Nested", ...] | dict[str, "Nested"]


def mapped(change: Callable[..., Tensor], first: Nested, *others: Nested) -> Nested:
    """The same structure with `change` of each tensor; of several structures that are alike, of the tensors in step."""
    if isinstance(first, tuple):
        return tuple(mapped(change, *parts) for parts in zip(first, *others, strict=True))
    if isinstance(first, dict):
        return {key: mapped(change, first[key], *(other[key] for other in others)) for key in first}  # type: ignore[index,call-overload] # alike
    return change(first, *others)


def leaves(nested: Nested, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor with its path, such as `0`, `input_ids` or `meta.age`; a tensor alone has none."""
    if isinstance(nested, Tensor):
        yield path, nested
        return
    for key, part in nested.items() if isinstance(nested, dict) else enumerate(nested):
        yield from leaves(part, f"{path}.{key}" if path else str(key))


def tensors(nested: Nested) -> tuple[Tensor, ...]:
    """Every tensor, in order."""
    return tuple(tensor for _, tensor in leaves(nested))


def shape_of(nested: Nested) -> dict[str, tuple[int, ...]]:
    """The shape of one example, by path: batches of equal ones can be joined."""
    return {path: tuple(tensor.shape[1:]) for path, tensor in leaves(nested)}


def arguments(inputs: Nested) -> tuple[tuple[Nested, ...], dict[str, Nested]]:
    """How a model is called with them: positional and named arguments."""
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}
