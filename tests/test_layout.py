from __future__ import annotations

import pytest
import torch
from torch import nn

from landscape_audit.curvature.layout import WHOLE, Layout, filter_dims


def test_views_share_memory_and_flatten_undoes_them() -> None:
    layout = Layout.of(nn.Sequential(nn.Linear(3, 2), nn.Conv1d(2, 4, 3)))
    flat = torch.arange(float(layout.size))
    views = layout.views(flat)
    assert [tuple(view.shape) for view in views] == [(2, 3), (2,), (4, 2, 3), (4,)]
    assert torch.equal(layout.flatten(views), flat)
    views[1].zero_()
    assert flat[6:8].eq(0).all()
    assert flat[5] == 5


def test_gradients_flow_through_the_views_into_the_flat_vector() -> None:
    layout = Layout.of(nn.Linear(3, 2))
    flat = torch.ones(layout.size, requires_grad=True)
    sum(view.square().sum() for view in layout.views(flat)).backward()
    assert torch.equal(flat.grad, torch.full((layout.size,), 2.0))


def test_tied_and_frozen_parameters_take_no_place_of_their_own() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2), "c": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    model["c"].requires_grad_(requires_grad=False)
    assert Layout.of(model).names == ("a.weight", "a.bias", "b.bias")


@pytest.mark.parametrize(
    ("module", "name", "dim"),
    [
        (nn.Linear(3, 2), "weight", 0),
        (nn.Embedding(3, 2), "weight", 0),
        (nn.Conv2d(2, 4, 3), "weight", 0),
        (nn.ConvTranspose2d(2, 4, 3), "weight", 1),
        (nn.MultiheadAttention(4, 2), "in_proj_weight", 0),
        (nn.MultiheadAttention(4, 2), "in_proj_bias", None),
        (nn.LSTM(2, 3), "bias_ih_l0", None),
        (nn.Sequential(nn.Linear(3, 2), nn.LayerNorm((2, 2))), "1.weight", None),
        (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), "1.weight", None),
        (nn.Sequential(nn.Linear(3, 2), nn.PReLU()), "1.weight", WHOLE),
    ],
)
def test_filters_are_the_weights_of_one_output(module: nn.Module, name: str, dim: int | None) -> None:
    assert filter_dims(module)[name].dim == dim


def test_a_model_that_is_one_vector_is_one_filter() -> None:
    model = nn.Module()
    model.theta = nn.Parameter(torch.tensor([3.0, 4.0]))
    (block,) = Layout.of(model).blocks
    assert block.filter_dim == WHOLE
    assert block.filter_norms(model.theta.detach()) == 5


def test_a_model_of_biases_alone_still_has_directions() -> None:
    model = nn.Module()
    model.bias = nn.Parameter(torch.ones(4))
    assert filter_dims(model)["bias"].dim == WHOLE


@pytest.mark.parametrize("groups", [1, 2])
def test_a_filter_of_a_transposed_convolution_is_what_one_output_channel_sees(groups: int) -> None:
    module = nn.ConvTranspose2d(4, 6, 3, groups=groups)
    block = Layout.of(module).blocks[0]
    norms = block.filter_norms(module.weight.detach()).expand(module.weight.shape)
    impulse = torch.eye(4).view(4, 4, 1, 1)  # one input channel at a time: the response is its slice of the weight
    response = (module(impulse) - module.bias.view(1, -1, 1, 1)).detach()
    seen = response.double().square().sum(dim=(0, 2, 3)).sqrt()
    for group in range(groups):
        rows, columns = slice(group * 4 // groups, (group + 1) * 4 // groups), slice(group * 6 // groups, None)
        expected = seen[columns][: 6 // groups]
        # The response is float32 with a bias added and taken off again.
        torch.testing.assert_close(norms[rows, :, 0, 0], expected.expand(4 // groups, -1), rtol=1e-5, atol=1e-6)


def test_norms_are_accumulated_in_float64() -> None:
    block = Layout.of(nn.Linear(1_000_000, 1)).blocks[0]
    tensor = torch.full((1, 1_000_000), 0.1)
    exact = torch.tensor(0.1).double() * 1000
    torch.testing.assert_close(
        block.filter_norms(tensor).squeeze(), exact, rtol=1e-10, atol=0
    )  # a million roundings of 1e-16


def test_every_entry_of_a_column_is_a_filter_of_its_own() -> None:
    block = Layout.of(nn.Linear(1, 3)).blocks[0]
    assert torch.equal(
        block.filter_norms(torch.tensor([[1.0], [-2.0], [3.0]])).flatten(), torch.tensor([1.0, 2, 3]).double()
    )


def test_blocks_without_filters_have_no_norms() -> None:
    with pytest.raises(ValueError, match="bias has no filters"):
        Layout.of(nn.Linear(2, 2)).blocks[1].filter_norms(torch.zeros(2))
