"""Dinh's rescale: the function stays, raw curvature does not, and nothing is rescaled that would not bear it."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from subjects import bench, cross_entropy, dense_hessian, half_square, measured, subject
from torch import nn

from landscape_audit.checks import reparametrisation
from landscape_audit.curvature.layout import Layout
from landscape_audit.curvature.rescaling import candidates, rescaled
from landscape_audit.probes.evaluation import by_batch, evaluate
from landscape_audit.probes.reparametrisation import RescaledLayers
from landscape_audit.results import NotApplicable

DOUBLE = {"dtype": "float64"}


def trained(model, shape=(6,), n=96, dtype=torch.float64, steps=60):
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))
    y = (x.flatten(1)[:, 0] * x.flatten(1)[:, 1] > 0).long()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return subject(model, cross_entropy, x, y, dtype=dtype)


def mlp(activation, **kwargs):
    torch.manual_seed(0)
    return trained(nn.Sequential(nn.Linear(6, 10), activation, nn.Linear(10, 2)), **kwargs)


def outcome(audited, **protocol):
    on = bench(audited, **protocol)
    return reparametrisation.measure(*(on.take(probe) for probe in reparametrisation.probes))


def moved_to(audited, names, factor=8.0):
    """The subject with the first of each pair of layers times `factor` and the second divided by it, by hand."""
    named = dict(zip(audited.layout.names, audited.layout.views(audited.theta.clone()), strict=True))
    for first, second in names:
        named |= {name: factor * value for name, value in named.items() if name.rpartition(".")[0] == first}
        named[f"{second}.weight"] = named[f"{second}.weight"] / factor
    return replace(audited, theta=audited.layout.flatten(list(named.values())))


def loss_at(audited):
    return evaluate(audited, audited.theta, by_batch(audited.sample.batches, range(len(audited.sample.batches)), 99))


@functools.cache
def dense_ratio():
    """λ_max at θ' over λ_max at θ of the ReLU network, from dense Hessians."""
    audited = mlp(nn.ReLU())
    here, there = (
        float(torch.linalg.eigvalsh(dense_hessian(each))[-1]) for each in (audited, moved_to(audited, [("0", "2")]))
    )
    return there / here


def test_lambda_max_of_a_relu_network_moves_by_what_the_dense_hessian_says_and_the_loss_does_not():
    audited = mlp(nn.ReLU())
    assert loss_at(moved_to(audited, [("0", "2")])).loss == loss_at(audited).loss
    assert dense_ratio() > 10
    found = measured(bench(audited, budgets={"reparametrisation_steps": 30}, **DOUBLE), reparametrisation)
    top = found.estimates["lambda_max_ratio"]
    assert top.value == pytest.approx(dense_ratio(), rel=2e-2)  # the run stops at a residual of 1 %
    assert top.low <= dense_ratio() * (1 + 1e-9)
    assert top.high is None
    assert found.details[0].rows[0][2:4] == (loss_at(audited).loss,) * 2


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_few_steps_bound_the_ratio_from_below(steps):
    on = bench(mlp(nn.ReLU()), preset="quick", budgets={"reparametrisation_steps": steps}, **DOUBLE)
    found = measured(on, reparametrisation).estimates["lambda_max_ratio"]
    assert 5 < found.low <= dense_ratio() * (1 + 1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_filter_normalised_and_adaptive_measures_stay_where_raw_ones_move(dtype):
    found = measured(bench(mlp(nn.ReLU(), dtype=getattr(torch, dtype)), dtype=dtype), reparametrisation).estimates
    for name in ("rise_ratio", "adaptive_unfloored_ratio"):
        assert found[name].value == pytest.approx(1.0, abs=1e-3), name
        assert found[name].low <= 1 <= found[name].high, name
    assert abs(found["adaptive_ratio"].value - 1) < 0.05  # up to the floor of 0.01 under weights of about 0.3
    assert found["adaptive_ratio"].value != pytest.approx(1.0, abs=1e-6)
    assert min(found[name].value for name in ("gradient_ratio", "one_step_ratio")) > 1.5


def test_the_gradient_and_the_step_up_it_are_those_at_the_rescaled_weights():
    audited = mlp(nn.ReLU())
    there = moved_to(audited, [("0", "2")])
    slopes = []
    for each in (audited, there):
        theta = each.theta.clone().requires_grad_()
        x, y = (torch.cat([getattr(batch, side) for batch in each.sample.batches]) for side in ("inputs", "targets"))
        nn.functional.cross_entropy(
            each.outputs(each.layout.views(theta), replace(each.sample.batches[0], inputs=x)), y
        ).backward()
        slopes.append(theta.grad)
    found = measured(bench(audited, **DOUBLE), reparametrisation).estimates
    assert found["gradient_ratio"].value == pytest.approx(float(slopes[1].norm() / slopes[0].norm()), rel=1e-9)
    assert found["gradient_ratio"].high - found["gradient_ratio"].low < 1e-9
    rises = [
        loss_at(replace(each, theta=each.theta + 0.05 * slope / slope.norm())).loss - loss_at(each).loss
        for each, slope in zip((audited, there), slopes, strict=True)
    ]
    assert found["one_step_ratio"].value == pytest.approx(rises[1] / rises[0], rel=1e-9)


def test_pairs_share_no_layer_and_all_are_rescaled_at_once():
    torch.manual_seed(0)
    layers = [nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.LeakyReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)]
    found = bench(trained(nn.Sequential(*layers)), **DOUBLE).take(RescaledLayers())
    assert found.pairs == (("0", "2"), ("4", "6"))
    assert found.change == 0.0


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.GELU(), nn.Softplus()])
def test_a_network_that_is_not_positively_homogeneous_is_told_so(activation):
    found = outcome(mlp(activation), preset="quick", **DOUBLE)
    assert isinstance(found, NotApplicable)
    assert "(1 tried)" in found.reason


