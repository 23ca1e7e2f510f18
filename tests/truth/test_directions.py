"""Filter normalisation, filter by filter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from landscape_audit.curvature.directions import FilterScale
from landscape_audit.curvature.layout import Layout


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 3, 2), nn.Flatten(), nn.Linear(12, 5)
    )


def laid_out(model):
    layout = Layout.of(model)
    return layout, torch.cat([p.detach().flatten() for p in model.parameters()])


def _by_output(weight):
    return weight.transpose(0, 1).flatten(1).norm(dim=1)


def test_every_filter_of_a_direction_has_the_norm_of_the_filter_it_moves():
    model = network()
    layout, theta = laid_out(model)
    direction = FilterScale.at(theta, layout).direction(layout, torch.Generator().manual_seed(1))
    named = dict(zip(layout.names, layout.views(direction), strict=True))
    conv, transposed, linear = named["0.weight"], named["2.weight"], named["4.weight"]
    assert torch.allclose(conv.flatten(1).norm(dim=1), model[0].weight.flatten(1).norm(dim=1))
    assert torch.allclose(_by_output(transposed), _by_output(model[2].weight))
    assert torch.allclose(linear.norm(dim=1), model[4].weight.norm(dim=1))


def test_biases_and_normalisation_do_not_move():
    layout, theta = laid_out(network())
    direction = FilterScale.at(theta, layout).direction(layout, torch.Generator().manual_seed(1))
    named = dict(zip(layout.names, layout.views(direction), strict=True))
    for name in ("0.bias", "1.weight", "1.bias", "2.bias", "4.bias"):
        assert float(named[name].abs().max()) == 0.0


def test_the_radius_is_the_norm_of_a_direction():
    layout, theta = laid_out(network())
    scale = FilterScale.at(theta, layout)
    direction = scale.direction(layout, torch.Generator().manual_seed(2))
    assert float(direction.norm()) == pytest.approx(scale.radius, rel=1e-6)


def test_two_directions_are_orthogonal_in_every_filter_and_keep_its_norm():
    layout, theta = laid_out(network())
    scale = FilterScale.at(theta, layout)
    first, second = scale.pair(layout, torch.Generator().manual_seed(3))
    assert float(first @ second) == pytest.approx(0.0, abs=1e-5)
    assert float(second.norm()) == pytest.approx(scale.radius, rel=1e-5)


def test_a_network_at_the_origin_has_directions_of_the_size_of_an_initialisation():
    model = nn.Linear(9, 4)
    nn.init.zeros_(model.weight)
    layout, theta = laid_out(model)
    direction = FilterScale.at(theta, layout).direction(layout, torch.Generator().manual_seed(0))
    assert torch.allclose(layout.views(direction)[0].norm(dim=1), torch.ones(4))


def test_an_eigenvector_stretched_to_the_radius_is_still_an_eigenvector():
    layout, theta = laid_out(network())
    scale = FilterScale.at(theta, layout)
    v = torch.randn(layout.size)
    stretched = scale.stretched(v)
    assert float(torch.cosine_similarity(stretched, v, dim=0)) == pytest.approx(1.0)
    assert float(stretched.norm()) == pytest.approx(scale.radius, rel=1e-5)
