"""Activation checkpointing changes the memory and no number, at θ and away from it, to the second derivative."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from subjects import bench, cross_entropy, dense_hessian, subject
from torch import nn

from landscape_audit.subject.model.recompute import blocks_of


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(8), nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = self.mix(self.norm(x)).chunk(3, -1)
        return x + nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Attentive() for _ in range(3)])
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


def deep(dtype=torch.float64):
    torch.manual_seed(0)
    model = Deep()
    return subject(model, cross_entropy, torch.randn(24, 5, 8), torch.randint(0, 3, (24,)), sizes=[12] * 2, dtype=dtype)


def test_the_blocks_are_the_layers_that_hold_most_parameters():
    assert [type(block) for block in blocks_of(Deep())] == [Attentive] * 3
    assert blocks_of(nn.Linear(2, 2)) == ()


def test_products_gradients_and_losses_are_the_same_to_rounding():
    plain = deep()
    on, less = (bench(audited, dtype="float64").landscape for audited in (plain, replace(plain, recompute=True)))
    v = torch.randn(plain.layout.size, dtype=torch.float64)
    away = plain.theta + 0.1 * v
    assert less.evaluate(away).loss == pytest.approx(on.evaluate(away).loss, rel=1e-13)
    assert torch.allclose(less.gradient(away)[0], on.gradient(away)[0], atol=1e-13)
    assert torch.allclose(less.hvp(v), dense_hessian(plain) @ v, atol=1e-12)
    assert torch.allclose(less.ggn(v), on.ggn(v), atol=1e-12)


def test_the_blocks_are_as_they_were_afterwards():
    audited = replace(deep(), recompute=True)
    bench(audited, dtype="float64").landscape.hvp(torch.ones(audited.layout.size, dtype=torch.float64))
    assert all("forward" not in vars(module) for module in audited.model.modules())


def test_fewer_activations_are_kept():
    sizes = []
    for audited in (deep(), replace(deep(), recompute=True)):
        kept = {}

        def pack(tensor, kept=kept):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        views = [view.requires_grad_() for view in audited.layout.views(audited.theta.clone())]
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            audited.batch_loss(views, audited.sample.batches[0])
        sizes.append(sum(kept.values()))
    assert sizes[1] < 0.5 * sizes[0]
