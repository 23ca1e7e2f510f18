"""The data check against samples whose faults were planted and whose losses have closed forms."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from subjects import bench, half_square, measured, subject
from torch import nn

from landscape_audit.checks.data import data
from landscape_audit.probes.constant import ConstantPrediction
from landscape_audit.probes.inputs import AuditedInputs
from landscape_audit.probes.ranks import Ranks
from landscape_audit.subject.losses.classes import cross_entropy, nll
from landscape_audit.subject.losses.values import bce_with_logits, mse


class Given(nn.Module):
    """Outputs that were chosen, whatever the input: the first columns of the input, and a parameter of zero."""

    def __init__(self, *shape):
        super().__init__()
        self.shape, self.nothing = shape, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x[:, : math.prod(self.shape)].reshape(-1, *self.shape) + self.nothing


def audited(inputs, targets, loss, *shape, dtype=torch.float64, sizes=None):
    """A sample whose outputs are the first numbers of its inputs, under one of the built-in losses."""
    found = subject(Given(*shape), loss.measure, inputs, targets, dtype=dtype, sizes=sizes)
    return replace(found, loss=loss, data=found.data.model_copy(update={"loss": loss.name}))


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distinct_zeros(n, outputs):
    """Inputs that all differ, behind outputs of zero."""
    return torch.cat([torch.zeros(n, outputs, dtype=torch.float64), noise(n, outputs + 1)], 1)


def values(found):
    return {name: estimate.value for name, estimate in found.estimates.items()}


def word(found):
    return found.labels["reason"].value


# ----------------------------------------------------------------------------------------------------- the constant


def test_uniform_logits_on_balanced_classes_are_exactly_chance_and_exactly_the_best_constant():
    labels = torch.arange(200) % 10
    on = bench(audited(distinct_zeros(200, 10), labels, cross_entropy(), 10), dtype="float64")
    found = measured(on, data)
    assert values(found)["loss_over_constant"] == pytest.approx(1, abs=1e-12)
    assert values(found)["loss_over_chance"] == pytest.approx(1, abs=1e-12)
    assert on.take(ConstantPrediction()).chance == pytest.approx(math.log(10), rel=1e-14)
    assert values(found)["label_cover"] == 1
    assert values(found)["rarest_label"] == values(found)["commonest_label"] == pytest.approx(0.1)
    assert word(found) == "no better than a constant"


def test_the_best_constant_of_classes_has_the_entropy_of_their_frequencies():
    labels = torch.tensor([0] * 50 + [1] * 30 + [3] * 20)
    found = bench(audited(distinct_zeros(100, 4), labels, cross_entropy(), 4)).take(ConstantPrediction())
    assert found.loss == pytest.approx(-sum(p * math.log(p) for p in (0.5, 0.3, 0.2)), rel=1e-12)
    assert found.shares == pytest.approx((0.5, 0.3, 0, 0.2))


def test_targets_that_are_ignored_count_neither_in_the_constant_nor_in_the_classes():
    # The ignored class is one of the model's own, as padding often is.
    tokens = torch.randint(1, 5, (40, 6), generator=torch.Generator().manual_seed(1))
    tokens[:, 4:] = 0
    tokens[7] = 0
    x = distinct_zeros(40, 30)
    found = bench(audited(x, tokens, cross_entropy(ignore_index=0), 5, 6)).take(ConstantPrediction())
    shares = torch.bincount(tokens[tokens > 0], minlength=5) / (tokens > 0).sum()
    assert found.shares == pytest.approx(shares.tolist())
    assert found.loss == pytest.approx(-float(torch.special.xlogy(shares, shares).sum()), rel=1e-6)
    assert found.examples[7] == 0
    assert found.chance == pytest.approx(math.log(5))


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (cross_entropy(label_smoothing=0.2), torch.arange(60) ** 2 % 4),
        (cross_entropy(), torch.softmax(noise(60, 4, 5), 1)),
        (nll(), torch.arange(60)[:, None] ** torch.arange(1, 4) % 4),
        (bce_with_logits(), (noise(60, 4, 2) > 0.5).double()),
        (mse(), 3 + noise(60, 4, 2)),
        (mse(), 3 + noise(60)),
    ],
    ids=["smoothed", "soft", "nll", "binary", "values", "plain values"],
)
def test_no_other_constant_is_better_than_the_best(loss, targets):
    """A minimiser finds none, on the loss of outputs in the model's own shape."""
    classes = loss.name in {"cross_entropy", "nll"}
    positions = targets.shape[1:] if classes and not targets.is_floating_point() else targets.shape[2:]
    outputs = () if targets.ndim == 1 and not classes else (4,)
    shape = (*outputs, *positions)
    audit = audited(distinct_zeros(60, max(1, math.prod(shape))), targets, loss, *shape)
    constant = torch.zeros(4 if outputs else 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([constant], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def mean():
        z = constant.log_softmax(0) if loss.name == "nll" else constant
        z = z.view(-1, *[1] * len(positions)) if outputs else z
        found = loss.measure(z.expand(60, *shape), targets)
        return found.total / found.weight

    def closure():
        optimiser.zero_grad()
        value = mean()
        value.backward()
        return value

    optimiser.step(closure)
    assert bench(audit).take(ConstantPrediction()).loss == pytest.approx(mean().item(), rel=1e-9)


def test_the_best_constant_of_squared_error_has_the_variance_of_the_targets():
    targets = noise(300, 2) * torch.tensor([1.0, 3.0])
    found = bench(audited(distinct_zeros(300, 2), targets, mse(), 2)).take(ConstantPrediction())
    assert found.loss == pytest.approx(float(targets.var(0, correction=0).mean()), rel=1e-12)
    assert found.chance is None


def test_the_constant_is_the_same_by_example_whatever_the_batches_the_pieces_and_the_processes(monkeypatch):
    tokens = torch.randint(0, 5, (50, 3), generator=torch.Generator().manual_seed(1))
    whole = bench(audited(distinct_zeros(50, 15), tokens, cross_entropy(), 5, 3, sizes=[50]))
    truth = whole.take(ConstantPrediction())
    monkeypatch.setattr("landscape_audit.probes.constant._ELEMENTS", 40)
    ragged = bench(audited(distinct_zeros(50, 15), tokens, cross_entropy(), 5, 3, sizes=[7, 20, 23]))
    assert ragged.take(ConstantPrediction()).examples == pytest.approx(truth.examples, rel=1e-12)


def test_the_interval_of_the_gain_covers_the_truth_as_often_as_it_says():
    # Logits know each binary label with 70 % certainty, and are right in 70 %: the true gain is log 2 − H(0.7).
    certain = math.log(0.7 / 0.3)
    truth = math.log(2) + 0.7 * math.log(0.7) + 0.3 * math.log(0.3)
    inside = 0
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 2, (400,), generator=generator)
        told = torch.where(torch.rand(400, generator=generator) < 0.7, labels, 1 - labels)
        logits = certain * nn.functional.one_hot(told, 2).double()
        audit = audited(torch.cat([logits, noise(400, 1)], 1), labels, cross_entropy(), 2, sizes=[200, 200])
        on = bench(audit, dtype="float64")
        constant, model = on.take(ConstantPrediction()), on.take(data.probes[2])
        from landscape_audit.checks.data import _gain

        gain = _gain(constant, model)
        inside += abs(gain.value - truth) <= gain.half_width(0.95)
    assert 0.90 <= inside / 200 <= 0.99


def test_a_loss_of_the_users_own_is_compared_with_no_constant_and_says_so():
    found = measured(bench(subject(nn.Linear(3, 1), half_square, noise(40, 3), noise(40, 1))), data)
    assert not {"loss_over_constant", "label_cover"} & set(found.estimates)
    assert any("not known" in caveat for caveat in found.caveats)
    assert word(found) == "none"


def test_one_label_throughout_leaves_no_ratio_and_is_the_reason():
    labels = torch.full((40,), 2)
    found = measured(bench(audited(distinct_zeros(40, 4), labels, cross_entropy(), 4)), data)
    assert word(found) == "single label"
    assert found.estimates["loss_over_constant"].nonfinite == "nan"
    assert found.estimates["label_cover"].value == 0.25
    assert any("0, 1, 3" in caveat for caveat in found.caveats)


def test_outputs_that_occur_one_way_only_are_not_covered():
    labels = (noise(64, 3, seed=4) > 0).double()
    labels[:, 1] = 0
    labels[:, 2] = 1
    found = measured(bench(audited(distinct_zeros(64, 3), labels, bce_with_logits(), 3)), data)
    assert found.estimates["label_cover"].value == pytest.approx(1 / 3)
    assert any("1, 2" in caveat for caveat in found.caveats)
    assert found.estimates["loss_over_chance"].value == pytest.approx(1)


# -------------------------------------------------------------------------------------------------------- the inputs


def learnt(n=100, seed=0):
    """Inputs whose first two numbers tell the label, and the labels."""
    labels = torch.arange(n) % 2
    return torch.cat([6 * nn.functional.one_hot(labels, 2).double(), noise(n, 8, seed=seed)], 1), labels


def reading(x, y, **kwargs):
    return measured(bench(audited(x, y, cross_entropy(), 2, **kwargs), dtype="float64"), data)


def test_a_sample_without_faults_has_none():
    found = reading(*learnt())
    assert word(found) == "none"
    shares = ("duplicates", "contradictions", "constant_inputs", "constant_examples", "nonfinite_inputs")
    assert [values(found)[name] for name in shares] == [0] * 5


def test_planted_duplicates_are_counted_across_batches():
    x, y = learnt()
    x[90:], y[90:] = x[:10], y[:10]
    x[89], y[89] = x[0], y[0]
    found = reading(x, y)
    assert values(found)["duplicates"] == pytest.approx(0.11)
    assert values(found)["contradictions"] == 0
    assert word(found) == "duplicate inputs"


def test_planted_contradictions_count_every_example_that_shares_the_input():
    x, y = learnt()
    x[10] = x[12] = x[1]
    y[1], y[10], y[12] = 1, 0, 1
    found = reading(x, y)
    assert values(found)["contradictions"] == pytest.approx(0.03)
    assert values(found)["duplicates"] == pytest.approx(0.02)
    assert word(found) == "contradictory labels"


def test_planted_constant_features_and_blank_examples_are_counted():
    x, y = learnt()
    x[:, 5] = 0.25
    x[3] = 1.0
    x[:, 5][3] = 1.0
    assert values(reading(x, y))["constant_inputs"] == 0
    x[3, 5] = 0.25
    x[4] = 0.25
    found = reading(x, y)
    assert values(found)["constant_inputs"] == pytest.approx(0.1)
    assert values(found)["constant_examples"] == pytest.approx(0.01)
    assert word(found) == "constant inputs"


def test_one_input_throughout_is_the_reason_though_most_features_may_never_change():
    x, y = learnt()
    x[:, 2:9] = 0.0
    assert values(reading(x, y))["constant_inputs"] == pytest.approx(0.7)
    assert word(reading(x, y)) == "none"
    assert word(reading(x[:1].expand(100, -1), y)) == "constant inputs"


def test_numbers_that_overflow_in_the_audits_dtype_are_not_finite():
    x, y = learnt()
    x[0, 5], x[1, 6] = 1e300, -1e300
    sample = bench(audited(x, y, cross_entropy(), 2, dtype=torch.float32)).take(AuditedInputs())
    assert sample.nonfinite == 2
    assert sample.numbers == 1000


def test_examples_of_different_shapes_have_no_features_and_are_never_equal():
    audit = audited(torch.zeros(8, 4), torch.zeros(8).long(), cross_entropy(), 2, sizes=[4, 4])
    first, second = audit.sample.batches
    other = replace(second, inputs=second.inputs[:, :3])
    sample = bench(replace(audit, sample=replace(audit.sample, batches=(first, other)))).take(AuditedInputs())
    assert sample.features is None
    assert sample.distinct == 2


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8])
def test_tokens_and_flags_are_read_like_numbers(dtype):
    x = torch.tensor([[1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 1, 1]]).to(dtype)
    sample = bench(subject(nn.Linear(3, 1), half_square, x, torch.zeros(4, 1))).take(AuditedInputs())
    assert (sample.distinct, sample.constant_features, sample.blank, sample.nonfinite) == (3, 1, 1, 0)


