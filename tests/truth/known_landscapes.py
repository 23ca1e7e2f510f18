"""Landscapes of which the truth is known: one builder each, and the list that the tests and `ci/landscapes` audit.

A seed changes the data or the initialisation, and the audit's own random streams. Where a landscape is a bare
function, odd seeds are audited in float64.
"""

from __future__ import annotations

import math

import torch
from known import Known, Number, Placed, exactly, highest
from known_trainings import (
    DOUBLE,
    edge_of_stability,
    lbfgs_minimum,
    minimise,
    rescaled_relu_network,
    sam_in_a_valley,
    sam_on_a_quadratic,
    split_neuron_in_a_bowl,
    split_neuron_worth_leaving,
)
from matrices import symmetric
from subjects import Landscape, bench, cross_entropy, half_square, output, subject
from torch import Tensor, nn

LAMBDA_MAX, LAMBDA_MIN = "sharpness.lambda_max", "negative_curvature.lambda_min"
SATURATED = 60.0
"""A bias at which every sigmoid is 1 to the last bit, whatever the input."""


def placed(seed: int, function, theta, *numbers: Number, dtype: str | None = None) -> Placed:
    points, dtype = torch.zeros(16, 1), dtype or ("float32", "float64")[seed % 2]
    audited = subject(Landscape(function, theta), output, points, points, dtype=getattr(torch, dtype))
    return Placed(bench(audited, seed=seed, dtype=dtype), numbers)


def uniform(seed: int, low: float, high: float, count: int = 1) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=torch.Generator().manual_seed(seed))


def spectrum_known(spectrum: Tensor) -> tuple[Number, Number]:
    return exactly("λ_max", LAMBDA_MAX, float(spectrum.max())), exactly("λ_min", LAMBDA_MIN, float(spectrum.min()))


def quadratic(seed: int, spectrum: Tensor) -> Placed:
    """1 + θᵀAθ/2 at the origin, A turned at random."""
    matrix = symmetric(spectrum.tolist(), seed=seed)
    return placed(seed, lambda t: 1 + 0.5 * t @ matrix.to(t) @ t, torch.zeros(len(spectrum)), *spectrum_known(spectrum))


def bowl(seed: int) -> Placed:
    return quadratic(seed, uniform(seed, 0.5, 5.0, 6))


def saddle(seed: int) -> Placed:
    return quadratic(seed, torch.cat([uniform(seed, 0.5, 5.0, 5), uniform(seed, -3.0, -0.5)]))


def hilltop(seed: int) -> Placed:
    return quadratic(seed, uniform(seed, -5.0, -0.5, 6))


def maximum_of_a_mean_of_cosines(seed: int) -> Placed:
    """E cos(xᵀθ) at the origin: H = −XᵀX/N."""
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    spectrum = -torch.linalg.eigvalsh(x.T @ x / len(x))
    return placed(seed, lambda t: 1 + torch.cos(x.to(t) @ t).mean(), torch.zeros(4), *spectrum_known(spectrum))


def monkey_saddle(seed: int) -> Placed:
    """Re (x + iy)³, turned: gradient and Hessian vanish at the origin, and it falls along three rays."""
    angle = 2 * math.pi * float(uniform(seed, 0, 1))
    a, b = math.cos(angle), math.sin(angle)

    def function(t: Tensor) -> Tensor:
        x, y = a * t[0] - b * t[1], b * t[0] + a * t[1]
        return x**3 - 3 * x * y**2

    return placed(seed, function, torch.zeros(2))


def quartic_at_its_bottom(seed: int) -> Placed:
    scales = uniform(seed, 0.5, 2.0, 2)
    return placed(seed, lambda t: (scales.to(t) * t**4).sum(), torch.zeros(2))


def quartic_on_its_slope(seed: int) -> Placed:
    """x⁴: Newton's step is −x/3, promises g²/(2h) = 2/3 of the loss, and gains 1 − (2/3)⁴ = 65/81 of it."""
    x = uniform(seed, 0.05, 0.2)
    loss, tolerance = float(x) ** 4, 1e-5  # float32 keeps seven digits of x
    numbers = (
        ("promised", "trust region, promised", 2 / 3 * loss),
        ("gained", "trust region", 65 / 81 * loss),
    )
    ranges = (Number(n, highest(curve), v * (1 - tolerance), v * (1 + tolerance)) for n, curve, v in numbers)
    return placed(seed, lambda t: (t**4).sum(), x, *ranges)


def constant(seed: int) -> Placed:
    return placed(seed, lambda t: 1 + 0 * t.sum(), uniform(seed, -1, 1, 3))


def slope(seed: int) -> Placed:
    theta = uniform(seed, 0.5, 2, 3)
    return placed(seed, lambda t: 1 + t.sum(), theta)


def narrow_valley(seed: int, dtype: str) -> Placed:
    """λ_max = 10⁴ beside λ_min = −10⁻⁵, not along the axes; leaving is worth ten times the loss.

    float32's rounding of the large part of a product is about 10⁻³.
    """
    angle = 2 * math.pi * float(uniform(seed, 0, 1))
    a, b = math.cos(angle), math.sin(angle)

    def function(t: Tensor) -> Tensor:
        return 1e-6 + 0.5e4 * (a * t[0] - b * t[1]) ** 2 - 0.5e-5 * (b * t[0] + a * t[1]) ** 2

    return placed(seed, function, torch.zeros(2), dtype=dtype)


