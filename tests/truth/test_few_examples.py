"""With few examples a gradient cannot be told from noise, and no class rests on one."""

from __future__ import annotations

import pytest
import torch
from subjects import Landscape, bench, cross_entropy, measured, output, subject
from torch import nn

from landscape_audit.checks.stationarity import stationarity
from landscape_audit.estimate import Label
from landscape_audit.subject.subject import Subject


def label_of(audited: Subject, **protocol: object) -> Label:
    return measured(bench(audited, **protocol), stationarity).labels["class"]


def few_examples(sizes: list[int], *, alike: bool = False) -> Subject:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1 if alike else sum(sizes), 4, generator=generator).expand(sum(sizes), 4)
    torch.manual_seed(0)
    return subject(nn.Linear(4, 3), cross_entropy, x, torch.zeros(sum(sizes)).long(), sizes=sizes)


@pytest.mark.parametrize("sizes", [[1], [1, 1], [2, 3, 2]])
def test_too_few_batches_cannot_tell_a_gradient_from_noise_and_so_no_class_rests_on_it(sizes):
    label = label_of(few_examples(sizes))
    assert label.value == "undecided"
    assert label.open == "sampling"
    assert "audit more examples" in label.reason


def test_batches_that_are_all_alike_have_no_noise_and_their_gradient_is_real():
    assert label_of(few_examples([2, 2, 2], alike=True)).value == "not_critical"


def test_one_example_on_a_slope_of_negative_curvature_is_at_no_maximum():
    point = torch.zeros(1, 1)
    made = Landscape(lambda t: 1 - ((t - 0.5) ** 2).sum(), torch.tensor([1.0, 1.0]))
    assert label_of(subject(made, output, point, point, dtype=torch.float64), dtype="float64").value == "undecided"
