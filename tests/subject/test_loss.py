from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from user_files import write

from landscape_audit.errors import LossError
from landscape_audit.spec import LossSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.losses import resolve_loss
from landscape_audit.subject.losses.loss import BatchLoss, Loss
from landscape_audit.subject.losses.own import from_code


def loss_of(name: str, folder: Path = Path(), **kwargs: Any) -> Loss:
    return resolve_loss(LossSpec(name=name, kwargs=kwargs), UserCode(folder))


def mean(found: BatchLoss) -> Tensor:
    return (found.total / found.weight).float()


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def classes(*shape: int, of: int = 3) -> Tensor:
    return torch.randint(0, of, shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 5), (8, 3, 2, 2)])
@pytest.mark.parametrize("kwargs", [{}, {"label_smoothing": 0.1}, {"ignore_index": 1}])
def test_cross_entropy_is_torchs_own_mean(shape: tuple[int, ...], kwargs: dict[str, Any]) -> None:
    outputs, targets = numbers(*shape), classes(shape[0], *shape[2:])
    expected = functional.cross_entropy(outputs, targets, **kwargs)
    torch.testing.assert_close(mean(loss_of("cross_entropy", **kwargs).measure(outputs, targets)), expected)


def test_cross_entropy_takes_probabilities() -> None:
    outputs, targets = numbers(8, 3), numbers(8, 3).softmax(1)
    found = loss_of("cross_entropy").measure(outputs, targets)
    torch.testing.assert_close(mean(found), functional.cross_entropy(outputs, targets))
    assert found.metric == (outputs.argmax(1) == targets.argmax(1)).sum()


def test_nll_of_log_probabilities_is_cross_entropy() -> None:
    outputs, targets = numbers(8, 3), classes(8)
    one = loss_of("nll", ignore_index=0).measure(outputs.log_softmax(1), targets)
    torch.testing.assert_close(mean(one), functional.cross_entropy(outputs, targets, ignore_index=0))


@pytest.mark.parametrize("name", ["mse", "bce_with_logits"])
def test_elementwise_losses_are_torchs_own_means(name: str) -> None:
    outputs, targets = numbers(8, 3), classes(8, 3, of=2).float()
    own = {"mse": functional.mse_loss, "bce_with_logits": functional.binary_cross_entropy_with_logits}[name]
    found = loss_of(name).measure(outputs, targets)
    torch.testing.assert_close(mean(found), own(outputs, targets))
    assert found.weight == 24


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "mse", "bce_with_logits"])
def test_examples_with_their_weights_add_up_to_the_total(name: str) -> None:
    outputs = numbers(8, 3, 5)
    whole = name in {"mse", "bce_with_logits"}
    targets = classes(8, 3, 5, of=2).float() if whole else classes(8, 5)
    found = loss_of(name, **({} if whole else {"ignore_index": 1})).measure(outputs, targets)
    assert found.examples.shape == found.example_weights.shape == (8,)
    torch.testing.assert_close((found.examples * found.example_weights).sum(), found.total, rtol=1e-6, atol=1e-6)
    assert found.example_weights.sum() == found.weight


def test_an_example_of_which_nothing_counts_weighs_nothing() -> None:
    found = loss_of("cross_entropy", ignore_index=-1).measure(numbers(2, 3), torch.tensor([-1, 2]))
    assert found.weight == 1
    assert found.examples[0] == found.example_weights[0] == 0


def test_accuracy_counts_right_predictions_among_those_that_count() -> None:
    outputs = torch.eye(3)[[0, 1, 2, 2]]
    found = loss_of("cross_entropy", ignore_index=2).measure(outputs, torch.tensor([0, 0, 2, 1]))
    assert (found.metric, found.metric_weight) == (1, 3)
    logits, labels = torch.tensor([[2.0], [-2.0], [3.0]]), torch.tensor([[1], [1], [1]])
    found = loss_of("bce_with_logits").measure(logits, labels)
    assert (found.metric, found.metric_weight) == (2, 3)


def test_totals_are_float64_and_differentiable() -> None:
    outputs = numbers(8, 3).requires_grad_()
    found = loss_of("cross_entropy").measure(outputs, classes(8))
    assert found.total.dtype == found.weight.dtype == torch.float64
    found.total.backward()
    expected = outputs.detach().softmax(1) - functional.one_hot(classes(8), 3)
    torch.testing.assert_close(outputs.grad, expected)
    assert not any(value.requires_grad for value in (found.weight, found.examples, found.example_weights, found.metric))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32])
def test_small_integer_classes_are_classes(kind: torch.dtype) -> None:
    found = loss_of("cross_entropy").measure(numbers(8, 3), classes(8).to(kind))
    torch.testing.assert_close(mean(found), functional.cross_entropy(numbers(8, 3), classes(8)))


