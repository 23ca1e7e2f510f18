"""The processes that share one audit: who takes which batches, and how their sums come together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from landscape_audit.torchrun import is_several

if TYPE_CHECKING:
    from torch import Tensor, device

Found = TypeVar("Found")


@dataclass(frozen=True)
class Ranks:
    """`size` processes, of which this is number `rank`. Each holds θ and the Krylov basis; the batches are shared out.

    After every sum all processes hold the same bits, so that they take the same decisions without talking.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """The batches of this process: neighbours, so that they can be joined."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        if self.size > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def most(self, here: float) -> float:
        """The largest of what the processes have: for a number that each measures by itself."""
        if self.size == 1:
            return here
        import torch
        import torch.distributed as dist

        told = torch.tensor([here], dtype=torch.float64, device=self._meeting_place)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return float(told.item())

    def least(self, here: float) -> float:
        """The smallest of what the processes have."""
        return -self.most(-here)

    def gather(self, here: Found) -> list[Found]:
        """What each process has, in their order: for findings that are no tensor of one shape."""
        if self.size == 1:
            return [here]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, here)
        return found

    @property
    def _meeting_place(self) -> str:
        import torch.distributed as dist

        return "cuda" if dist.get_backend() == "nccl" else "cpu"

    def agree(self, here: bool) -> bool:  # noqa: FBT001 - one word, and it is the question
        """What the leading process says: for decisions that rest on a clock."""
        if self.size == 1:
            return here
        import torch
        import torch.distributed as dist

        said = torch.tensor([float(here)], device=self._meeting_place)
        dist.broadcast(said, src=0)
        return bool(said.item())


@contextlib.contextmanager
def joined(device: device) -> Iterator[Ranks]:
    """The processes that `torchrun` started, as long as they work together; or this one alone."""
    if not is_several():
        yield Ranks()
        return
    import torch.distributed as dist

    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
