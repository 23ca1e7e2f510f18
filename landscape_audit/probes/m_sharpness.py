"""What one step of sharpness-aware training sees: every batch's rise up its own gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.ascent import RADIUS
from landscape_audit.probes.perturbations import finite_mean
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.statistics import Mean


@dataclass(frozen=True)
class BatchRises:
    """L_b(θ + ρ g_b / |g_b|) − L_b(θ) for every batch b that has a weight, and how many examples each holds."""

    rises: tuple[float, ...]
    weights: tuple[float, ...]
    sizes: tuple[int, ...]

    @property
    def mean(self) -> Mean:
        """The mean over batches, by weight; its standard error is that of drawing other batches."""
        return finite_mean(self.rises, self.weights)


@dataclass(frozen=True)
class MSharpness:
    """SAM's objective less the loss, at the checkpoint, with m the size of the sample's batches.

    Source: Foret et al. 2021, where m is the number of examples that share one perturbation.
    """

    name: str = "m_sharpness"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """A gradient and a forward."""
        del size
        return Cost(forwards=1, gradients=1)

    def take(self, bench: Bench) -> BatchRises:
        """Batch by batch."""
        table = bench.landscape.one_step_by_batch(RADIUS)
        bench.spend(Cost(forwards=1, gradients=1))
        sizes = [batch.size for batch in bench.subject.sample.batches]
        batches = [(*row, size) for row, size in zip(table.tolist(), sizes, strict=True) if row[2]]
        return BatchRises(
            rises=tuple((up - here) / weight for here, up, weight, _ in batches),
            weights=tuple(weight for _, _, weight, _ in batches),
            sizes=tuple(size for *_, size in batches),
        )