def linear_regression(seed: int) -> Placed:
    """At the least-squares solution: H = XᵀX/N."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    noise = 0.3 * torch.randn(200, 1, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(6, 1, generator=generator, dtype=torch.float64) + noise
    model = nn.Linear(6, 1, bias=False)
    model.weight.data = torch.linalg.lstsq(x, y).solution.T
    dtype = ("float32", "float64")[seed % 2]
    audited = subject(model, half_square, x, y, dtype=getattr(torch, dtype))
    spectrum = torch.linalg.eigvalsh(x.T @ x / len(x))
    return Placed(bench(audited, seed=seed, dtype=dtype), spectrum_known(spectrum))


def softmax_regression(seed: int) -> Placed:
    """H = E[(diag p − ppᵀ) ⊗ x̃x̃ᵀ]; one constant added to all classes changes nothing, so λ_min = 0."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(240, 5, generator=generator, dtype=torch.float64)
    wish = x @ torch.randn(5, 3, generator=generator, dtype=torch.float64)
    y = (wish + torch.randn(240, 3, generator=generator, dtype=torch.float64)).argmax(1)
    model = nn.Linear(5, 3).double()
    minimise(lambda: nn.functional.cross_entropy(model(x), y), model)
    p = model(x).detach().softmax(1)
    with_bias = torch.cat([x, torch.ones(240, 1, dtype=x.dtype)], 1)
    inner = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    hessian = torch.einsum("nab,ni,nj->aibj", inner, with_bias, with_bias).reshape(18, 18) / 240
    numbers = (exactly("λ_max", LAMBDA_MAX, float(torch.linalg.eigvalsh(hessian)[-1])), exactly("λ_min", LAMBDA_MIN, 0))
    return Placed(bench(subject(model, cross_entropy, x, y, dtype=torch.float64), seed=seed, **DOUBLE), numbers)


def two_layer_linear(seed: int) -> Placed:
    """At W₁ = W₂ = 0 the gradient is zero and H couples the layers through C = XᵀY/N: its eigenvalues are ±σ(C)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(256, 4, generator=generator)
    y = x @ torch.randn(4, 3, generator=generator)
    model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 3, bias=False))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    top = torch.linalg.svdvals(x.double().T @ y.double() / len(x))[:1]
    return Placed(bench(subject(model, half_square, x, y), seed=seed), spectrum_known(torch.cat([top, -top])))


def random_initialisation(seed: int) -> Placed:
    torch.manual_seed(seed)
    x = torch.randn(320, 8)
    y = (x[:, :2].sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    return Placed(bench(subject(model, cross_entropy, x, y), seed=seed))


def saturated_network(seed: int) -> Placed:
    """Every sigmoid is on for every input, and what follows is frozen."""
    torch.manual_seed(seed)
    x = torch.randn(160, 4)
    y = (x.sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(4, 6), nn.Sigmoid(), nn.Linear(6, 2))
    nn.init.constant_(model[0].bias, SATURATED)
    model[2].requires_grad_(requires_grad=False)
    on = bench(subject(model, cross_entropy, x, y), seed=seed)
    return Placed(on, labels={"activations.reason": "saturated units"})


KNOWN = (
    Known("linear regression at its solution", "H = XᵀX/N", linear_regression, ("minimum",)),
    Known("softmax regression at its solution", "H in closed form, λ_min = 0", softmax_regression, ("minimum",)),
    Known("tanh network, L-BFGS in float64", "dense H is positive definite", lbfgs_minimum, ("minimum",)),
    Known("bowl", "chosen spectrum", bowl, ("minimum",)),
    Known("quadratic saddle", "chosen spectrum", saddle, ("saddle",)),
    Known("two-layer linear network at 0", "λ = ±σ_max(XᵀY/N)", two_layer_linear, ("saddle",)),
    Known("split neuron, worth leaving", "λ_min in closed form", split_neuron_worth_leaving, ("saddle",)),
    Known(
        "split neuron, worth about δ",
        "λ_min in closed form",
        split_neuron_in_a_bowl,
        ("saddle", "approximate_minimum", "undecided"),
    ),
    Known("narrow valley in float64", "λ from −10⁻⁵ to 10⁴", lambda s: narrow_valley(s, "float64"), ("saddle",)),
    Known(
        "narrow valley in float32",
        "λ_min is below rounding",
        lambda s: narrow_valley(s, "float32"),
        ("saddle", "undecided"),
    ),
    Known("hilltop", "chosen spectrum, all negative", hilltop, ("maximum",)),
    Known("mean of cosines at 0", "H = −XᵀX/N", maximum_of_a_mean_of_cosines, ("maximum",)),
    Known("monkey saddle", "g = 0, H = 0", monkey_saddle, ("degenerate", "undecided")),
    Known("x⁴ at 0", "g = 0, H = 0", quartic_at_its_bottom, ("degenerate", "undecided")),
    Known("x⁴ beside 0", "Newton's step: 2/3 promised, 65/81 gained", quartic_on_its_slope, ("not_critical",)),
    Known("slope", "H = 0", slope, ("not_critical",)),
    Known("random initialisation", "far from any minimum", random_initialisation, ("not_critical",)),
    Known("constant", "nothing moves the loss", constant, ("plateau",)),
    Known("saturated sigmoids", "`activations` names the saturation", saturated_network, ("plateau",)),
    Known("gradient descent at the edge of stability", "λ_max·η/2 = 1 ± 0.15", edge_of_stability),
    Known("ReLU network, layers rescaled", "λ_max × 10 or more, invariants ± 5 %", rescaled_relu_network),
    Known("SAM twin in a valley", "λ_max falls", sam_in_a_valley),
    Known("SAM twin of linear regression", "one curvature everywhere: not called flatter", sam_on_a_quadratic),
)