def test_an_unknown_loss_suggests_the_near_one() -> None:
    with pytest.raises(LossError, match="'cross_entrpy' is unknown") as caught:
        loss_of("cross_entrpy")
    assert "Did you mean 'cross_entropy'?" in caught.value.remedy
    assert "file.py:function" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "kwargs", "told"),
    [
        ("cross_entropy", {"label_smoothin": 0.1}, "no argument 'label_smoothin'.*\n.*Did you mean 'label_smoothing'?"),
        ("mse", {"reduction": "sum"}, "no argument 'reduction'.*\n.*takes none"),
        (
            "cross_entropy",
            {"ignore_index": "pad"},
            "ignore_index = 'pad' is not what it takes.*integer",
        ),
        ("cross_entropy", {"label_smoothing": 1.5}, "label_smoothing = 1.5 is not from 0 to 1"),
    ],
)
def test_unknown_and_impossible_arguments_are_named(name: str, kwargs: dict[str, Any], told: str) -> None:
    with pytest.raises(LossError, match=told):
        loss_of(name, **kwargs)


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "told"),
    [
        ("cross_entropy", numbers(4, 3), torch.tensor([0, 1, 3, 0]), "a target is 3, but the model has 3 classes"),
        ("cross_entropy", numbers(4, 3), torch.tensor([0, -1, 2, 0]), "a target is -1.*\n.*ignore_index"),
        (
            "cross_entropy",
            numbers(4, 3),
            classes(4, 1),
            r"outputs \(4, 3\) do not go with torch.int64 targets",
        ),
        ("cross_entropy", numbers(4, 3), numbers(4), r"outputs \(4, 3\) and targets \(4,\) differ in shape"),
        ("cross_entropy", numbers(4), classes(4), r"outputs \(4,\) do not go"),
        ("cross_entropy", {"logits": 1}, classes(4), "output is of type dict, not a tensor"),
        ("nll", numbers(4, 3), numbers(4, 3), r"do not go with torch.float32 targets"),
        ("mse", numbers(4, 2), numbers(4), r"outputs \(4, 2\) and targets \(4,\) differ in shape"),
        ("mse", numbers(1, 4), numbers(4), r"outputs \(1, 4\) and targets \(4,\) differ in shape"),
        ("bce_with_logits", numbers(2, 1), torch.tensor([[2.0], [0.0]]), "targets from 0 to 2; they are 0 to 1"),
    ],
)
def test_outputs_and_targets_that_do_not_belong_together_are_told(
    name: str, outputs: Any, targets: Tensor, told: str
) -> None:
    with pytest.raises(LossError, match=told):
        loss_of(name).check(outputs, targets)


OWN = "def loss(outputs, targets, scale=1.0):\n    each = scale * (outputs[:, 0] - targets).square()\n    return "


@pytest.mark.parametrize("returned", ["each", "each.sum(), len(each)", "each.mean()"])
def test_users_losses_may_be_vectors_sums_with_weights_or_means(tmp_path: Path, returned: str) -> None:
    write(tmp_path, "own.py", OWN + returned)
    outputs, targets = numbers(8, 2).requires_grad_(), numbers(8)
    found = loss_of("own.py:loss", tmp_path, scale=2.0).measure(outputs, targets)
    torch.testing.assert_close(found.total.float(), 2 * (outputs[:, 0] - targets).square().sum())
    assert found.weight == 8
    assert found.total.dtype == torch.float64
    found.total.backward()
    torch.testing.assert_close(outputs.grad[:, 0], 4 * (outputs[:, 0] - targets).detach())


def test_users_vectors_are_losses_of_examples(tmp_path: Path) -> None:
    write(tmp_path, "own.py", OWN + "each")
    outputs, targets = numbers(8, 2), numbers(8)
    found = loss_of("own.py:loss", tmp_path).measure(outputs, targets)
    torch.testing.assert_close(found.examples.float(), (outputs[:, 0] - targets).square())


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("each.sum().item()", "returned float for a batch of 8"),
        ("each.view(4, 2)", r"returned Tensor \(4, 2\) of torch.float32 for a batch of 8"),
        ("each[:3]", r"returned Tensor \(3,\)"),
        ("None", "returned NoneType"),
        ("each, 8", r"its sum is a tensor \(8,\), not a scalar"),
        ("3.0, 8", "its sum is a float, not a scalar tensor that gradients flow through"),
        ("each.sum(), 'many'", "its weight is 'many'"),
        ("each.sum(), -1", "its weight is -1"),
        ("each.sum(), float('nan')", "its weight is nan"),
        ("undefined", r"raised NameError: .*\(own.py, line 3\)"),
    ],
)
def test_what_a_users_loss_may_not_return_is_told(tmp_path: Path, returned: str, told: str) -> None:
    write(tmp_path, "own.py", OWN + returned)
    with pytest.raises(LossError, match=rf"own.py:loss: {told}"):
        loss_of("own.py:loss", tmp_path).measure(numbers(8, 2), numbers(8))


