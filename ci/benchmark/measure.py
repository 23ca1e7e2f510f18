"""One workload by everyone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from clock import medians
from contestants import Contestant
from ours import SURFACE, Ours
from peers import PEERS
from race import Row, failure_in_words, race, rows
from reference import Reference, apart, exact_product, reference
from workloads import Workload, workload


@dataclass(frozen=True)
class Product:
    """One Hessian-vector product of a library: its cost, and its relative error against double backward in float64."""

    who: str
    gradients: float = 0.0
    error: float = 0.0
    failure: str = ""


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
    """A product that fails is its cell, and is not timed."""
    exact, errors, failures = exact_product(given, given.direction), {}, []
    for each in contestants:
        try:
            errors[each.name] = apart(each.product(), exact)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its cell, and the exit code tells
            failures.append(Product(each.name, failure=failure_in_words(error)))
    calls = {each.name: each.product for each in contestants if each.name in errors}
    seconds = medians({"gradient": ours.gradient} | calls, rounds)
    unit = seconds["gradient"]
    return [*(Product(name, seconds[name] / unit, error) for name, error in errors.items()), *failures]
