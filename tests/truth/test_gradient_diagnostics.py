"""What the gradient check says of layers, dtypes, batches and noise, against gradients that were chosen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from subjects import INFO, bench, cross_entropy, half_square, measured, output, subject
from torch import nn

from landscape_audit.checks.gradient import _noise, _noise_scale, _signal_squared, batch_cosine, gradient
from landscape_audit.plan import Silent
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.gradients import BatchGradients, GradientSample
from landscape_audit.results import TensorGroup
from landscape_audit.subject.losses.values import mse


class Linear(nn.Module):
    """Σ_l ⟨θ_l, x_l⟩, where x_l are columns of the input: the gradient in θ_l is the mean of x_l."""

    def __init__(self, **tensors):
        super().__init__()
        for name, value in tensors.items():
            self.register_parameter(name, nn.Parameter(value.clone()))

    def forward(self, x):
        return x @ torch.cat([parameter.flatten() for parameter in self.parameters()])


def with_gradients(x, *, stored=None, dtype=torch.float64, sizes=None, **tensors):
    tensors = tensors or {"theta": torch.ones(x.shape[1])}
    audited = subject(Linear(**tensors), output, x, torch.zeros(len(x)), dtype=dtype, sizes=sizes)
    groups = tuple(TensorGroup(dtype=name, tensors=1, elements=n) for name, n in (stored or {}).items())
    return replace(audited, info=INFO.model_copy(update={"tensor_groups": groups}))


def diagnosed(*args, **kwargs):
    audited = with_gradients(*args, **kwargs)
    return measured(bench(audited, dtype=str(audited.theta.dtype).removeprefix("torch.")), gradient)


def word(found):
    return found.labels["reason"].value


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def column(found, name):
    layers = next(detail for detail in found.details if detail.name == "layer_ratios")
    index = [each.name for each in layers.columns].index(name)
    return {row[0]: row[index] for row in layers.rows}


# ------------------------------------------------------------------------------------------------------------ cosine


def cosine(rows):
    """The cosine of batches of two examples with the given gradients."""
    x = torch.tensor(rows, dtype=torch.float64).repeat_interleave(2, 0)
    return diagnosed(x, sizes=[2] * len(rows)).estimates["batch_cosine"]


def test_batches_of_one_gradient_have_cosine_one_whatever_their_lengths():
    found = cosine([[1.0, 2.0], [2.0, 4.0], [0.5, 1.0], [1.0, 2.0]])
    assert found.value == pytest.approx(1, rel=1e-14)
    assert found.low == pytest.approx(1, rel=1e-12)


def test_two_opposite_batches_have_cosine_minus_one_and_no_error_to_speak_of():
    found = cosine([[1.0, 2.0], [-3.0, -6.0]])
    assert found.value == pytest.approx(-1, rel=1e-14)
    assert (found.low, found.high) == (-1, 1)


def test_gradients_that_memory_does_not_hold_are_taken_in_fewer_groups_and_that_is_told():
    torch.manual_seed(0)
    audited = subject(nn.Linear(3, 2), cross_entropy, torch.randn(80, 3), torch.randint(0, 2, (80,)), sizes=[4] * 20)
    with_much = bench(audited)
    with_little = Bench(audited, with_much.protocol, Silent(), memory=0)
    for on in (with_little, with_much):
        on.take(BatchGradients())
    (told,) = [line for line in with_little.adjustments if "spread of the gradient" in line]
    assert "over 8 groups of batches, not 20" in told
    assert not any("spread of the gradient" in line for line in with_much.adjustments)


def test_orthogonal_batches_have_cosine_zero():
    found = cosine([[1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 4.0]])
    assert found.value == pytest.approx(0, abs=1e-15)


def test_the_cosine_is_the_mean_over_all_pairs():
    rows = noise(7, 5)
    pairs = [float(torch.cosine_similarity(rows[a], rows[b], dim=0)) for a in range(7) for b in range(a)]
    assert cosine(rows.tolist()).value == pytest.approx(np.mean(pairs), rel=1e-12)


def test_a_batch_without_a_gradient_has_no_cosine_and_is_named():
    found = diagnosed(torch.tensor([[1.0, 0], [0, 0], [1.0, 1.0], [1.0, 0]]).double(), sizes=[1] * 4)
    assert found.estimates["batch_cosine"].value == pytest.approx((1 + math.sqrt(2)) / 3)
    assert found.estimates["batch_cosine"].n == 3
    assert any("1 batch without a gradient" in caveat for caveat in found.caveats)


def test_no_gradient_at_all_is_no_cosine_and_no_ratio_and_divides_nothing():
    found = diagnosed(torch.zeros(16, 3))
    for name in ("batch_cosine", "update_ratio", "weakest_tensor", "noise_scale"):
        assert found.estimates[name].nonfinite == "nan", name
    assert word(found) == "vanishing layers"


def test_the_cosine_of_a_known_mixture_is_unbiased_and_its_error_is_what_it_says():
    # In two dimensions ĝ is a point on the circle, at an angle that is uniform over [−a, a]: E⟨ĝ, ĝ'⟩ = (sin a / a)².
    width, values, errors = 2.0, [], []
    for seed in range(400):
        angles = np.random.default_rng(seed).uniform(-width, width, 12)
        rows = np.stack([np.cos(angles), np.sin(angles)], 1)
        mean = batch_cosine(sample_of(rows, np.ones(12)))
        values.append(mean.value)
        errors.append(mean.error)
    spread = np.std(values)
    assert abs(np.mean(values) - (math.sin(width) / width) ** 2) < 5 * spread / 20
    assert 0.9 < np.mean(errors) / spread < 1.4  # a jackknife is conservative: Efron & Stein 1981


def sample_of(rows, weights):
    """Gradients of groups, as the probe would know them."""
    return GradientSample(
        weights=np.asarray(weights, float),
        gram=rows @ rows.T,
        blocks=(),
        examples=int(sum(weights)),
        mean=torch.empty(0),
        seed=0,
    )


# ------------------------------------------------------------------------------------------------------- noise scale


@pytest.mark.parametrize(("mean", "bounded"), [(0.3, True), (0.05, False)])
def test_the_interval_of_the_noise_scale_covers_the_truth_also_where_the_signal_cannot_be_seen(mean, bounded):
    # 160 examples with ∇ℓ ~ N(μ, I) in 10 dimensions: tr Σ / |μ|² = 1 / mean².
    covered, ends = 0, 0
    for seed in range(200):
        examples = mean + np.random.default_rng(seed).standard_normal((160, 10))
        rows = examples.reshape(16, 10, 10).mean(1)
        sample = sample_of(rows, [10] * 16)
        found = _noise_scale(_signal_squared(sample), _noise(sample), 0.95)
        covered += found.low <= mean**-2 <= (math.inf if found.high is None else found.high)
        ends += found.high is not None
        assert found.low > 0  # also where the estimate of the signal is not positive
    assert covered >= 190 - 3 * 3
    assert (ends == 200) == bounded


def test_the_interval_of_a_signal_that_is_zero_holds_it_and_never_shrinks_to_nothing():
    covered = 0
    for seed in range(200):
        rows = np.random.default_rng(seed).standard_normal((16, 10, 10)).mean(1)
        signal = _signal_squared(sample_of(rows, [10] * 16))
        half = signal.half_width(0.95)
        covered += signal.value - half <= 0 <= signal.value + half
    assert covered >= 190 - 3 * 3
    centred = rows - rows.mean(0)
    assert _signal_squared(sample_of(centred, [10] * 16)).error > 0.1 * 10 / 160  # a tenth of tr Σ / N


def test_a_signal_estimated_to_be_zero_leaves_the_lower_end_of_the_noise_scale():
    x = noise(160, 4)
    x -= x.mean(0)
    found = diagnosed(x, sizes=[10] * 16).estimates["noise_scale"]
    assert found.value == found.low
    assert found.low > 1
    assert found.high is None


def test_the_noise_scale_counts_examples_where_the_loss_weighs_elements():
    # The mean over 4 elements is a quarter of the sum, so both losses have one noise scale.
    x, y = noise(160, 3), noise(160, 4, seed=1)
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    by_element, by_example = (
        measured(bench(subject(model, loss, x, y, dtype=torch.float64), dtype="float64"), gradient).estimates
        for loss in (mse().measure, half_square)
    )
    assert by_element["norm"].value == pytest.approx(by_example["norm"].value / 2)
    assert by_element["noise_scale"].value == pytest.approx(by_example["noise_scale"].value)


# ------------------------------------------------------------------------------------------------------------ layers


def layered(*scales, **tensors):
    """Three tensors (or those given) with the gradients `scales`, in every example."""
    tensors = tensors or {name: torch.ones(2) for name in "abc"[: len(scales)]}
    return diagnosed(torch.tensor(scales).double().repeat_interleave(2).expand(16, -1), **tensors)


def test_the_update_ratio_is_the_median_of_gradient_over_weight():
    tensors = {"a": torch.full((2,), 2.0), "b": torch.full((2,), 10.0), "c": torch.full((2,), 1.0)}
    found = layered(1.0, 1.0, 4.0, **tensors)
    assert column(found, "update_ratio") == pytest.approx({"a": 0.5, "b": 0.1, "c": 4.0})
    assert found.estimates["update_ratio"].value == pytest.approx(0.5)
    assert found.estimates["weakest_tensor"].value == pytest.approx(0.2)
    assert word(found) == "none"


@pytest.mark.parametrize(("scale", "named"), [(1.1e-3, False), (0.9e-3, True), (0.0, True)])
def test_a_tensor_a_thousand_times_below_the_median_is_named(scale, named):
    found = layered(1.0, scale, 1.0)
    assert (word(found) == "vanishing layers") == named
    assert found.labels["reason"].reason.endswith(" b.") == named


def test_a_tensor_of_norm_zero_has_no_ratio_and_is_named_and_left_out():
    found = layered(1.0, 1.0, 1.0, a=torch.ones(2), b=torch.zeros(2), c=torch.ones(2))
    assert column(found, "update_ratio")["b"] is None
    assert found.estimates["update_ratio"].n == 2
    assert any("norm zero" in caveat and " b." in caveat for caveat in found.caveats)
    assert word(found) == "none"


# --------------------------------------------------------------------------------------------------------- underflow

# Of float16: the least normal number is 2⁻¹⁴, the least of all 2⁻²⁴; a half of that is rounded to zero (to even).
HALF = [1.0, 2.0**-14, 2.0**-15, 2.0**-24, 2.0**-25, 1e-9, 0.0]


def test_planted_underflow_in_float16_is_counted_exactly():
    found = diagnosed(torch.tensor(HALF).expand(16, -1), stored={"float16": 7}, dtype=torch.float32)
    assert column(found, "lost") == {"theta": 2}
    assert column(found, "subnormal") == {"theta": 2}
    assert column(found, "zeros") == {"theta": 1}
    assert found.estimates["underflow"].value == pytest.approx(4 / 6)
    assert found.estimates["lost_norm"].value == pytest.approx(2.0**-25 / 1.0, rel=1e-3)
    assert word(found) == "none"


def test_bfloat16_has_the_range_of_float32_and_loses_none_of_these():
    found = diagnosed(torch.tensor(HALF).expand(16, -1), stored={"bfloat16": 7}, dtype=torch.float32)
    assert column(found, "lost") == column(found, "subnormal") == {"theta": 0}
    assert found.estimates["underflow"].value == 0


def test_a_gradient_that_float16_would_lose_is_the_reason():
    found = diagnosed(torch.full((16, 5), 1e-8), stored={"float16": 5}, dtype=torch.float32)
    assert found.estimates["lost_norm"].value == pytest.approx(1)
    assert word(found) == "underflow"


@pytest.mark.parametrize(
    ("stored", "there"),
    [
        ({"float32": 9}, False),
        ({"float32": 9, "float16": 5}, False),
        ({"float32": 5, "float16": 9}, True),
        ({"int64": 90, "bfloat16": 9}, True),
        ({}, False),
    ],
)
def test_underflow_is_that_of_the_dtype_of_most_numbers_and_only_where_it_is_short(stored, there):
    assert ("underflow" in diagnosed(torch.ones(16, 2), stored=stored).estimates) == there


# -------------------------------------------------------------------------------------------------------------- noise


def test_gradients_that_cancel_are_noise():
    x = noise(320, 50)
    x -= x.mean(0)
    assert word(diagnosed(x, sizes=[10] * 32)) == "noise"


# ------------------------------------------------------------------------------------------------------------ biases


class Attention(nn.Module):
    """One attention layer as BERT has it: query, key and value apart, each with a bias; then a classifier."""

    def __init__(self, dim=8):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.classifier = nn.Linear(dim, 2)

    def forward(self, x):
        mixed = nn.functional.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        return self.classifier(mixed.mean(1))


def classified(model, x, dtype=torch.float32):
    y = (x.flatten(1).sum(1) > 0).long()
    audited = subject(model, cross_entropy, x.to(dtype), y, dtype=dtype, sizes=[8] * 8)
    return measured(bench(audited, dtype=str(dtype).removeprefix("torch.")), gradient)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bias_of_a_key_which_softmax_cancels_is_no_vanishing_layer_and_is_said_to_have_no_influence(dtype):
    torch.manual_seed(0)
    found = classified(Attention(), noise(64, 5, 8) + noise(64, 1, 8, seed=1), dtype)
    norms = column(found, "gradient_norm")
    assert norms["key.bias"] < 1e-5 * norms["key.weight"]
    assert word(found) == "none"
    assert found.estimates["weakest_tensor"].value > 1e-3
    assert {name for name, note in column(found, "note").items() if note} == {"key.bias"}
    (told,) = [caveat for caveat in found.caveats if "up to rounding" in caveat]
    assert "1 bias of" in told
    assert told.endswith(": key.bias.")


def test_the_first_weights_of_a_deep_stack_of_sigmoids_vanish():
    torch.manual_seed(0)
    layers = [layer for _ in range(20) for layer in (nn.Linear(8, 8), nn.Sigmoid())]
    found = classified(nn.Sequential(*layers, nn.Linear(8, 2)), noise(64, 8))
    assert word(found) == "vanishing layers"
    assert column(found, "note")["0.weight"] == "vanishing"


class Deaf(nn.Module):
    """A layer that hears nothing but zeros: its bias gets a gradient, and its weight none."""

    def __init__(self):
        super().__init__()
        self.deaf, self.last = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(self.deaf(0 * x))


def test_a_weight_without_a_gradient_is_named_though_its_bias_has_one():
    torch.manual_seed(0)
    found = classified(Deaf(), noise(64, 8))
    assert column(found, "gradient_norm")["deaf.bias"] > 0
    assert found.labels["reason"].reason.endswith(" deaf.weight.")
