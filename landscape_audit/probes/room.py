"""What fits into memory: how the Krylov basis is kept, and what is left for graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.spec import BasisStorage
from landscape_audit.text import mebibytes

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.basis import Storage


@dataclass(frozen=True)
class Room:
    """How the basis is kept, the bytes that graphs may take, and what was done differently from the plain way."""

    storage: Storage
    graphs: int
    adjustment: str = ""


def furnish(theta: Tensor, rows: int, memory: int, wanted: BasisStorage) -> Room:
    """Room for `rows` vectors like `theta` and for graphs, in `memory` bytes on the device.

    The basis takes at most half: in full if that fits, else in float16, else on the host.
    """
    import torch

    from landscape_audit.curvature.basis import Storage

    host = torch.device("cpu")
    ways = {
        "full": Storage(theta.dtype, theta.device),
        "half": Storage(torch.float16, theta.device),
        "host": Storage(theta.dtype, host),
    }

    def needs(way: str) -> int:
        return rows * ways[way].row_bytes(theta.numel()) if ways[way].device == theta.device else 0

    fitting = [way for way in ways if needs(way) <= memory // 2]
    chosen = wanted if wanted != "auto" else next(iter(fitting), "host" if theta.device != host else "half")
    left = max(0, memory - needs(chosen) - rows_beside(theta))
    if chosen == "full":
        return Room(ways[chosen], left)
    how = "float16" if chosen == "half" else "host memory"
    why = "as asked" if wanted != "auto" else f"{mebibytes(needs('full'))} in full do not fit beside the graphs"
    return Room(ways[chosen], left, f"The Krylov basis of {rows} vectors is kept in {how}: {why}.")


def rows_beside(theta: Tensor) -> int:
    """The bytes of the vectors that live beside the basis: directions, products, a gradient."""
    return 6 * theta.numel() * theta.element_size()
