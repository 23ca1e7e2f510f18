"""The instrument tried on itself: before any number is believed, what is known must come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landscape_audit.results import Cost
from landscape_audit.text import number

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from landscape_audit.curvature.hessian import Matvec
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


TIGHT, LOOSE = 1e-3, 5e-2
"""How far H v may be from a difference of gradients, in float64 and in float32: about ten times ε^(2/3) in float32, and
room for the curvature of the gradient in both."""
COARSE = 1e-12
"""Rounding of a gradient, relative, that is not float64's: the geometric middle of the two precisions, nearly."""
WRONG = 0.05
"""A miss of a difference of gradients, fifty times its tolerance: no rounding, and two steps tell kinks apart."""


@dataclass(frozen=True)
class Agreement:
    """Two ways to the same number, how far apart they came out, and how far they may."""

    name: str
    meaning: str
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is a number, and small enough."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class InstrumentSample:
    """Every agreement, the size of rounding in a loss difference, in units of loss, and the loss itself."""

    agreements: tuple[Agreement, ...]
    loss_noise: float
    loss: float

    def still(self, loss: float) -> Agreement:
        """The loss at first against that at the end: two evaluations in a row miss a model that counts its calls."""
        tolerance = next(each.tolerance for each in self.agreements if each.name == "loss_repeats")
        meaning = "the loss at the beginning and at the end of the audit"
        return Agreement("loss_stays", meaning, _apart(self.loss, loss), tolerance)


@dataclass(frozen=True)
class InstrumentTrial:
    """Repeatability, symmetry, finite differences, a known spectrum, and float64 beside the audit's arithmetic."""

    name: str = "instrument_trial"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """Two evaluations of everything, and a few in float64."""
        return Cost(forwards=8, gradients=2 + 5 / size.n_batches, hvps=4 + 6 / size.n_batches)

    def take(self, bench: Bench) -> InstrumentSample:
        """In this order: what fails first explains what fails after."""
        import torch

        from landscape_audit.curvature.vectors import dot, norm, unit_gaussian

        generator = bench.generator(self.name)
        theta = bench.subject.theta
        u, v = (unit_gaussian(theta.numel(), generator, theta) for _ in range(2))
        loose = 1e3 * torch.finfo(theta.dtype).eps
        losses = [bench.evaluate().loss for _ in range(2)]
        gradients = [bench.gradient()[0] for _ in range(2)]
        hu, hv, again = bench.hvp(u), bench.hvp(v), bench.hvp(v)
        skew = abs(dot(u, hv) - dot(v, hu)) / max(norm(hu), norm(hv), 1e-300)
        repeats = (
            Agreement("loss_repeats", "two evaluations of the loss", _apart(*losses), loose),
            Agreement("gradient_repeats", "two evaluations of the gradient", _distance(*gradients), loose),
        )
        difference = _finite_difference(bench, v, doubtful=skew > loose)
        bench.gradient_rounding = bench.ranks.most(difference.eps)
        sample = InstrumentSample(
            agreements=(
                *repeats,
                Agreement("hvp_repeats", "two Hessian-vector products of one vector", _distance(hv, again), loose),
                Agreement("hvp_symmetric", "⟨u, Hv⟩ and ⟨v, Hu⟩, over |Hv|", skew, 1e3 * bench.eps),
                _known_spectrum(theta),
                difference.agreement,
                *_precisions(bench, v),
            ),
            loss_noise=_loss_noise(bench, generator),
            loss=losses[0],
        )
        if bench.ranks.agree(difference.wrong and all(agreement.agrees for agreement in repeats)):
            miss = 100 * difference.agreement.difference
            bench.distrust(f"Autograd's second derivative of this model is wrong by {miss:.2g} %")
        return sample


