"""Every trap that other tools fell into, each with a test that fails for a tool that falls into it.

The table, trap -> test: the file under tests/ and how the test's name goes on after `test_`.

ghosts: "the top ten" are eight copies of the first and two of the second, all of them converged
    truth/test_traps.py                 the_ten_largest_are_ten_different_ones
    truth/test_lanczos.py               ritz_values_are_no_ghosts
converged because two successive values agree; the largest not sorted
    truth/test_traps.py                 two_values_that_agree_are_not_enough
    truth/test_lanczos.py               convergence_is_judged_by_residuals
the largest |λ| for the largest λ, by seed
    truth/test_traps.py                 the_largest_is_algebraic_whatever_the_seed
    truth/test_lanczos.py               both_ends_are_algebraic
a maximum, where λ_max is negative
    truth/test_traps.py                 at_a_maximum_the_largest_eigenvalue_is_negative
    truth/test_known_landscapes.py      a_known_landscape_is_what_it_is
λ_min by shifting, lost in the tolerance of λ_max; a saddle by the share of negative Ritz values
    truth/test_traps.py                 a_smallest_eigenvalue_of_a_thousandth_of_the_largest_is_found
    truth/test_traps.py                 the_smallest_eigenvalue_is_inside_its_interval
    truth/test_known_landscapes.py      a_known_landscape_is_what_it_is
repeated eigenvalues
    truth/test_traps.py                 every_copy_of_the_largest_eigenvalue
    truth/test_traps.py                 hidden_units_that_are_alike_share_the_largest_eigenvalue
    truth/test_traps.py                 a_multiple_of_the_identity
    truth/test_lanczos.py               the_copies_of_a_repeated_largest_eigenvalue
fewer parameters than products; a Hessian that is exactly zero
    truth/test_traps.py                 fewer_parameters_than_products
    truth/test_traps.py                 a_loss_without_curvature
    truth/test_lanczos.py               a_budget_above_the_dimension
    truth/test_hessian.py               a_loss_without_curvature
the sum over batches for the mean; the mean of batch means where the last batch is small
    truth/test_traps_batches.py         how_the_sample_is_batched_changes_nothing
    truth/test_traps_batches.py         the_last_four_examples_weigh_as_much_as_any_four
    truth/test_hessian.py               ragged_batches_give_the_full_batch_hessian
    subject/test_subject.py             ragged_batches_give_the_full_batch_loss
padding counted in the loss, batches weighted alike although their tokens differ in number
    truth/test_traps_batches.py         padded_tokens_count_nowhere
    subject/test_loss.py                cross_entropy_is_torchs_own_mean
a second object on one model doubles H; stale gradients
    truth/test_traps_batches.py         a_second_audit_of_one_model_finds_the_same
    truth/test_hessian.py               stale_gradients_on_the_model
the Hessian elsewhere than at the checkpoint, or of the mean output
    truth/test_hessian.py               the_hessian_of_softmax_regression_is_its_closed_form
out of memory: a zero vector for a product, or a smaller sample
    truth/test_traps_not_a_number.py    a_product_that_runs_out_of_memory_fails
NaN that becomes a number
    truth/test_traps_not_a_number.py    what_is_not_a_number_never_becomes_one
    truth/test_traps_not_a_number.py    a_point_without_curvature_is_of_no_class
    truth/test_traps_not_a_number.py    the_norm_of_a_gradient
    truth/test_checks.py                the_checkpoint_is_the_centre_of_the_surface_and_cells_without_a_loss_stay_empty
    subject/test_subject.py             a_loss_that_is_not_finite_names_its_batch
Hutchinson stopped by its running mean, without a standard error
    truth/test_traps_trace.py           the_traces_standard_error_is_what_repetition_shows
    truth/test_trace.py                 the_claimed_interval_covers_the_trace
    truth/test_coverage.py              the_probe_interval_of_the_trace
the trace without deflation
    truth/test_trace.py                 taking_the_krylov_space_out
a generator without a seed, which is a constant
    truth/test_traps_trace.py           probes_follow_the_seed_and_nothing_else
    truth/test_lanczos.py               the_same_seed_gives_the_same_numbers
    test_bench.py                       two_audits_with_one_seed_agree
λ_max of a small sample is too large, and nobody says so
    truth/test_traps_trace.py           few_examples_are_told
    truth/test_coverage.py              the_sampling_interval_of_sharpness
float32 inner products and norms of a million elements
    truth/test_traps_trace.py           a_million_elements_lose_no_digit
    subject/test_loss.py                totals_are_float64
products that are silently wrong, in LayerNorm weights above all
    truth/test_traps_model.py           layer_norm_weights_have_their_dense_hessian
    truth/test_traps_model.py           layer_norm_weights_agree_with_differences
    truth/test_traps_model.py           every_normalisation_has_its_dense_hessian
    truth/test_traps_model.py           a_wrong_second_derivative_is_found_out
a model that computes in float32 whatever its weights are, taken for float64
    truth/test_traps_model.py           a_model_that_computes_in_float32_whatever_its_weights_are_is_held_to_float32
finite differences with a fixed step
    truth/test_traps_model.py           differences_are_taken_at_the_scale_of_the_weights
    truth/test_hessian.py               a_difference_of_gradients_converges
fused attention, which has no second derivative
    truth/test_traps_model.py           attention_has_its_dense_hessian
    subject/test_subject.py             second_derivatives_agree_with_differences
train mode: statistics move, dropout draws
    truth/test_traps_mode.py            a_model_that_draws_random_numbers
    truth/test_traps_mode.py            an_audit_in_train_mode
    truth/test_traps_mode.py            a_loss_that_depends_on_its_batches
    subject/test_subject.py             batch_normalisation_uses_running_statistics
compiled modules
    truth/test_traps_mode.py            a_function_compiled_inside_the_forward_pass
    truth/test_traps_mode.py            a_compiled_model_has_the_curvature_of_the_model
    subject/test_model.py               compiled_models_are_unwrapped
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from landscapes import DOUBLE, found, landscape, quadratic, top
from subjects import bench, half_square, subject
from torch import nn

from landscape_audit.checks.negative_curvature import negative_curvature
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.checks.spectral_density import spectral_density
from landscape_audit.checks.trace import trace

CURVATURE = (sharpness, negative_curvature, trace, spectral_density)


def test_the_table_names_tests_that_there_are():
    named = re.findall(r"^    (\S+\.py) +(\w+)$", __doc__, re.MULTILINE)
    assert len(named) > 40
    for file, name in named:
        assert f"def test_{name}" in (Path(__file__).parents[1] / file).read_text(), (file, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ten_largest_are_ten_different_ones_long_after_the_first_has_converged(dtype):
    largest = [100.0, 60.0, 36.0, 20.0, 12.0, 8.0, 5.0, 3.0, 2.0, 1.5]
    audited = quadratic([*largest, *np.linspace(-1, 1, 190)], dtype=getattr(torch, dtype))
    on = bench(audited, dtype=dtype, budgets={"lanczos_steps": 160, "top_k": 10, "eigen_tolerance": 1e-300})
    eps = torch.finfo(audited.theta.dtype).eps
    assert top(found(on, sharpness), 10) == pytest.approx(largest, abs=100 * 200**0.5 * eps)


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_is_algebraic_whatever_the_seed(seed):
    on = bench(quadratic([5.0, -5.2, *np.linspace(-1, 1, 30)]), seed=seed, **DOUBLE)
    estimates = found(on, sharpness, negative_curvature)
    assert estimates["lambda_max"].value == pytest.approx(5.0, rel=1e-9)
    assert estimates["lambda_min"].value == pytest.approx(-5.2, rel=1e-9)


def test_at_a_maximum_the_largest_eigenvalue_is_negative():
    on = bench(quadratic(np.linspace(-9, -1, 30).tolist()), learning_rate=0.1, **DOUBLE)
    estimates = found(on, sharpness, negative_curvature, trace)
    assert estimates["lambda_max"].value == pytest.approx(-1.0)
    assert estimates["lambda_min"].value == pytest.approx(-9.0)
    assert estimates["trace"].low == estimates["trace"].high == pytest.approx(-150.0)
    assert estimates["edge_of_stability"].value == pytest.approx(-0.05)
    assert "effective_rank" not in estimates


@pytest.mark.parametrize("seed", range(5))
def test_two_values_that_agree_are_not_enough(seed):
    # Ten eigenvalues within 2 % of the largest: power iteration agrees with itself to 1e-3 at about 1 % below it.
    spectrum = [*np.linspace(0.98, 1.0, 10), *np.linspace(0.0, 0.9, 290)]
    estimates = found(bench(quadratic(spectrum), seed=seed, level=0.999, **DOUBLE), sharpness)
    values = top(estimates, 5)
    assert values[0] == pytest.approx(1.0, abs=2e-3)
    assert values == sorted(values, reverse=True)
    assert estimates["lambda_max"].low <= 1.0 <= estimates["lambda_max"].high


# λ_min is a thousandth of λ_max, and near enough to the bulk that a residual small beside λ_max says nothing of it.
SHALLOW = [1000.0, 900.0, 800.0, 700.0, 600.0, 500.0, *np.linspace(20.0, 0.0, 200), -1.0]


def smallest_of(spectrum, seed, dtype, **budgets):
    on = bench(quadratic(spectrum, dtype=getattr(torch, dtype)), seed=seed, dtype=dtype, budgets=budgets)
    return found(on, negative_curvature)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_smallest_eigenvalue_is_inside_its_interval(dtype, seed):
    estimates = smallest_of(SHALLOW, seed, dtype)
    assert estimates["lambda_min"].low <= -1.0 <= estimates["lambda_min"].high


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_smallest_eigenvalue_of_a_thousandth_of_the_largest_is_found_where_the_budget_allows_it(dtype, seed):
    # A standard audit knows it to a thousandth of λ_max, which is its own size; a stricter one knows it.
    assert smallest_of(SHALLOW, seed, dtype, eigen_tolerance=1e-6)["lambda_min"].value == pytest.approx(-1.0, rel=0.05)


def test_fewer_parameters_than_products_give_every_eigenvalue_and_an_exact_trace():
    for spectrum in ([3.0], [3.0, -2.0], [3.0, 0.0, -2.0]):
        on = bench(quadratic(spectrum), preset="thorough", **DOUBLE)
        estimates = found(on, *CURVATURE)
        assert top(estimates, len(spectrum)) == pytest.approx(sorted(spectrum, reverse=True), abs=1e-12)
        assert f"lambda_{len(spectrum) + 1}" not in estimates
        assert estimates["lambda_min"].value == pytest.approx(min(spectrum), abs=1e-12)
        assert estimates["trace"].low == estimates["trace"].high == pytest.approx(sum(spectrum))
        assert estimates["lambda_max"].high == pytest.approx(estimates["lambda_max"].value, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [lambda t: 1 + 0 * t.sum(), lambda t: 1 + t.sum()], ids=["constant", "slope"])
def test_a_loss_without_curvature_has_eigenvalues_and_a_trace_of_zero(function, dtype):
    on = bench(landscape(function, [1.0] * 70, getattr(torch, dtype)), dtype=dtype)
    estimates = found(on, *CURVATURE)
    for name in ("lambda_max", "lambda_2", "lambda_min", "trace"):
        assert estimates[name].low == estimates[name].value == estimates[name].high == 0.0, name
    assert "effective_rank" not in estimates
    assert estimates["near_zero_share"].value == 1.0
    assert estimates["negative_share"].value == 0.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_multiple_of_the_identity_has_one_eigenvalue_many_times(dtype):
    on = bench(quadratic([3.0] * 100, dtype=getattr(torch, dtype)), dtype=dtype)
    estimates = found(on, *CURVATURE)
    assert top(estimates, 5) == pytest.approx([3.0] * 5, rel=1e-5)
    assert estimates["lambda_min"].value == pytest.approx(3.0, rel=1e-5)
    assert estimates["trace"].low <= 300.0 <= estimates["trace"].high
    assert estimates["near_zero_share"].value == 0.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_copy_of_the_largest_eigenvalue_is_reported_where_the_budget_holds_the_whole_space(dtype, seed):
    spectrum = [3.0, 3.0, 3.0, *np.linspace(2.0, -1.0, 20)]
    on = bench(quadratic(spectrum, dtype=getattr(torch, dtype)), seed=seed, dtype=dtype)
    assert on.budgets.lanczos_steps >= len(spectrum)
    assert top(found(on, sharpness), 5) == pytest.approx(spectrum[:5], abs=1e-3 * 3.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hidden_units_that_are_alike_share_the_largest_eigenvalue(dtype):
    # A two-layer linear network at the origin: each singular value of XᵀY / N is an eigenvalue as often as there are
    # hidden units, five times.
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(256, 4, generator=generator)
    y = x @ torch.randn(4, 3, generator=generator)
    model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 3, bias=False))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    on = bench(subject(model, half_square, x, y, dtype=getattr(torch, dtype)), dtype=dtype)
    largest = float(torch.linalg.svdvals(x.T @ y / 256)[0])
    assert top(found(on, sharpness), 5) == pytest.approx([largest] * 5, rel=1e-3)