def test_a_last_layer_of_zeros_hides_no_tanh():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 2))
    nn.init.zeros_(model[2].weight)
    x, y = torch.randn(32, 6), torch.randint(0, 2, (32,))
    assert bench(subject(model, cross_entropy, x, y)).take(RescaledLayers()).pairs == ()


def test_weights_that_are_all_zero_have_nothing_to_rescale():
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 2))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    found = bench(subject(model, cross_entropy, torch.randn(32, 6), torch.randint(0, 2, (32,)))).take(RescaledLayers())
    assert (found.pairs, found.tried, found.moved) == ((), 0, None)


def test_a_batch_normalised_network_is_rescaled_at_its_normalisation_and_not_before_it():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.BatchNorm2d(6),
        nn.ReLU(), nn.Flatten(), nn.Linear(24, 2),
    )  # fmt: skip
    audited = trained(model, shape=(1, 8, 8), steps=15, dtype=torch.float32)
    on = bench(audited)
    assert on.take(RescaledLayers()).pairs == (("1", "4"), ("5", "8"))
    found = measured(on, reparametrisation).estimates
    there = moved_to(audited, [("1", "4"), ("5", "8")])
    assert loss_at(there).loss == loss_at(audited).loss
    truth = [float(torch.linalg.eigvalsh(dense_hessian(each))[-1]) for each in (audited, there)]
    assert found["lambda_max_ratio"].low <= truth[1] / truth[0] * 1.001
    assert found["lambda_max_ratio"].low >= 0.8 * truth[1] / truth[0]
    assert found["rise_ratio"].value == pytest.approx(1.0, abs=1e-3)


def test_attention_bears_a_rescale_of_queries_and_keys_and_of_values_and_outputs():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(6, 6) for _ in range(4))
            self.head = nn.Linear(6, 2)

        def forward(self, x):
            tokens = x.view(-1, 2, 6)
            # A key's bias adds the same to every score of a query: softmax does not see it, so it need not be rescaled.
            mixed = nn.functional.scaled_dot_product_attention(self.q(tokens), self.k(tokens), self.v(tokens))
            return self.head(torch.tanh(self.o(mixed)).mean(1))

    torch.manual_seed(0)
    audited = trained(Attention(), shape=(12,), steps=20)
    found = bench(audited, preset="quick", **DOUBLE).take(RescaledLayers())
    assert found.pairs == (("q", "k"), ("v", "o"))
    assert found.loss_there == pytest.approx(found.loss, rel=1e-13)


def test_a_skip_around_the_first_layer_leaves_it_alone():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.after = nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.after(torch.relu(x + self.inside(x)))

    torch.manual_seed(0)
    assert bench(trained(Residual()), **DOUBLE).take(RescaledLayers()).pairs == ()


def test_tied_and_frozen_weights_are_never_candidates():
    model = nn.Sequential(
        nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4)
    )
    assert [(p.first, p.second) for p in candidates(model, Layout.of(model))] == [("0", "2"), ("2", "4")]
    model[2].weight = model[0].weight
    assert candidates(model, Layout.of(model)) == ()
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[0].bias.requires_grad_(requires_grad=False)
    assert [(p.first, p.second) for p in candidates(model, Layout.of(model))] == [("2", "4")]


def test_a_module_called_twice_is_not_rescaled():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.again, self.last = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.last(torch.relu(self.again(torch.relu(self.again(torch.relu(self.first(x)))))))

    torch.manual_seed(0)
    found = bench(trained(Twice()), **DOUBLE).take(RescaledLayers())
    assert found.pairs == ()
    assert found.tried == 2


def test_a_rescale_by_a_power_of_two_is_undone_to_the_last_bit():
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 2))
    layout = Layout.of(model)
    theta = layout.flatten([parameter.detach() for parameter in model.parameters()])
    there = rescaled(theta, layout, candidates(model, layout), 8.0)
    assert not torch.equal(there, theta)
    assert torch.equal(rescaled(there, layout, candidates(model, layout), 1 / 8), theta)


def test_a_clamp_that_only_later_examples_reach_is_found_on_the_whole_sample():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU6(), nn.Linear(10, 2))
    x = torch.cat([0.01 * torch.randn(40, 6), 100 * torch.randn(8, 6)])
    for bias in (model[0].bias, model[2].bias):
        nn.init.zeros_(bias)
    audited = subject(model, cross_entropy, x, torch.randint(0, 2, (48,)), sizes=[40, 8])
    found = outcome(audited, preset="quick")
    assert isinstance(found, NotApplicable)
    assert "on the whole sample a batch's loss moved by" in found.reason


def test_where_the_gradient_is_zero_its_ratios_are_left_out_and_told():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double(), torch.randn(48, 3).double()
    found = measured(
        bench(subject(model, half_square, x, model(x).detach(), dtype=torch.float64), **DOUBLE), reparametrisation
    )
    assert set(found.estimates) == {"lambda_max_ratio", "rise_ratio"}
    assert any("without a ratio: Norm of the gradient" in caveat for caveat in found.caveats)
    assert found.estimates["lambda_max_ratio"].value > 2


def test_the_subject_stays_where_it_was_and_the_cost_is_what_was_planned_or_less():
    audited = mlp(nn.ReLU(), dtype=torch.float32)
    theta, state = audited.theta.clone(), audited.state()
    on = bench(audited)
    on.take(RescaledLayers())
    assert torch.equal(audited.theta, theta)
    assert audited.state() == state
    planned, spent = RescaledLayers().cost(on.size), on.ledgers["rescaled_layers"].cost
    assert spent.in_gradients() <= planned.in_gradients() <= 25
