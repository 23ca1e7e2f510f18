"""Rounding the weights: the grids themselves, and what they do to losses that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from landscapes import landscape, regression
from subjects import bench, cross_entropy, half_square, measured, subject
from torch import nn

from landscape_audit.checks import quantisation
from landscape_audit.checks.quantisation import predicted
from landscape_audit.curvature.directions import FilterScale
from landscape_audit.curvature.layout import Layout
from landscape_audit.curvature.rounding import formats, relative_size, rounded
from landscape_audit.probes.perturbations import Cloud
from landscape_audit.results import NotApplicable

FORMATS = {each.name: each for each in formats()}


def laid_out(model):
    layout = Layout.of(model)
    return layout, layout.flatten([parameter.detach() for parameter in model.parameters()])


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 6, 3, groups=2), nn.Flatten(), nn.Linear(12, 5)
    )


def rounded_by_name(model, to):
    layout, theta = laid_out(model)
    return dict(zip(layout.names, layout.views(rounded(theta, layout, FORMATS[to])), strict=True))


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_sixteen_bits_are_what_the_model_is_when_torch_casts_it_there_and_back(name, dtype):
    model = network()
    found = rounded_by_name(model, name)
    for key, parameter in model.to(dtype).float().named_parameters():
        assert torch.equal(found[key], parameter), key


@pytest.mark.parametrize(("name", "largest"), [("int8", 127), ("int4", 7)])
def test_an_integer_grid_moves_no_weight_by_more_than_half_a_step_of_its_own_channel(name, largest):
    model = network()
    found = rounded_by_name(model, name)
    for index in (0, 4):  # filters along the first axis
        weight = model[index].weight.detach().double().flatten(1)
        step = weight.abs().amax(1, keepdim=True) / largest
        moved = found[f"{index}.weight"].double().flatten(1)
        assert bool(((moved - weight).abs() <= step * (0.5 + 1e-5)).all())  # and float32
        levels = moved / step
        assert torch.allclose(levels, levels.round(), atol=1e-4)
        assert bool((levels.abs().amax(1).round() == largest).all())


def test_an_output_channel_of_a_grouped_transposed_convolution_has_one_scale():
    model = network()
    weight, found = model[2].weight.detach().double(), rounded_by_name(model, "int4")["2.weight"].double()
    for group, rows in enumerate((slice(0, 2), slice(2, 4))):
        for channel in range(3):
            step = weight[rows, channel].abs().max() / 7
            expected = (weight[rows, channel] / step).round() * step
            assert torch.allclose(found[rows, channel], expected, atol=1e-6), (group, channel)


@pytest.mark.skipif("fp8" not in FORMATS, reason="this torch has no float8")
def test_float8_keeps_three_bits_behind_the_leading_one_of_what_is_scaled_to_448():
    layout, theta = laid_out(nn.Linear(64, 3, bias=False))
    found = rounded(theta, layout, FORMATS["fp8"]).view(3, 64).double()
    units = theta.view(3, 64).double()
    units = units * (448 / units.abs().amax(1, keepdim=True))
    exponent = torch.floor(torch.log2(units.abs())).clamp(min=-6)  # below 2⁻⁶ the grid is even
    grid = 2.0 ** (exponent - 3)
    expected = (units / grid).round() * grid
    scale = theta.view(3, 64).double().abs().amax(1, keepdim=True) / 448
    assert torch.allclose(found, expected * scale, rtol=1e-6)


def test_scaled_formats_leave_biases_and_normalisation_and_casts_do_not():
    model = network()
    torch.nn.init.normal_(model[1].weight)
    names = ("0.bias", "1.weight", "1.bias", "2.bias", "4.bias")
    before = dict(model.named_parameters())
    for to, moves in (("fp8", False), ("int8", False), ("int4", False), ("bf16", True)):
        found = rounded_by_name(model, to)
        kept = [torch.equal(found[name], before[name]) for name in names if before[name].abs().max() > 0]
        assert kept
        assert all(keeps is not moves for keeps in kept), to


@pytest.mark.parametrize("name", FORMATS)
def test_rounding_twice_is_rounding_once_and_zero_filters_stay_zero(name):
    model = network()
    model[4].weight.data[2] = 0
    layout, theta = laid_out(model)
    once = rounded(theta, layout, FORMATS[name])
    assert torch.equal(rounded(once, layout, FORMATS[name]), once)
    assert bool((layout.views(once)[6][2] == 0).all())


@pytest.mark.parametrize("name", FORMATS)
def test_a_weight_that_is_no_number_spoils_no_other_channel_than_its_own(name):
    layout, theta = laid_out(nn.Linear(4, 3))
    clean = rounded(theta, layout, FORMATS[name])
    theta[0] = math.nan
    found = rounded(theta, layout, FORMATS[name])
    assert found[0].isnan()
    assert torch.equal(found[4:], clean[4:])


def test_scalars_and_vectors_and_empty_tensors_are_left_to_the_casts():
    model = nn.Module()
    model.gain, model.shift = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.rand(3))
    model.none = nn.Parameter(torch.zeros(0, 3))
    layout, theta = laid_out(model)
    assert torch.equal(rounded(theta, layout, FORMATS["int4"]), theta)
    assert torch.equal(rounded(theta, layout, FORMATS["bf16"]), theta.bfloat16().float())


def test_the_relative_size_of_a_filter_normalised_direction_is_its_sigma_whatever_the_filters():
    layout, theta = laid_out(network())
    direction = FilterScale.at(theta, layout).direction(layout, torch.Generator().manual_seed(0))
    assert relative_size(0.07 * direction, theta, layout) == pytest.approx(0.07, rel=1e-6)
    assert relative_size(theta, torch.zeros_like(theta), layout) is None


def line(weights, n=40):
    """Least squares of a linear model without bias: L = mean (x·w − y)² / 2."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, len(weights), generator=generator), torch.randn(n, 1, generator=generator)
    model = nn.Linear(len(weights), 1, bias=False, dtype=torch.float64)
    model.weight.data[0] = torch.tensor(weights, dtype=torch.float64)
    return subject(model, half_square, x, y, dtype=torch.float64)


