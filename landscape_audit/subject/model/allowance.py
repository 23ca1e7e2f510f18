"""How large a model may be: no larger than the checkpoint that is to fill it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn.modules import module as registry

from landscape_audit.errors import ModelError
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint
from landscape_audit.text import count

_TIED = 2  # a tied tensor is made under each of its names before one is dropped
_SPARE = 1 << 20  # numbers, and below modules, for what small models have besides their tensors
_COMPUTED = 1 << 28  # numbers in buffers, which may be computed and not stored: masks and positional tables


@dataclass(frozen=True)
class Allowance:
    """What a configuration may ask for: hostile ones claim more than any machine has, and would only be waited for."""

    origin: str
    tensors: int
    elements: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Allowance:
        """What a model filled by `checkpoint` may need."""
        sizes = [tensor.numel() for tensor in checkpoint.tensors.values()]
        return cls(checkpoint.name, len(sizes), sum(sizes))

    @contextlib.contextmanager
    def held(self, what: str) -> Iterator[None]:
        """While it lasts, building a model fails before memory is filled that the checkpoint could not fill."""
        seen = {"parameters": 0, "buffers": 0, "modules": 0}
        most = {
            "parameters": _TIED * self.elements + _SPARE,
            "buffers": _TIED * self.elements + _COMPUTED,
            "modules": 100 * self.tensors + _SPARE // 64,
        }

        def spend(kind: str, size: int) -> None:
            seen[kind] += size
            if seen[kind] > most[kind]:
                unit = "modules" if kind == "modules" else f"numbers in its {kind}"
                raise ModelError(
                    f"{what}: builds a model with more than {most[kind]:,} {unit}, and {self.origin} has "
                    f"{count(self.elements, 'number')} in {count(self.tensors, 'tensor')}.",
                    remedy="Is this the configuration of this checkpoint?",
                )

        def tensor(kind: str, value: Tensor | None) -> None:
            spend(kind, 0 if value is None else value.numel())

        hooks = [
            registry.register_module_parameter_registration_hook(lambda _, __, value: tensor("parameters", value)),
            registry.register_module_buffer_registration_hook(lambda _, __, value: tensor("buffers", value)),
            registry.register_module_module_registration_hook(lambda _, __, ___: spend("modules", 1)),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
