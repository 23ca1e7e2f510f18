"""Places that training leads to and theory knows: minima, saddles made of them, the edge of stability, SAM."""

from __future__ import annotations

from itertools import pairwise

import torch
from known import Placed, between, exactly
from subjects import bench, cross_entropy, dense_hessian, half_square, subject, with_course
from torch import Tensor, nn

DOUBLE = {"dtype": "float64"}
TWINS = {"steps": 400, "rho": 0.3, "momentum": 0.0, "variants": ["sam"]}


def minimise(loss, model: nn.Module) -> None:
    """L-BFGS until nothing moves any more."""
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)


def network(*widths: int, activation=nn.Tanh) -> nn.Sequential:
    layers = [module for a, b in pairwise(widths) for module in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers[:-1])


def ridges(seed: int, *, spread: float, noise: float, n: int = 200) -> tuple[Tensor, Tensor]:
    """Two ridge functions, one of each input: two tanh units fit them, one does not."""
    generator = torch.Generator().manual_seed(seed)
    x = spread * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    y = torch.tanh(x[:, :1]) - torch.tanh(2 * x[:, 1:])
    return x, y + noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)


def fitted(width: int, x: Tensor, y: Tensor, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    model = network(x.shape[1], width, 1).double()
    minimise(lambda: 0.5 * (model(x) - y).square().mean(), model)
    return model


def lbfgs_minimum(seed: int) -> Placed:
    """Two tanh units at the minimum of what two can fit: the dense Hessian says that it is one."""
    x, y = ridges(seed, spread=2.0, noise=0.3)
    audited = subject(fitted(2, x, y, seed), half_square, x, y, dtype=torch.float64)
    spectrum = torch.linalg.eigvalsh(dense_hessian(audited))
    assert spectrum[0] > 0
    numbers = (
        exactly("λ_max", "sharpness.lambda_max", float(spectrum[-1])),
        exactly("λ_min", "negative_curvature.lambda_min", float(spectrum[0])),
    )
    return Placed(bench(audited, seed=seed, **DOUBLE), numbers)


def curls(model: nn.Sequential, x: Tensor, y: Tensor) -> list[Tensor]:
    """A = v E[r φ''(w·x̃) x̃x̃ᵀ] of each hidden unit: after Fukumizu & Amari 2000."""
    residual = (model(x) - y).detach()
    value = model[1](model[0](x)).detach()
    bend = -2 * value * (1 - value**2) * residual * model[2].weight.detach()
    with_bias = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    return [torch.einsum("n,ni,nj->ij", bend[:, unit], with_bias, with_bias) / len(x) for unit in range(bend.shape[1])]


def split_neuron(seed: int, x: Tensor, y: Tensor, width: int) -> Placed:
    """A minimum of a narrow network, with one unit doubled and its outgoing weight halved.

    The function stays, and so does the gradient of zero. Moving the halves apart by ±d/√2 bends the loss by dᵀAd/2,
    orthogonally to everything else: where A has a negative eigenvalue, the lowest of H is half of it.
    """
    narrow = fitted(width, x, y, seed)
    lowest = [float(torch.linalg.eigvalsh(A)[0]) for A in curls(narrow, x, y)]
    unit = min(range(width), key=lambda each: lowest[each])
    assert lowest[unit] < 0
    copies, shares = torch.tensor([*range(width), unit]), torch.ones(width + 1, dtype=x.dtype)
    shares[unit] = shares[-1] = 0.5
    wide = network(x.shape[1], width + 1, 1).double()
    wide[0].weight.data, wide[0].bias.data = narrow[0].weight.data[copies], narrow[0].bias.data[copies]
    wide[2].weight.data, wide[2].bias.data = narrow[2].weight.data[:, copies] * shares, narrow[2].bias.data.clone()
    audited = subject(wide, half_square, x, y, dtype=torch.float64)
    number = exactly("λ_min", "negative_curvature.lambda_min", lowest[unit] / 2)
    return Placed(bench(audited, seed=seed, **DOUBLE), (number,))


def split_neuron_worth_leaving(seed: int) -> Placed:
    """One unit where two are needed, split in two: the halves have something to do."""
    return split_neuron(seed, *ridges(seed, spread=2.0, noise=0.1), width=1)


def split_neuron_in_a_bowl(seed: int) -> Placed:
    """One unit on one hump of a function that it half fits: leaving is worth about as much as δ."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(200, 2, generator=generator, dtype=torch.float64)
    y = torch.tanh(2 * x[:, :1] - 2) + torch.tanh(2 * x[:, :1] + 2)
    return split_neuron(seed, x, y + 0.1 * torch.randn(200, 1, generator=generator, dtype=torch.float64), width=1)


def edge_of_stability(seed: int) -> Placed:
    """Full-batch gradient descent on a Chebyshev polynomial until λ_max stops at 2/η (Cohen et al. 2021)."""
    rate = (0.2, 0.3, 0.4)[seed % 3]
    x = torch.linspace(-1, 1, 20).unsqueeze(1)
    y = 8 * x**4 - 8 * x**2 + 1
    torch.manual_seed(seed)
    model = network(1, 32, 32, 1)
    parameters = list(model.parameters())
    for _ in range(round(600 / rate)):
        loss = 0.5 * (model(x) - y).square().mean()
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-rate)
    audited = subject(model, half_square, x, y, sizes=[10, 10])
    number = between("λ_max·η/2", "sharpness.edge_of_stability", 0.85, 1.15)
    return Placed(bench(audited, seed=seed, preset="quick", learning_rate=rate), (number,))


def rescaled_relu_network(seed: int) -> Placed:
    """A trained ReLU network: the check itself multiplies a layer by 8 and divides the next by 8 (Dinh et al. 2017)."""
    x = torch.randn(96, 6, generator=torch.Generator().manual_seed(seed))
    y = (x[:, 0] * x[:, 1] > 0).long()
    torch.manual_seed(seed)
    model = network(6, 10, 2, activation=nn.ReLU)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    numbers = (
        between("λ_max ratio", "reparametrisation.lambda_max_ratio", 10),
        between("filter-normalised ratio", "reparametrisation.rise_ratio", 0.95, 1.05),
        between("adaptive ratio", "reparametrisation.adaptive_ratio", 0.95, 1.05),
    )
    return Placed(bench(subject(model, cross_entropy, x, y), seed=seed, preset="quick"), numbers)


class Valleys(nn.Module):
    """Two factors whose product fits the data: every scale fits, and the balanced one is the flattest."""

    def __init__(self, scale: float = 4.0) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.first.weight, scale)
        nn.init.constant_(self.second.weight, 1 / scale)

    def forward(self, x):
        return self.second(self.first(x))


def line(seed: int, n: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, generator=generator)
    return x, x + 0.3 * torch.randn(n, 1, generator=generator)


def sam_in_a_valley(seed: int) -> Placed:
    """λ_max along first·second = 1 is about first² + second²: 16 at the start, 2 where they balance."""
    on = with_course(Valleys(), *line(seed), **TWINS, seed=seed, lr=0.03)
    return Placed(on, (between("λ_max ratio", "sam.lambda_max_ratio", 0.0, 0.9),))


def sam_on_a_quadratic(seed: int) -> Placed:
    """Linear regression has one curvature everywhere: no twin can be flatter."""
    on = with_course(nn.Linear(1, 1), *line(seed), **TWINS, seed=seed, lr=0.03)
    return Placed(on, (between("λ_max ratio", "sam.lambda_max_ratio", 0.999, 1.001),), {"sam.flatter": "undecided"})
