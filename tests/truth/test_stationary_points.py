"""Landscapes whose class is known, each classified right."""

from __future__ import annotations

import pytest
import torch
from subjects import Landscape, bench, cross_entropy, half_square, measured, output, subject
from torch import Tensor, nn

from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.stationarity import stationarity
from landscape_audit.subject.subject import Subject

SEEDS = range(5)


def landscape(function, theta, *, dtype=torch.float32) -> Subject:
    points = torch.zeros(16, 1)
    return subject(Landscape(function, torch.tensor(theta)), output, points, points, dtype=dtype)


def class_of(audited: Subject, **protocol: object) -> str:
    return measured(bench(audited, **protocol), stationarity).labels["class"].value


def softmax_regression(*, dtype=torch.float64) -> Subject:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(240, 5, generator=generator)
    y = (x @ torch.randn(5, 3, generator=generator) + torch.randn(240, 3, generator=generator)).argmax(1)
    model = nn.Linear(5, 3).to(dtype)
    minimise(lambda: nn.functional.cross_entropy(model(x.to(dtype)), y), model)
    return subject(model, cross_entropy, x, y, dtype=dtype)


def minimise(loss, model: nn.Module) -> None:
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_regression_at_its_solution_is_a_minimum(seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(6, 1, generator=generator, dtype=torch.float64) + 0.3 * torch.randn(
        200, 1, generator=generator, dtype=torch.float64
    )
    model = nn.Linear(6, 1, bias=False)
    model.weight.data = torch.linalg.lstsq(x, y).solution.T.float()
    audited = subject(model, half_square, x.float(), y.float(), dtype=getattr(torch, dtype))
    assert class_of(audited, seed=seed, dtype=dtype) == "minimum"


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax_regression_at_its_solution_is_a_minimum_although_three_directions_are_exactly_flat(seed):
    assert class_of(softmax_regression(), seed=seed, dtype="float64") == "minimum"


def two_layer_linear(seed: int) -> tuple[Subject, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(256, 4, generator=generator)
    y = x @ torch.randn(4, 3, generator=generator)
    model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 3, bias=False))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return subject(model, half_square, x, y), x.T @ y / len(x)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_two_layer_linear_network_at_the_origin_is_a_strict_saddle(seed):
    # With W1 = W2 = 0 the gradient is zero and H couples the layers through C = XᵀY/N alone: its eigenvalues are
    # ± the singular values of C (each `width` times) and zeros.
    audited, covariance = two_layer_linear(seed)
    top = float(torch.linalg.svdvals(covariance)[0])
    on = bench(audited, seed=seed)
    largest = measured(on, sharpness).estimates["lambda_max"]
    smallest = measured(on, negative_curvature).estimates["lambda_min"]
    assert largest.value == pytest.approx(top, rel=1e-5)
    assert smallest.value == pytest.approx(-top, rel=1e-5)
    assert measured(on, stationarity).labels["class"].value == "saddle"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_initialisation_is_not_critical(seed):
    torch.manual_seed(seed)
    x = torch.randn(320, 8)
    y = (x[:, :2].sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    assert class_of(subject(model, cross_entropy, x, y), seed=seed) == "not_critical"


def test_a_network_trained_by_lbfgs_in_float64_is_at_a_minimum():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    y = torch.sin(x[:, :1]) + 0.5 * torch.randn(400, 1, generator=generator, dtype=torch.float64)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    minimise(lambda: 0.5 * (model(x) - y).square().sum(1).mean(), model)
    assert class_of(subject(model, half_square, x, y, dtype=torch.float64), dtype="float64") == "minimum"


@pytest.mark.parametrize(
    ("name", "function", "theta", "allowed"),
    [
        ("bowl", lambda t: 1 + (t * t * torch.tensor([1.0, 3.0]).to(t)).sum(), [0.0, 0.0], {"minimum"}),
        ("hilltop", lambda t: 1 - (t * t).sum(), [0.0, 0.0], {"maximum"}),
        ("saddle", lambda t: 1 + t[0] ** 2 - t[1] ** 2, [0.0, 0.0], {"saddle"}),
        ("monkey saddle", lambda t: t[0] ** 3 - 3 * t[0] * t[1] ** 2, [0.0, 0.0], {"degenerate", "undecided"}),
        ("quartic at its bottom", lambda t: (t**4).sum(), [0.0, 0.0], {"degenerate", "undecided"}),
        ("quartic on its slope", lambda t: (t**4).sum(), [0.1], {"not_critical"}),
        ("constant", lambda t: 1 + 0 * t.sum(), [1.0, 1.0], {"plateau"}),
        ("slope", lambda t: 1 + t.sum(), [1.0, 1.0], {"not_critical"}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_function_with_a_known_critical_point_is_classified(name, function, theta, allowed, dtype):
    audited = landscape(function, theta, dtype=getattr(torch, dtype))
    assert class_of(audited, dtype=dtype) in allowed, name


def test_float32_claims_no_minimum_that_its_rounding_could_hide():
    # λ_max = 10⁴ beside λ_min = −10⁻⁵: rounding of λ_max's part of a product is about 10⁻³.
    scales = torch.tensor([1e4, -1e-5])

    def valley(theta: Tensor) -> Tensor:
        turned = torch.stack([theta[0] + theta[1], theta[0] - theta[1]]) / 2**0.5
        return 1e-6 + (scales.to(theta) * turned**2).sum()

    assert class_of(landscape(valley, [0.0, 0.0])) != "minimum"


def test_a_saturated_network_is_on_a_plateau():
    x = torch.randn(160, 4, generator=torch.Generator().manual_seed(0))
    y = (x.sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(4, 6), nn.Sigmoid(), nn.Linear(6, 2))
    model[0].weight.data.fill_(0.1)
    model[0].bias.data.fill_(60.0)  # every unit is on, whatever the input
    model[2].weight.data.zero_()
    model[2].bias.data.zero_()
    frozen = nn.Sequential(model, nn.Identity())
    for parameter in model[2].parameters():
        parameter.requires_grad_(requires_grad=False)
    assert class_of(subject(frozen, cross_entropy, x, y)) == "plateau"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_split_neuron_is_never_called_a_minimum(seed):
    # Duplicating a hidden unit and sharing its outgoing weight keeps the function and makes a critical point that is
    # a saddle or degenerate (Fukumizu & Amari 2000). The negative curvature may be worth less than δ.
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(300, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(300, 1, generator=generator, dtype=torch.float64)
    y = torch.sin(2 * x[:, :1]) + 0.3 * x[:, 1:] ** 2 + 0.3 * noise
    torch.manual_seed(seed)
    narrow = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)).double()
    minimise(lambda: 0.5 * (narrow(x) - y).square().sum(1).mean(), narrow)
    wide = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    copies = torch.tensor([0, 1, 1])
    wide[0].weight.data, wide[0].bias.data = narrow[0].weight.data[copies], narrow[0].bias.data[copies]
    wide[2].weight.data = narrow[2].weight.data[:, copies] * torch.tensor([1.0, 0.5, 0.5])
    wide[2].bias.data = narrow[2].bias.data.clone()
    split = subject(wide, half_square, x, y, dtype=torch.float64)
    assert class_of(split, dtype="float64", seed=seed) in {"approximate_minimum", "saddle", "undecided"}
    assert class_of(subject(narrow, half_square, x, y, dtype=torch.float64), dtype="float64", seed=seed) == "minimum"


def few_examples(sizes: list[int], *, alike: bool = False) -> Subject:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1 if alike else sum(sizes), 4, generator=generator).expand(sum(sizes), 4)
    torch.manual_seed(0)
    return subject(nn.Linear(4, 3), cross_entropy, x, torch.zeros(sum(sizes)).long(), sizes=sizes)


@pytest.mark.parametrize("sizes", [[1], [1, 1], [2, 3, 2]])
def test_too_few_batches_cannot_tell_a_gradient_from_noise_and_so_no_class_rests_on_it(sizes):
    label = measured(bench(few_examples(sizes)), stationarity).labels["class"]
    assert label.value == "undecided"
    assert label.open == "sampling"
    assert "audit more examples" in label.reason


def test_batches_that_are_all_alike_have_no_noise_and_their_gradient_is_real():
    assert class_of(few_examples([2, 2, 2], alike=True)) == "not_critical"


def test_one_example_on_a_slope_of_negative_curvature_is_at_no_maximum():
    point = torch.zeros(1, 1)
    made = Landscape(lambda t: 1 - ((t - 0.5) ** 2).sum(), torch.tensor([1.0, 1.0]))
    assert class_of(subject(made, output, point, point, dtype=torch.float64), dtype="float64") == "undecided"
