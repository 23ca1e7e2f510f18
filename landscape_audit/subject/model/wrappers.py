"""Modules that hold a model for another purpose than computing it: compiled, parallel. What is inside is audited."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from landscape_audit.errors import ModelError
from landscape_audit.text import count


def unwrapped(model: Any) -> tuple[Any, tuple[str, ...]]:
    """`model` without wrappers at any depth, and a sentence for those that were taken off.

    Second derivatives through `torch.compile` fail, or worse, do not; parallel wrappers split batches. A scripted
    module keeps its parameters where no others can be put in their place.
    """
    taken: dict[str, int] = {}
    model = _core(model, taken)
    for module in list(model.modules()) if isinstance(model, nn.Module) else ():
        if vars(module).get("_compiled_call_impl"):  # what `module.compile()` sets
            vars(module)["_compiled_call_impl"] = None
            taken["torch.compile"] = taken.get("torch.compile", 0) + 1
        for name, child in module.named_children():
            core = _core(child, taken)
            if core is not child:
                setattr(module, name, core)
    return model, tuple(f"Taken out of {wrapper} ({count(times, 'module')})." for wrapper, times in taken.items())


def _core(module: Any, taken: dict[str, int]) -> Any:
    while True:
        if isinstance(module, torch.jit.ScriptModule):
            raise ModelError(
                f"the factory's model has a part compiled by torch.jit ({type(module).__name__}), whose parameters "
                "cannot be exchanged.",
                remedy="Return the module that was scripted or traced, not what torch.jit made of it.",
            )
        if isinstance(module, nn.DataParallel | DistributedDataParallel):
            wrapper, inside = type(module).__name__, module.module
        elif (inside := getattr(module, "_orig_mod", None)) is not None:
            wrapper = "torch.compile"
        else:
            return module
        taken[wrapper] = taken.get(wrapper, 0) + 1
        module = inside