class Together(Ranks):
    """Processes played by threads: a sum waits until all have brought their part."""

    def bind(self, meeting, brought):
        object.__setattr__(self, "meeting", meeting)
        object.__setattr__(self, "brought", brought)
        return self

    def sum(self, tensor):
        self.brought[self.rank] = tensor.detach().clone()
        self.meeting.wait(timeout=30)
        total = torch.stack(self.brought).sum(0)
        self.meeting.wait(timeout=30)
        return tensor.detach().copy_(total)


def test_every_process_finds_duplicates_in_other_processes_batches_and_the_same_constant():
    tokens = torch.randint(0, 5, (50, 3), generator=torch.Generator().manual_seed(1))
    x = distinct_zeros(50, 15)
    x[49] = x[0]  # far apart: in batches of different processes
    audit = audited(x, tokens, cross_entropy(ignore_index=4), 5, 3)
    meeting, brought = threading.Barrier(3), [torch.empty(0)] * 3

    def process(rank):
        on = bench(audit)
        on.ranks = Together(rank, 3).bind(meeting, brought)
        return on.take(AuditedInputs()), on.take(ConstantPrediction())

    with ThreadPoolExecutor(3) as pool:
        (read, first), *others = pool.map(process, range(3))
    assert read.distinct == 49
    alone = bench(audit).take(ConstantPrediction())
    for inputs, constant in others:
        assert inputs == read
        assert constant == first
    assert first.examples == pytest.approx(alone.examples, rel=1e-12)
    assert first.shares == pytest.approx(alone.shares)