def _apart(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def _distance(a: Tensor, b: Tensor) -> float:
    from landscape_audit.curvature.vectors import norm

    return norm(a - b) / max(norm(a), norm(b), 1e-300)


@dataclass(frozen=True)
class _Difference:
    """H v beside differences of gradients, and what that said of the model."""

    agreement: Agreement
    wrong: bool = False
    """Whether H v is wrong beyond doubt: `WRONG` away, in float64, from two differences that agree, as they do not
    across kinks."""
    eps: float = 0.0
    """Rounding of a gradient, relative, where it was found to be coarser than that of its dtype."""


def _finite_difference(bench: Bench, v: Tensor, *, doubtful: bool) -> _Difference:
    """H v against a central difference of gradients on the first batch, in float64 where the model runs in it.

    Where they miss or something else is `doubtful`, rounding is measured: a model may compute parts of its loss in
    float32 whatever its weights are in, as root-mean-square norms and losses of transformers do, and is then held to
    what float32 allows.
    """
    import torch

    from landscape_audit.curvature.differences import rounding_noise
    from landscape_audit.curvature.vectors import norm

    if not bench.landscape.exact:
        error = bench.landscape.error
        return _Difference(Agreement("hvp_differences", "differences of gradients at two steps", error, LOOSE))
    subject = bench.double or bench.subject
    theta, v, share = subject.theta, v.to(subject.theta), 1 / bench.size.n_batches
    grad, eps, size = bench.landscape.first_gradient(subject), torch.finfo(theta.dtype).eps, max(norm(theta), 1.0)
    exact, slope = bench.landscape.on_first_batch(subject)(v), norm(grad(theta))
    double, coarse = theta.dtype == torch.float64, 0.0
    tolerance = TIGHT if double else LOOSE
    miss, apart = _miss(grad, theta, v, exact, eps, eps * slope / tolerance)
    bench.spend(Cost(hvps=share, gradients=5 * share))
    if double and (doubtful or not miss <= TIGHT):
        noise = rounding_noise(grad, theta, v, eps ** (1 / 3) * size / 30)
        bench.spend(Cost(gradients=15 * share))
        measured = noise / max(slope, norm(exact) * size, 1e-300)
        if measured > COARSE:
            coarse, tolerance = measured, LOOSE
            miss, apart = _miss(grad, theta, v, exact, coarse, noise / tolerance)
            bench.spend(Cost(gradients=4 * share))
            bench.note(
                f"Parts of the model compute in less than float64 whatever its weights are in: a gradient is rounded "
                f"to {number(coarse, 2)} of its size, and H v is held against differences of gradients as in float32."
            )
    wrong = double and apart <= TIGHT and miss > WRONG
    return _Difference(
        Agreement("hvp_differences", "Hv and a central difference of gradients", miss, tolerance), wrong, coarse
    )


def _miss(grad: Matvec, theta: Tensor, v: Tensor, exact: Tensor, eps: float, allowed: float) -> tuple[float, float]:
    """How far H v is from the better of two differences of gradients, relative to |Hv|; and how far those are apart.

    The better, since a kink of the activations between θ − hv and θ + hv moves the difference and not the derivative.
    Relative to 8/h times what is `allowed` for rounding where that is larger than |Hv|.
    """
    from landscape_audit.curvature.differences import difference_product
    from landscape_audit.curvature.vectors import norm

    longest = eps ** (1 / 3) * max(norm(theta), 1.0)
    steps = (longest, longest / 30)
    products = [difference_product(grad, theta, v, step) for step in steps]
    misses = [
        norm(exact - product) / max(norm(exact), 8 * allowed / step, 1e-300)
        for product, step in zip(products, steps, strict=True)
    ]
    return min(misses), _distance(*products)


def _precisions(bench: Bench, v: Tensor) -> tuple[Agreement, ...]:
    """H v in the audit's arithmetic against float64, on the first batch."""
    import torch

    from landscape_audit.curvature.vectors import norm
    from landscape_audit.probes.rayleigh import hvp_rounding

    if bench.subject.theta.dtype == torch.float64 or not bench.landscape.exact or (double := bench.double) is None:
        return ()
    exact = bench.landscape.on_first_batch(double)(v.double())
    bench.spend(Cost(hvps=1 / bench.size.n_batches))
    difference = hvp_rounding(bench, v) / max(norm(exact), 1e-300)
    return (Agreement("hvp_precision", "Hv in float32 and in float64", difference, 1e-2),)


def _known_spectrum(theta: Tensor) -> Agreement:
    """λ_max and λ_min of a quadratic with a chosen spectrum, split into ragged batches, on this device and dtype."""
    import torch

    from landscape_audit.curvature.hessian import Hessian, Term
    from landscape_audit.curvature.lanczos import lanczos
    from landscape_audit.curvature.layout import Block, Layout
    from landscape_audit.curvature.vectors import unit_gaussian

    spectrum = torch.linspace(-1.0, 5.0, 40, dtype=theta.dtype, device=theta.device)
    layout = Layout((Block("theta", (40,), 0, None),))

    def term(weight: float) -> Term:
        return lambda leaves: (0.5 * weight * (spectrum * leaves[0] ** 2).sum(), weight)

    hessian = Hessian(torch.zeros_like(spectrum), layout, [term(3.0), term(5.0), term(1.0)], 1 << 20)
    generator = torch.Generator().manual_seed(0)
    space = lanczos(hessian, unit_gaussian(40, generator, spectrum), 40, generator)
    found = np.array([space.ritz_values[0], space.ritz_values[-1]])
    difference = float(np.abs(found - np.array([-1.0, 5.0])).max() / 5.0)
    return Agreement("known_spectrum", "a quadratic of known spectrum", difference, 1e3 * torch.finfo(theta.dtype).eps)


def _loss_noise(bench: Bench, generator: torch.Generator) -> float:
    """Rounding of a loss difference: float32 against float64 over two short random displacements, times four.

    Four, as the larger of two is a small sample: it varies threefold from one pair of displacements to another.
    """
    import torch

    from landscape_audit.probes.landscape import Landscape

    subject, double = bench.subject, bench.double
    here = bench.evaluate().loss
    if subject.theta.dtype == torch.float64 or double is None:
        return 16 * bench.eps * abs(here)
    in_double = Landscape(double, bench.ranks, graph_memory=0)
    exact_here = in_double.evaluate(double.theta).loss
    noise = 16 * torch.finfo(torch.float64).eps * abs(here)
    for _ in range(2):
        step = 1e-3 * bench.scale.direction(subject.layout, generator)
        exact = in_double.evaluate((subject.theta + step).double()).loss - exact_here
        noise = max(noise, 4 * abs(bench.evaluate(step).loss - here - exact))
    bench.spend(Cost(forwards=3))
    return noise
