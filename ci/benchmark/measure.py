"""One workload by everyone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from clock import medians
from contestants import Contestant
from ours import SURFACE, Ours
from peers import PEERS
from race import Row, race, rows
from reference import Reference, apart, exact_product, reference
from workloads import Workload, workload


@dataclass(frozen=True)
class Product:
    """One Hessian-vector product of a library: its cost, and its relative error against double backward in float64."""

    who: str
    gradients: float
    error: float


@dataclass(frozen=True)
class Measured:
    """Everything about one workload."""

    parameters: int
    loss: float
    reference: Reference
    gradient_seconds: float
    forward: float
    """In gradients."""
    surface_point: float
    """In forwards."""
    algebra: float
    """CPU time of a Lanczos run outside its products, over the time inside them."""
    products: Sequence[Product]
    rows: Sequence[Row]


def measure(name: str, rounds: int, short_rounds: int) -> Measured:
    """The reference, then what is short, then the long runs."""
    given = workload(name)
    truth = reference(given)
    ours = Ours(given)
    steps = round(ours.parts["ends"].call(0, 0).products)
    contestants: list[Contestant] = [ours, *(peer(given, truth, steps) for peer in PEERS)]
    seconds = medians({"gradient": ours.gradient, "forward": ours.forward}, short_rounds)
    around = medians({"forward": ours.forward, "surface": ours.surface}, rounds)
    return Measured(
        parameters=given.parameters,
        loss=ours.loss(),
        reference=truth,
        gradient_seconds=seconds["gradient"],
        forward=seconds["forward"] / seconds["gradient"],
        surface_point=around["surface"] / SURFACE**2 / around["forward"],
        algebra=statistics.median(ours.algebra() for _ in range(3)),
        products=_products(given, ours, contestants, short_rounds),
        rows=rows(contestants, race(contestants, ours.gradient, rounds), truth),
    )


def _products(given: Workload, ours: Ours, contestants: Sequence[Contestant], rounds: int) -> list[Product]:
    exact = exact_product(given, given.direction)
    seconds = medians({"gradient": ours.gradient} | {each.name: each.product for each in contestants}, rounds)
    return [
        Product(each.name, seconds[each.name] / seconds["gradient"], apart(each.product(), exact))
        for each in contestants
    ]
