"""The largest eigenvalue of each layer's own diagonal block of the Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.layout import Group
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


@dataclass(frozen=True)
class LayerTop:
    """One layer: how many parameters, its share of the top Ritz vector, and its block's largest Ritz value."""

    name: str
    parameters: int
    weight_in_top: float
    """|y_l|² of the Hessian's top Ritz vector y: the shares of all layers add up to one."""
    lambda_max: float | None
    residual: float | None


@dataclass(frozen=True)
class LayerKrylov:
    """A few Lanczos steps on each diagonal block, from the Hessian's top Ritz vector cut to it."""

    name: str = "layer_krylov"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    TOLERANCE = 1e-2
    SHARE = 0.5
    """Of a whole product, on average over the layers: a block's product ends where its parameters are."""

    def cost(self, size: Size) -> Cost:
        """At most `layer_steps` products a layer."""
        return Cost(hvps=self.SHARE * size.layers * (size.budgets.layer_steps or 0))

    def take(self, bench: Bench) -> tuple[LayerTop, ...]:
        """Layer by layer, from the input on."""
        top = bench.take(HessianKrylov())
        vector = top.ritz_vector(top.top(1))
        return tuple(_layer(bench, group, vector) for group in bench.layers)


def _layer(bench: Bench, group: Group, vector: Tensor) -> LayerTop:
    from landscape_audit.curvature.lanczos import lanczos
    from landscape_audit.curvature.vectors import norm, unit_gaussian

    part = vector[bench.subject.layout.span(group.members)]
    steps = bench.budgets.layer_steps or 0
    if not steps or bench.out_of_time():
        return LayerTop(group.name, part.numel(), norm(part) ** 2, None, None)
    product = bench.landscape.block(group.members)

    def matvec(v: Tensor) -> Tensor:
        found = product(v)
        bench.spend(Cost(hvps=LayerKrylov.SHARE))
        return found

    generator = bench.generator(f"layer_krylov:{group.name}")
    # Something of every direction, in case the block's own top is orthogonal to the cut.
    start = part / max(norm(part), 1e-30) + 0.1 * unit_gaussian(part.numel(), generator, part)
    space = lanczos(
        matvec,
        start,
        steps,
        generator,
        stop=lambda s: bench.ranks.agree(bool(s.residuals[-1] <= LayerKrylov.TOLERANCE * abs(s.ritz_values[-1]))),
        storage=bench.room.storage,
    )
    return LayerTop(group.name, part.numel(), norm(part) ** 2, float(space.ritz_values[-1]), float(space.residuals[-1]))
