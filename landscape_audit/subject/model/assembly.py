"""The model as it is audited: built, filled from the checkpoint, and for an adapter laid over its base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from landscape_audit.errors import CheckpointError, ModelError
from landscape_audit.no_code import is_declared
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint, read_checkpoint
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.model.adapter import is_adapter, with_adapter
from landscape_audit.subject.model.allowance import Allowance
from landscape_audit.subject.model.architecture import Place, build_declared
from landscape_audit.subject.model.derivatives import made_differentiable
from landscape_audit.subject.model.factory import build_model, check_parameters
from landscape_audit.subject.model.filling import Filled, fill

Build = Callable[[ModelSpec, UserCode], tuple[nn.Module, tuple[str, ...]]]
"""The user's factory called: the module, and what is to be told of it."""


@dataclass(frozen=True)
class Assembly:
    """A model in `eval()` mode with the checkpoint's numbers, and what was done on the way there."""

    model: nn.Module
    names: Mapping[str, str]
    """What each tensor of the checkpoint is called in the model."""
    told: tuple[str, ...]
    base: Checkpoint | None = None
    """What an adapter lies over, which is not trained."""


def assemble(
    spec: ModelSpec, stored: Checkpoint, code: UserCode, dtype: torch.dtype, build: Build = build_model
) -> Assembly:
    """The model that `spec` names with the numbers of `stored`; `build` calls the user's factory."""
    if spec.base is None:
        _refuse_lone_adapter(stored)
        base, filled = None, _filled(spec, stored, code, dtype, build)
    else:
        base = read_checkpoint(code.base / spec.base)
        under = _filled(spec, base, code, dtype, build)
        over = with_adapter(under.model, stored, dtype)
        filled = replace(over, told=(*under.told, *over.told))
    return Assembly(filled.model, filled.names, (*stored.told, *filled.told, *made_differentiable(filled.model)), base)


def _filled(spec: ModelSpec, weights: Checkpoint, code: UserCode, dtype: torch.dtype, build: Build) -> Filled:
    told: tuple[str, ...] = ()
    if is_declared(spec.factory):
        model = build_declared(spec, Place(weights.folder, code.base), Allowance.of(weights))
        check_parameters(spec.factory, model, chosen=bool(spec.parameter_globs))
    else:
        model, told = build(spec, code)
    wide = _widened(model, dtype)
    with code.running(spec.factory, ModelError):  # modules may bring their own ways of loading
        filled = fill(model, weights, spec, dtype)
    return replace(filled, told=(*told, *wide, *filled.told))


def _widened(model: nn.Module, dtype: torch.dtype) -> list[str]:
    """What is lost where a model comes in low precision: the tensors that it computes and no checkpoint holds."""
    found = {value.dtype for value in (*model.parameters(), *model.buffers()) if value.is_floating_point()}
    narrow = sorted(str(kind).removeprefix("torch.") for kind in found if kind.itemsize < torch.float32.itemsize)
    target = str(dtype).removeprefix("torch.")
    return [f"The model comes in {', '.join(narrow)}, and is audited in {target}."] if narrow else []


def _refuse_lone_adapter(stored: Checkpoint) -> None:
    if is_adapter(stored):
        raise CheckpointError(
            f"{stored.name}: is a LoRA adapter, which lies over a base model.",
            remedy='Name the base\'s file or folder:  [model] base = "base/"',
        )