def test_the_rise_of_a_linear_model_is_that_of_its_rounded_coefficients_with_the_paired_error():
    audited = line([1.0, 0.37, -0.61])
    found = measured(bench(audited, dtype="float64"), quantisation)
    x = torch.cat([batch.inputs for batch in audited.sample.batches])
    y = torch.cat([batch.targets for batch in audited.sample.batches])
    step = 1 / 7  # 0.37 → 3 steps, −0.61 → −4 steps
    before, after = (
        0.5 * (x @ torch.tensor(w, dtype=torch.float64) - y[:, 0]) ** 2
        for w in ([1.0, 0.37, -0.61], [1.0, 3 * step, -4 * step])
    )
    rise = found.estimates["rise@int4"]
    assert rise.value == pytest.approx(float((after - before).mean()), rel=1e-10)
    sampling = next(part for part in rise.parts if part.kind == "sampling")
    error = float((after - before).std() / math.sqrt(40))
    assert sampling.high - rise.value == pytest.approx(2.0227 * error, rel=1e-3)  # Student, 39 degrees of freedom
    assert rise.n == 40
    row = next(row for row in found.details[1].rows if row[0].startswith("int4"))
    assert row[8] == pytest.approx(rise.value, rel=1e-8)  # the quadratic model is exact for a quadratic
    moved = math.hypot(3 * step - 0.37, 0.61 - 4 * step) / math.sqrt(1 + 0.37**2 + 0.61**2)
    assert row[2] == pytest.approx(moved, rel=1e-6)


def test_weights_on_a_grid_do_not_rise_at_all():
    found = measured(bench(line([7.0, -3.0, 2.0]), dtype="float64"), quantisation).estimates
    for name in ("bf16", "fp16", "int4"):
        assert (found[f"rise@{name}"].value, found[f"rise@{name}"].low, found[f"rise@{name}"].high) == (0.0, 0.0, 0.0)
    assert found["rise@int8"].value != 0.0


def test_a_checkpoint_stored_in_bfloat16_does_not_rise_there_and_pays_no_forward_for_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 2)).to(torch.bfloat16).float()
    on = bench(subject(model, cross_entropy, torch.randn(32, 6), torch.randint(0, 2, (32,))))
    found = measured(on, quantisation).estimates
    assert (found["rise@bf16"].low, found["rise@bf16"].high) == (0.0, 0.0)
    assert found["rise@int8"].value != 0.0
    assert (
        found["metric@bf16"].value == found["metric@fp16"].value
    )  # three bits more lose nothing of weights like these
    sample = on.take(quantisation.probes[0])
    changed = sum(bool(each.moved) for each in sample.formats)
    assert on.ledgers["rounded_weights"].cost.forwards == 1 + changed


