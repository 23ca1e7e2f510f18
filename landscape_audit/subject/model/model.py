"""The model's definition, and the checkpoint's tensors put into it by name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from landscape_audit.errors import CheckpointError, ModelError
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.model.names import Reading, Shapes, leads, readings, suggested_prefix, suggested_rename
from landscape_audit.subject.model.wrappers import unwrapped
from landscape_audit.text import count

_LISTED = 6  # names spelled out in one sentence


def build_model(spec: ModelSpec, code: UserCode) -> tuple[nn.Module, tuple[str, ...]]:
    """What the factory returns: a module with real, trainable parameters, out of its wrappers, which are told."""
    factory = code.resolve(spec.factory, ModelError)
    with code.running(spec.factory, ModelError):
        model, told = unwrapped(factory(**spec.kwargs))
        if not isinstance(model, nn.Module):
            found = f"{spec.factory}: returned {type(model).__name__}, not a torch.nn.Module."
            raise ModelError(found, remedy="Return the model itself.")
        check_parameters(spec.factory, model, chosen=bool(spec.parameter_globs))
    return model, told


@dataclass(frozen=True)
class Loaded:
    """What each tensor of the checkpoint is called in the model, and what was done differently, in sentences."""

    names: Mapping[str, str]
    told: tuple[str, ...]


def load(model: nn.Module, checkpoint: Checkpoint, spec: ModelSpec, dtype: torch.dtype) -> Loaded:
    """Put the checkpoint into `model`, in `dtype` and `eval()` mode.

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
        raise _Misfit(checkpoint.name, spec, *shapes, set(fit.absent), set(fit.misshaped), list(fit.unexpected)).error()
    _check_ties(checkpoint.name, tensors, kept)
    model.eval()
    told = [reading.told] if reading.told else []
    return Loaded(reading.names, (*told, *_adjustments(checkpoint, fit, dtype)))


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


def check_parameters(factory: str, model: nn.Module, *, chosen: bool) -> None:
    """An error unless the parameters are real, have shapes and values, and some are trained or will be `chosen`."""
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ModelError(
                f"{factory}: the parameter '{name}' has no shape yet.",
                remedy="Run the lazy model once in the factory.",
            )
        if parameter.is_meta or parameter.is_inference():
            how = "on the meta device" if parameter.is_meta else "in inference mode"
            raise ModelError(
                f"{factory}: the parameter '{name}' was made {how}, where nothing can be loaded into it.",
                remedy="Build the model as for training, on the CPU.",
            )
        if parameter.requires_grad and not parameter.is_floating_point():
            raise ModelError(
                f"{factory}: '{name}' is {parameter.dtype}; only real parameters have a landscape here.",
                remedy="Freeze it with requires_grad_(False), or keep its real and imaginary part as two parameters.",
            )
    if not (chosen or any(parameter.requires_grad for parameter in model.parameters())):
        raise ModelError(
            f"{factory}: the model has no trainable parameters, hence no loss landscape.",
            remedy='Leave requires_grad on, or choose some with  [model] parameters = "*"',
        )


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
        sentences.append(f"{number} of the checkpoint not in the model, ignored: {_grouped(fit.unexpected)}.")
    if fit.made:
        sentences.append(f"{count(len(fit.made), 'buffer')} of the checkpoint made by the model: {_grouped(fit.made)}.")
    return sentences


def _grouped(names: Sequence[str]) -> str:
    """The names, or where they are many how many there are by their first part: `optimizer.* (12), ema.* (4)`."""
    if len(names) <= _LISTED:
        return ", ".join(f"'{name}'" for name in names)
    firsts = Counter(f"{name.partition('.')[0]}.*" if "." in name else name for name in names)
    listed = [f"'{first}' ({number:,})" if number > 1 else f"'{first}'" for first, number in firsts.most_common()]
    return ", ".join(listed[:_LISTED]) + (", …" if len(listed) > _LISTED else "")


@dataclass(frozen=True)
class _Misfit:
    """Every difference between the file and the model, for one message that names both sides."""

    origin: str
    spec: ModelSpec
    model: Shapes
    file: Shapes
    absent: set[str]
    misshaped: set[str]
    unexpected: list[str]

    def error(self) -> CheckpointError:
        first, *others = [*self._absent(), *self._misshaped(), *self._unexpected()]
        return CheckpointError(f"{self.origin}: {first}", details=others, remedy=self._remedy())

    def _absent(self) -> list[str]:
        who = self.spec.factory
        if len(self.absent) == 1:
            (name,) = self.absent
            return [f"no tensor '{name}', which {who} expects with shape {self.model[name]}."]
        listed = self._listed(self.absent, self.model)
        return [f"{len(self.absent):,} tensors that {who} expects are not there: {listed}."] if listed else []

    def _misshaped(self) -> list[str]:
        shown = sorted(self.misshaped)[:_LISTED]
        lines = [
            f"'{name}' has shape {self.file[name]}, {self.spec.factory} expects {self.model[name]}." for name in shown
        ]
        more = len(self.misshaped) - len(shown)
        return [*lines, f"{count(more, 'other tensor')} of another shape than expected."] if more else lines

    def _unexpected(self) -> list[str]:
        many = len(self.unexpected) > _LISTED
        has = f"The file has {_grouped(self.unexpected) if many else self._listed(self.unexpected, self.file)}"
        return [f"{has}, which the model does not."] if self.unexpected else []

    def _remedy(self) -> str:
        # What a renaming brought about is not for another renaming to mend: it would speak of names not in the file.
        made = set(self.spec.rename.values())
        spare = {name: self.file[name] for name in self.unexpected if not any(leads(new, name) for new in made)}
        missing = {name: self.model[name] for name in sorted(self.absent)}
        if missing and spare:
            prefix = suggested_prefix(missing, spare)
            if prefix and not self.spec.rename:
                whole = f"{self.spec.prefix.rstrip('.')}.{prefix}".lstrip(".")
                rest = [name for name in self.unexpected if name.removeprefix(f"{prefix}.") not in self.model]
                and_rest = "; leave out what else is there with  strict = false" if rest and self.spec.strict else ""
                return f"Remove the prefix with  [model] prefix = {json.dumps(whole)}{and_rest}"
            rename = {**self.spec.rename, **suggested_rename(missing, spare)}
            if len(rename) > len(self.spec.rename):
                pairs = ", ".join(f"{json.dumps(old)} = {json.dumps(new)}" for old, new in rename.items())
                return f"Rename {'it' if len(missing) == 1 else 'them'} with  [model] rename = {{{pairs}}}"
        if self.unexpected and not self.absent and not self.misshaped:
            return "If they are not needed:  [model] strict = false"
        return "Is this the checkpoint of this model, with these [model] kwargs?"

    def _listed(self, names: set[str] | list[str], shapes: Shapes) -> str:
        shown = ", ".join(f"'{name}' {shapes.get(name, '')}" for name in sorted(names)[:_LISTED])
        return f"{shown} and {len(names) - _LISTED:,} more" if len(names) > _LISTED else shown
