"""The checkpoint's tensors put into the model by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape_audit.errors import CheckpointError
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint
from landscape_audit.subject.model.misfit import Misfit, grouped
from landscape_audit.subject.model.names import Reading, readings
from landscape_audit.text import count


@dataclass(frozen=True)
class Filled:
    """A model with the numbers of a file: what each tensor of the file is called in it, and what is to be told."""

    model: nn.Module
    names: Mapping[str, str]
    told: tuple[str, ...]


def fill(model: nn.Module, checkpoint: Checkpoint, spec: ModelSpec, dtype: torch.dtype) -> Filled:
    """`model` itself with the checkpoint in it, in `dtype` and `eval()` mode.

    Every tensor the model keeps must be there, with its shape; a tied one under any of its names. A prefix that all
    names share is removed by itself where the file then fits the model exactly.
    """
    # `Module.to` would cut complex buffers down to their real parts.
    model._apply(lambda tensor: cast(tensor, dtype))  # type: ignore[no-untyped-call]  # noqa: SLF001 - the only way that keeps ties
    kept = {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}
    found = readings(checkpoint.tensors, spec, checkpoint.name)
    asked = reading = next(found)
    fit = first = _put(model, kept, checkpoint, asked)
    while (fit.absent or fit.misshaped) and (other := next(found, None)):
        reading, fit = other, _put(model, kept, checkpoint, other)
    if reading != asked and not fit.is_exact:
        reading, fit = asked, first
    tensors = _renamed(checkpoint, reading)
    _check_kinds(checkpoint.name, tensors, kept)
    if fit.absent or fit.misshaped or (fit.unexpected and spec.strict):
        shapes = _shapes(kept), _shapes(tensors)
        raise Misfit(checkpoint.name, spec, *shapes, set(fit.absent), set(fit.misshaped), list(fit.unexpected)).error()
    _check_ties(checkpoint.name, tensors, kept)
    model.eval()
    told = [reading.told] if reading.told else []
    return Filled(model, reading.names, (*told, *_adjustments(checkpoint, fit, dtype)))


@dataclass(frozen=True)
class _Fit:
    """In what a file and a model differ, under one reading of the file's names."""

    absent: frozenset[str]
    misshaped: frozenset[str]
    unexpected: tuple[str, ...]
    made: tuple[str, ...]
    """Those of the file that are buffers which the model makes itself, with the same numbers."""

    @property
    def is_exact(self) -> bool:
        return not (self.absent or self.misshaped or self.unexpected)


def _put(model: nn.Module, kept: Mapping[str, Tensor], checkpoint: Checkpoint, reading: Reading) -> _Fit:
    """Load what fits, through PyTorch's own loading, which knows the older names of some modules."""
    tensors = _renamed(checkpoint, reading)
    misshaped = {name for name in kept.keys() & tensors.keys() if kept[name].shape != tensors[name].shape}
    fitting = {name: tensor for name, tensor in tensors.items() if name not in misshaped}
    outcome = model.load_state_dict(fitting, strict=False)
    missing = kept.keys() & set(outcome.missing_keys) - tensors.keys()
    buffers = dict(model.named_buffers())
    unexpected = sorted(outcome.unexpected_keys)
    made = [name for name in unexpected if name in buffers and _holds(buffers[name], tensors[name])]
    return _Fit(
        absent=frozenset(name for name in missing if not _is_tied(name, kept, fitting)),
        misshaped=frozenset(misshaped),
        unexpected=tuple(name for name in unexpected if name not in made),
        made=tuple(made),
    )


def _renamed(checkpoint: Checkpoint, reading: Reading) -> dict[str, Tensor]:
    return {reading.names[name]: tensor for name, tensor in checkpoint.tensors.items()}


def _holds(buffer: Tensor, stored: Tensor) -> bool:
    return buffer.shape == stored.shape and _same(buffer.cpu(), stored.to(buffer.dtype))


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """`tensor` in the precision of the real `dtype`: complex numbers stay complex, integers stay as they are."""
    if tensor.is_complex():
        return tensor.to(dtype.to_complex())
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _check_kinds(origin: str, tensors: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
    for name in sorted(kept.keys() & tensors.keys()):
        found, expected = tensors[name], kept[name]
        if found.is_floating_point() != expected.is_floating_point() or found.is_complex() != expected.is_complex():
            raise CheckpointError(
                f"{origin}: '{name}' is stored in {found.dtype}, the model keeps it in {expected.dtype}.",
                remedy="Quantised weights must be turned back into floating point before they can be audited.",
            )


def _is_tied(name: str, kept: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> bool:
    return any(kept[other] is kept[name] for other in tensors.keys() & kept.keys())


def _check_ties(origin: str, tensors: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
    owners: dict[int, str] = {}
    for name in sorted(kept.keys() & tensors.keys()):
        first = owners.setdefault(id(kept[name]), name)
        if first != name and not _same(tensors[first], tensors[name]):
            raise CheckpointError(
                f"{origin}: '{first}' and '{name}' are one tied tensor in the model, but differ in the file.",
                remedy="Untie them in the model, or save the checkpoint from the tied one.",
            )


def _same(a: Tensor, b: Tensor) -> bool:
    # The 8-bit types know no torch.equal; they fit into float32.
    wide = [tensor.float() if tensor.is_floating_point() and tensor.dtype.itemsize < 2 else tensor for tensor in (a, b)]
    return torch.equal(*wide)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _adjustments(checkpoint: Checkpoint, fit: _Fit, dtype: torch.dtype) -> list[str]:
    target = str(dtype).removeprefix("torch.")
    sentences = [
        f"{count(group.tensors, 'tensor')} stored in {group.dtype}, audited in {target}."
        for group in checkpoint.groups
        if getattr(torch, group.dtype).is_floating_point and group.dtype != target
    ]
    if fit.unexpected:
        number = count(len(fit.unexpected), "tensor")
        sentences.append(f"{number} of the checkpoint not in the model, ignored: {grouped(fit.unexpected)}.")
    if fit.made:
        sentences.append(f"{count(len(fit.made), 'buffer')} of the checkpoint made by the model: {grouped(fit.made)}.")
    return sentences