def test_the_claimed_interval_covers_what_the_whole_population_would_show():
    """The rise over a whole population is known; 80 samples of 60 see it in about 95 % of their intervals."""
    w, step = torch.tensor([1.0, 0.37, -0.61], dtype=torch.float64), 1 / 7
    moved = torch.tensor([1.0, 3 * step, -4 * step], dtype=torch.float64)
    # x is white and y = x·u + noise: E rise = (|moved − u|² − |w − u|²) / 2.
    u = torch.tensor([0.9, 0.5, -0.4], dtype=torch.float64)
    truth = 0.5 * float((moved - u).square().sum() - (w - u).square().sum())
    inside = 0
    for seed in range(80):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(60, 3, generator=generator, dtype=torch.float64)
        y = (x @ u + torch.randn(60, generator=generator, dtype=torch.float64))[:, None]
        model = nn.Linear(3, 1, bias=False, dtype=torch.float64)
        model.weight.data[0] = w
        on = bench(subject(model, half_square, x, y, dtype=torch.float64), dtype="float64")
        found = next(each for each in on.take(quantisation.probes[0]).formats if each.name == "int4")
        inside += abs(found.rise.value - truth) <= found.rise.half_width(0.95)
    assert inside >= 68  # binomial, 76 expected, four standard deviations of 1.95


def test_a_checkpoint_that_no_format_would_touch_is_told_so_and_one_beyond_float16_is_not_finite():
    audited = landscape(lambda t: 0.5 * (t * t).sum(), [3.0, 4.0], torch.float32)
    found = measured(bench(audited), quantisation)
    assert set(found.estimates) == {"rise@bf16", "rise@fp16"}
    far = landscape(lambda t: 1e-9 * (t * t).sum(), [1e5, 4.0], torch.float32)
    found = measured(bench(far), quantisation)
    assert found.estimates["rise@fp16"].nonfinite == "inf"
    assert any("not finite with weights in float16" in caveat for caveat in found.caveats)
    empty = type(bench(audited).take(quantisation.probes[0]))((), 0.0, None)
    assert isinstance(quantisation.measure(empty, None, None, None), NotApplicable)


def test_a_tied_weight_is_rounded_once_and_an_audit_does_not_move_the_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    model[2].weight = model[0].weight
    x, y = torch.randn(32, 4), torch.randint(0, 4, (32,))
    audited = subject(model, cross_entropy, x, y)
    state = audited.state()
    found = measured(bench(audited), quantisation).estimates["rise@int4"].value
    assert audited.state() == state
    own = nn.Linear(4, 4, bias=False)
    own.weight.data = rounded(audited.theta, audited.layout, FORMATS["int4"]).view(4, 4)
    with torch.no_grad():
        before = nn.functional.cross_entropy(model(x), y)
        after = nn.functional.cross_entropy(own(own(x).relu()), y)
    assert found == pytest.approx(float(after - before), abs=1e-6)


def test_the_sweep_is_read_exactly_where_the_loss_is_a_quadratic_and_not_beyond_its_last_radius():
    clouds = [Cloud(sigma, (3 * sigma**2, 5 * sigma**2), (0.0, 0.0), ()) for sigma in (0.01, 0.1, 0.4)]
    for sigma in (0.001, 0.01, 0.05, 0.4):
        value, half = predicted(clouds, sigma, 0.95)
        assert value == pytest.approx(4 * sigma**2, rel=1e-12)
        assert half == pytest.approx(12.706 * sigma**2, rel=1e-3)  # Student with two draws, standard error 1
    assert predicted(clouds, 0.41, 0.95) is None
    assert predicted((), 0.1, 0.95) is None


def test_a_loss_without_examples_has_its_interval_from_batches():
    audited = regression([4] * 16)

    def batchwise(outputs, targets):
        return replace(half_square(outputs, targets), examples=None, example_weights=None)

    silent = replace(audited, loss=replace(audited.loss, measure=batchwise))
    both = [measured(bench(each, dtype="float64"), quantisation).estimates["rise@int8"] for each in (audited, silent)]
    assert both[0].value == pytest.approx(both[1].value, rel=1e-9)
    assert [each.n for each in both] == [64, 16]
