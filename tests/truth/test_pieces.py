"""Pieces say the same as the estimate that they are of: their mean is its value, their standard error its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from landscapes import DOUBLE, regression
from scipy import stats
from subjects import bench
from user_files import subject_in

from landscape_audit.checks import chosen
from landscape_audit.checks.loss import loss as check_loss
from landscape_audit.checks.tolerance import tolerance
from landscape_audit.probes.evaluation import losses_at, passes
from landscape_audit.probes.facts import AuditFacts
from landscape_audit.probes.losses import CheckpointLoss, by_example
from landscape_audit.probes.perturbations import Cloud
from landscape_audit.quantiles import t_quantile
from landscape_audit.results import Measured
from landscape_audit.spec import ChecksSpec

BUDGETS = {"lanczos_steps": 12, "trace_probes": 12, "trace_tolerance": 1e-9, "flatness_tolerance": 1e-9}
EXPECTED = {
    "loss.value",
    "sharpness.lambda_max",
    "sharpness.lambda_2",
    "sharpness.lambda_max_corrected",
    "negative_curvature.lambda_min",
    "negative_curvature.rayleigh",
    "trace.trace",
    "trace.effective_rank",
    "flatness.rise@0.1",
    "flatness.m_sharpness",
    "ggn.lambda_max",
    "ggn.explained",
    "quantisation.rise@int4",
}


@pytest.fixture(scope="module")
def found():
    on = bench(regression((5, 9, 12, 8, 7, 10, 13)), **DOUBLE, budgets=BUDGETS)
    outcomes = {check.id: check.measure(*map(on.take, check.probes)) for check in chosen(ChecksSpec())}
    measured = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Measured)}
    return {f"{name}.{key}": each for name, outcome in measured.items() for key, each in outcome.estimates.items()}


def parts(found):
    return {key: part for key, estimate in found.items() for part in estimate.parts if part.pieces}


def test_what_gates_are_on_is_told_piece_by_piece(found):
    assert parts(found).keys() >= EXPECTED


def test_the_mean_of_the_pieces_is_the_value_and_their_standard_error_the_parts(found):
    for key, part in parts(found).items():
        assert np.mean(part.pieces) == pytest.approx(found[key].value, rel=1e-9), key
        half = t_quantile(found[key].level, (found[key].n or math.nan) - 1) * stats.sem(part.pieces)
        value = found[key].value  # on the side of a long tail an interval may go further
        assert min(value - part.low, part.high - value) == pytest.approx(half, rel=1e-6), key


def test_the_pieces_of_the_tolerance_are_as_wide_as_the_edges_of_its_curve():
    bends = np.random.default_rng(0).normal(1, 0.05, 24)
    sigmas = (0.1, 0.2, 0.4)
    clouds = [Cloud(s, tuple(s**2 * bends + s**4), (0.0,) * len(bends), ()) for s in sigmas]
    estimate = tolerance(clouds, 0.07, 0.95, 0.0)
    (part,) = estimate.parts
    assert np.mean(part.pieces) == pytest.approx(estimate.value)
    half = t_quantile(0.95, len(part.pieces) - 1) * stats.sem(part.pieces)
    assert (part.high - part.low) / 2 == pytest.approx(half, rel=0.01)  # the pieces are of first order


@pytest.mark.parametrize("most", [7, 1000])
def test_the_metric_is_told_example_by_example_however_batches_are_joined_or_cut(tmp_path, most):
    audited = subject_in(tmp_path)
    over = passes(audited.sample.batches, range(len(audited.sample.batches)), most)
    on = bench(audited)
    told = by_example(on, losses_at(audited, audited.theta, over))
    batches, views = audited.sample.batches, audited.layout.views(audited.theta)
    outputs = torch.cat([audited.outputs(views, batch) for batch in batches])
    targets = torch.cat([batch.targets for batch in batches])
    assert told.hits == tuple((outputs.argmax(1) == targets).double().tolist())
    assert told.counted == (1.0,) * 50
    found = check_loss.measure(on.take(CheckpointLoss()), on.take(AuditFacts())).estimates["metric"]
    (part,) = found.parts
    assert np.mean(part.pieces) == pytest.approx(found.value)
    assert part.grain == 1 / 50