def test_a_causal_language_models_loss_is_that_of_the_next_token() -> None:
    logits, tokens = numbers(4, 6, 3), classes(4, 6)
    tokens[1, 3:] = -100
    found = loss_of("causal_lm").measure(logits, tokens)
    expected = functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    torch.testing.assert_close(mean(found), expected)
    assert found.weight == (tokens[:, 1:] != -100).sum()
    assert found.example_weights.tolist() == [5, 2, 5, 5]


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_weights_of_classes_make_torchs_weighted_mean(name: str) -> None:
    outputs, targets = numbers(8, 3, 4).log_softmax(1), classes(8, 4)
    weight = [0.2, 3.0, 0.0]
    own = {"cross_entropy": functional.cross_entropy, "nll": functional.nll_loss}[name]
    expected = own(outputs, targets, weight=torch.tensor(weight), ignore_index=1)
    found = loss_of(name, weight=weight, ignore_index=1).measure(outputs, targets)
    torch.testing.assert_close(mean(found), expected)
    torch.testing.assert_close((found.examples * found.example_weights).sum(), found.total, rtol=1e-6, atol=1e-6)
    assert found.metric_weight == (targets != 1).sum()


@pytest.mark.parametrize("shape", [(8, 3), (8, 5, 3), (8, 2, 2, 3)])
def test_classes_may_be_on_the_last_axis(shape: tuple[int, ...]) -> None:
    outputs, targets = numbers(*shape), classes(*shape[:-1])
    first = loss_of("cross_entropy").measure(outputs.movedim(-1, 1), targets)
    last = loss_of("cross_entropy", class_axis=-1).measure(outputs, targets)
    torch.testing.assert_close(last.total, first.total)
    torch.testing.assert_close(last.examples, first.examples)
    assert last.metric == first.metric


def test_classes_on_the_other_axis_are_told() -> None:
    with pytest.raises(LossError) as caught:
        loss_of("cross_entropy").check(numbers(8, 5, 3), classes(8, 5))
    assert "class_axis = -1" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "kwargs", "own"),
    [
        ("l1", {}, functional.l1_loss),
        ("huber", {"delta": 0.5}, functional.huber_loss),
        ("smooth_l1", {"beta": 0.5}, functional.smooth_l1_loss),
        ("bce_with_logits", {"pos_weight": [2.0, 1.0, 0.5]}, functional.binary_cross_entropy_with_logits),
    ],
)
def test_other_elementwise_losses_are_torchs_own_means(name: str, kwargs: dict[str, Any], own: Any) -> None:
    outputs, targets = numbers(8, 3), classes(8, 3, of=2).float()
    given = {key: torch.tensor(value) if isinstance(value, list) else value for key, value in kwargs.items()}
    torch.testing.assert_close(mean(loss_of(name, **kwargs).measure(outputs, targets)), own(outputs, targets, **given))


def test_a_last_axis_of_one_is_never_broadcast() -> None:
    outputs, targets = numbers(4, 1), numbers(4) + 1
    loss = loss_of("mse")
    loss.check(outputs, targets)
    torch.testing.assert_close(mean(loss.measure(outputs, targets)), functional.mse_loss(outputs[:, 0], targets))
    assert list(loss.told) == ["mse: outputs (n, 1) are held against targets (n,) one by one."]


def test_a_users_loss_may_take_the_inputs_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        "own.py",
        "def loss(out, y, inputs):\n    return (out[:, 0] * inputs['mask']).sum(), inputs['mask'].sum()",
    )
    batch = Batch({"mask": torch.tensor([1.0, 0.0, 1.0])}, numbers(3))
    found = loss_of("own.py:loss", tmp_path).of(numbers(3, 2), batch)
    assert found.weight == 2


def test_the_source_of_a_loss_of_ones_own_is_known_and_that_of_others_is_not(tmp_path: Path) -> None:
    found = {}
    for name, scale in (("first", 1), ("same", 1), ("other", 2)):
        file = tmp_path / f"{name}.py"
        file.write_text(
            f"# {name}\ndef loss(outputs, targets):\n    return {scale} * (outputs - targets).square().mean()\n"
        )
        found[name] = from_code(LossSpec(name=f"{name}.py:loss"), UserCode(tmp_path)).code
    assert found["first"] == found["same"] != found["other"]
    assert len(found["other"]) == 64
    assert from_code(LossSpec(name="torch:dist"), UserCode(tmp_path)).code == loss_of("mse").code == ""
