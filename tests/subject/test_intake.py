"""Whatever shape a loader's batches have, the model gets the arguments that it takes, and the loss the targets."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landscape_audit.errors import DataError
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.checkpoint.checkpoint import tensor_bytes
from landscape_audit.subject.data.intake import Intake, finite
from landscape_audit.subject.data.nested import arguments

X, Y, Z = torch.arange(6.0).view(3, 2), torch.arange(3), torch.ones(3, 1)


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return x.sum(1) * 10 + z.sum(1)


class OneInput(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1)


def intake(model: nn.Module, *, loss: str = "cross_entropy", **data: Any) -> Intake:
    spec = {"model": {"factory": "m.py:f"}, "data": {"loader": "d.py:f", **data}, "loss": {"name": loss}}
    return Intake.of(AuditSpec.model_validate(spec), model)


@pytest.mark.parametrize(
    "item",
    [
        (X, Z, Y),
        [X, Z, Y],
        ((X, Z), Y),
        ({"z": Z, "x": X}, Y),
        {"z": Z, "labels": Y, "x": X},
        UserDict({"x": X.numpy(), "z": Z.tolist(), "label": Y, "text": ["a", "b", "c"]}),
    ],
    ids=["tuple", "list", "pair of a tuple", "pair of a dict", "dict", "mapping with a text"],
)
def test_a_model_of_two_inputs_gets_both(item: object) -> None:
    batch = intake(TwoInputs()).batch(item, "loader")
    given, named = arguments(batch.inputs)
    assert torch.equal(TwoInputs()(*given, **named), torch.tensor([11.0, 51.0, 91.0]))
    assert torch.equal(batch.targets, Y)


def test_what_the_model_does_not_take_is_left_out_and_told() -> None:
    found = intake(OneInput())
    batch = found.batch({"x": X, "idx": Y, "text": ["a", "b", "c"], "labels": Y}, "loader")
    assert isinstance(batch.inputs, dict)
    assert list(batch.inputs) == ["x"]
    assert list(found.left_out) == ["idx", "text"]


def test_inputs_named_otherwise_than_the_arguments_are_given_in_order() -> None:
    batch = intake(OneInput(), inputs=["image"], targets="digit").batch({"digit": Y, "image": X}, "loader")
    given, named = arguments(batch.inputs)
    assert named == {}
    assert torch.equal(OneInput()(*given), X.sum(1))


def test_a_language_model_predicts_its_own_tokens_but_no_padding() -> None:
    tokens, mask = torch.tensor([[1, 2], [3, 0]]), torch.tensor([[1, 1], [1, 0]])
    found = intake(OneInput(), loss="causal_lm")
    found = Intake(accepted=None, loss=found.loss)
    assert torch.equal(found.batch(tokens, "loader").targets, tokens)
    batch = found.batch({"input_ids": tokens, "attention_mask": mask}, "loader")
    assert batch.targets.tolist() == [[1, 2], [3, -100]]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"image": X, "labels": Y}, "none of 'image' is an argument of the model's forward"),
        ({"x": X, "digit": Y}, "has nothing that is known to be targets among 'x', 'digit'"),
        ({"x": X, "labels": Y[:2]}, "has 3 inputs but 2 targets"),
        ({"x": [[1.0], [1.0, 2.0]], "labels": Y}, "rows of different lengths"),
        (X, "is a Tensor, not a pair"),
    ],
)
def test_what_is_no_batch_is_told_with_a_remedy(item: object, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        intake(OneInput()).batch(item, "loader")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("item", "tokens", "other"),
    [
        ({"x": X, "digit": Y}, "", '[data] targets = "digit"'),
        ({"x": X}, "", "give them too"),
        ({"input_ids": Y, "attention_mask": Y}, "--loss causal_lm", "give them too"),
        ({"input_ids": Y, "next": Y}, "--loss causal_lm", '[data] targets = "next"'),
    ],
)
def test_targets_that_are_not_known_are_named_by_a_key_that_is_there(
    item: dict[str, Tensor], tokens: str, other: str
) -> None:
    with pytest.raises(DataError) as caught:
        intake(OneInput()).batch(item, "loader")
    assert tokens in caught.value.remedy
    assert ("causal_lm" in caught.value.remedy) == bool(tokens)
    assert other in caught.value.remedy
    assert "labels" not in caught.value.remedy or "give them too" in other


@pytest.mark.parametrize(
    "odd",
    [
        lambda x: x.to(torch.float8_e4m3fn),
        lambda x: x.numpy().astype(">f4"),
        lambda x: torch.view_as_complex(torch.stack([x, -x], -1)).conj(),
        lambda x: torch.view_as_complex(torch.stack([x, -x], -1)).conj().imag,
    ],
)
def test_numbers_stored_in_an_odd_way_are_the_same_numbers(odd: Any) -> None:
    given = odd(torch.arange(6.0).reshape(3, 2))
    batch = finite(Intake().batch((given, torch.zeros(3)), "a batch"), "a batch")
    expected = torch.as_tensor(given.astype("f4") if isinstance(given, np.ndarray) else given.clone().resolve_conj())
    assert isinstance(batch.inputs, Tensor)
    assert torch.equal(batch.inputs.to(torch.complex64), expected.to(torch.complex64))
    assert len(tensor_bytes(batch.inputs)) == batch.inputs.nbytes
