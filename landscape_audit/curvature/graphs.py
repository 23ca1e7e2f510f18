"""Autograd graphs kept from one product to the next, as many as there is memory for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

Built = TypeVar("Built")


class Graphs(Generic[Built]):
    """One graph a batch. The first `kept` stay; the others are built again whenever they are asked for.

    What a graph takes is measured on the first batch: the bytes of the distinct storages that autograd saves for it.
    None stays where that cannot be measured: torch.func's transforms refuse the hooks that it takes.
    """

    def __init__(self, build: Callable[[int], Built], count: int, memory: int) -> None:
        self.count = count
        self._build = build
        self._hidden = False
        self._bytes = self._measure() if memory > 0 and count else 0
        self.kept = min(count, memory // self._bytes) if self._bytes else 0

    def __iter__(self) -> Iterator[tuple[Built, bool]]:
        """Every batch's graph, and whether it stays: one that does not may be freed while it is walked."""
        for index in range(self.count):
            yield (self._stored[index], True) if index < self.kept else (self._build(index), False)

    @property
    def kept_bytes(self) -> int:
        """The memory of the kept ones, by what the first one took."""
        return self.kept * self._bytes

    @property
    def in_words(self) -> str:
        """`graphs kept for every pass`, `graphs rebuilt`."""
        if not self.kept:
            return "graphs rebuilt" + (", as torch.func in the model hides their size" if self._hidden else "")
        return f"graphs kept for {'every pass' if self.kept == self.count else f'{self.kept} of {self.count} passes'}"

    @functools.cached_property
    def _stored(self) -> list[Built]:
        return [self._build(index) for index in range(self.kept)]

    def _measure(self) -> int:
        storages: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        try:
            with saved_tensors_hooks(pack, lambda tensor: tensor):
                self._build(0)
        except Exception as error:
            if "saved tensor hooks" not in str(error):
                raise
            self._hidden = True
            return 0
        return sum(storages.values())
