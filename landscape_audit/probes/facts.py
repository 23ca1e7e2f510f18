"""What a check may know of the audit without measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


@dataclass(frozen=True)
class Facts:
    """Sizes of the subject and settings of the protocol."""

    parameters: int
    n_samples: int
    n_batches: int
    level: float
    materiality: float
    learning_rate: float | None
    radius: float
    """|θ| over the filters: one unit of relative distance in plain Euclidean terms."""
    dtype: str
    """What is computed in: float32 or float64."""


@dataclass(frozen=True)
class AuditFacts:
    """Free of cost."""

    name: str = "facts"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """Nothing."""
        del size
        return Cost()

    def take(self, bench: Bench) -> Facts:
        """Read off the subject and the protocol."""
        return Facts(
            parameters=bench.subject.layout.size,
            n_samples=bench.subject.data.n_samples,
            n_batches=len(bench.subject.sample.batches),
            level=bench.protocol.level,
            materiality=bench.protocol.materiality,
            learning_rate=bench.protocol.learning_rate,
            radius=bench.scale.radius,
            dtype=str(bench.subject.theta.dtype).removeprefix("torch."),
        )
