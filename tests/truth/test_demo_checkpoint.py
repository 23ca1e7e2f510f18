"""The demo checkpoint against a float64 reference that shares no code with the audit: scipy on exact products."""

from __future__ import annotations

import datetime as dt
import importlib.util
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from known import loose, undeclared
from safetensors.torch import load_file, save_file
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn

from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.comparison.comparison import relative_change
from landscape_audit.confidence import Judging, as_judged, over_looks
from landscape_audit.config_error import validated
from landscape_audit.demo.train import write_project
from landscape_audit.estimate import Estimate
from landscape_audit.gates.judge import judged
from landscape_audit.gates.policy_file import BUILT_IN, read_policy
from landscape_audit.measure import audit
from landscape_audit.results import AuditResults, Measured
from landscape_audit.spec import AuditSpec, ChecksSpec
from landscape_audit.toml_file import read_toml


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    accuracy = write_project(folder)
    assert accuracy > 0.95
    return folder


@pytest.fixture(scope="module")
def audited(project):
    spec = validated(AuditSpec, read_toml(project / "audit.toml"), "audit.toml")
    results = audit(spec, project / "model.safetensors", project)
    assert results.partial is None
    assert results.instrument.agrees
    return results


@pytest.fixture(scope="module")
def found(audited):
    return audited.estimates()


class Reference:
    """Loss, gradient and Hessian of the demo in float64, the whole sample at once."""

    def __init__(self, project) -> None:
        spec = importlib.util.spec_from_file_location("reference_model", project / "model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.model = module.build().double()
        self.model.load_state_dict(
            {name: value.double() for name, value in load_file(project / "model.safetensors").items()}
        )
        stored = np.load(project / "digits.npz")
        self.inputs = torch.from_numpy(stored["validation_inputs"]).double()
        self.targets = torch.from_numpy(stored["validation_targets"])
        self.parameters = list(self.model.parameters())
        self.size = sum(parameter.numel() for parameter in self.parameters)
        self.loss = nn.functional.cross_entropy(self.model(self.inputs), self.targets)
        graph = torch.autograd.grad(self.loss, self.parameters, create_graph=True)
        self.gradient = torch.cat([part.flatten() for part in graph])

    def product(self, v) -> np.ndarray:
        direction = torch.as_tensor(np.asarray(v, dtype=np.float64)).flatten()
        parts = torch.autograd.grad(self.gradient @ direction, self.parameters, retain_graph=True)
        return torch.cat([part.flatten() for part in parts]).numpy()

    def eigenvalues(self, k, which) -> np.ndarray:
        operator = LinearOperator((self.size, self.size), matvec=self.product, dtype=np.float64)
        start = np.random.default_rng(0).normal(size=self.size)
        return np.sort(eigsh(operator, k=k, which=which, tol=1e-8, v0=start, return_eigenvectors=False))

    def trace(self, known: np.ndarray, vectors: np.ndarray, probes: int) -> tuple[float, float]:
        """Random signs outside known eigenvectors, with its standard error."""
        samples = []
        generator = np.random.default_rng(1)
        for _ in range(probes):
            z = generator.choice((-1.0, 1.0), size=self.size)
            z -= vectors @ (vectors.T @ z)
            samples.append(z @ self.product(z))
        return float(known.sum() + np.mean(samples)), float(np.std(samples, ddof=1) / np.sqrt(probes))


@pytest.fixture(scope="module")
def reference(project):
    return Reference(project)


def inside_solver_bounds(estimate: Estimate, truth: float) -> bool:
    """Within the residual part, widened by rounding: not merely within what other data could do."""
    parts = {part.kind: part for part in estimate.parts}
    slack = parts["rounding"].high - estimate.value
    return parts["residual"].low - slack <= truth <= parts["residual"].high + slack


def test_the_largest_eigenvalues_are_scipys(found, reference):
    truth = reference.eigenvalues(5, "LA")[::-1]
    names = ["lambda_max", "lambda_2", "lambda_3", "lambda_4", "lambda_5"]
    for name, exact in zip(names, truth, strict=True):
        assert inside_solver_bounds(found[f"sharpness.{name}"], exact), (name, found[f"sharpness.{name}"], exact)


def test_the_smallest_eigenvalue_is_scipys(found, reference):
    exact = reference.eigenvalues(1, "SA")[0]
    estimate = found["negative_curvature.lambda_min"]
    assert inside_solver_bounds(estimate, exact), (estimate, exact)


def test_the_trace_agrees_with_a_long_estimate(found, reference):
    operator = LinearOperator((reference.size, reference.size), matvec=reference.product, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=reference.size)
    known, vectors = eigsh(operator, k=20, which="LM", tol=1e-4, v0=start)
    exact, error = reference.trace(known, vectors, 150)
    estimate = found["trace.trace"]
    assert estimate.low - 2 * error <= exact <= estimate.high + 2 * error, (estimate, exact, error)


def test_loss_metric_and_gradient_are_those_of_the_whole_sample(found, reference):
    with torch.no_grad():
        right = (reference.model(reference.inputs).argmax(1) == reference.targets).double().mean()
    assert found["loss.value"].value == pytest.approx(reference.loss.item(), rel=1e-5)
    assert found["loss.metric"].value == pytest.approx(float(right), abs=1e-12)
    assert found["gradient.norm"].value == pytest.approx(reference.gradient.norm().item(), rel=1e-4)


def test_trained_on_with_sam_the_demo_is_flatter_by_every_measure_at_as_many_gradients(project):
    spec = validated(AuditSpec, read_toml(project / "audit.toml"), "audit.toml")
    sam = {"enabled": True, "train": "data.py:training", "rho": 0.2, "lr": 0.02, "steps": 600, "variants": ["sam"]}
    spec = spec.model_copy(update={"checks": ChecksSpec.model_validate({"only": ["sam"], "sam": sam}), "gates": {}})
    results = audit(spec, project / "model.safetensors", project)
    assert results.labels()["sam.flatter"].value == "flatter", results.labels()["sam.flatter"].reason
    for name in ("lambda_max_ratio", "rise_ratio", "one_step_ratio"):
        assert results.estimates()[f"sam.{name}"].high < 1


def test_piece_by_piece_a_few_steps_more_change_the_demo_by_what_two_intervals_could_never_tell(project, audited):
    later = Reference(project).model.float()
    stored = np.load(project / "digits.npz")
    inputs, targets = (torch.from_numpy(stored[f"train_{name}"]) for name in ("inputs", "targets"))
    optimiser = torch.optim.SGD(later.parameters(), lr=0.01, momentum=0.9)
    for rows in torch.randint(0, len(inputs), (10, 64), generator=torch.Generator().manual_seed(0)):
        optimiser.zero_grad()
        nn.functional.cross_entropy(later(inputs[rows]), targets[rows]).backward()
        optimiser.step()
    save_file(later.state_dict(), project / "later.safetensors")
    spec = validated(AuditSpec, read_toml(project / "audit.toml"), "audit.toml")
    spec = spec.model_copy(update={"checks": ChecksSpec(only=("instrument", "loss", "sharpness", "trace", "flatness"))})
    here = audit(spec, project / "later.safetensors", project)
    baseline = baseline_of(here, audited, "together")
    assert baseline.paired == ("sampling", "probe")
    # As measured, the loss 790, lambda_max 170, the trace 35, the tolerance 49 and the accuracy 5 times narrower.
    least = {"loss.value": 100, "sharpness.lambda_max": 50, "trace.trace": 12, "flatness.tolerance": 15}
    for key, times in {**least, "loss.metric": 3}.items():
        paired, apart = (
            relative_change(here.estimates()[key], audited.estimates()[key], kinds) for kinds in (baseline.paired, ())
        )
        assert apart.high - apart.low > times * (paired.high - paired.low), key


def widths(part):
    """The part's two ends by level, as distances that only grow; an open end is infinitely far."""
    ends = [(each.level, each.low, each.high) for each in part.at]
    return [(level, math.inf if low is None else -low, math.inf if high is None else high) for level, low, high in ends]


def test_an_interval_is_wider_the_surer_it_is(found):
    levelled = [part for estimate in found.values() for part in estimate.parts if part.at]
    assert len(levelled) > 40
    for part in levelled:
        ladder = widths(part)
        assert [level for level, *_ in ladder] == sorted({level for level, *_ in ladder})
        for (_, low, high), (_, lower, higher) in pairwise(ladder):
            assert low <= lower
            assert high <= higher
        if part.kind in {"sampling", "probe"}:
            assert ladder[0] != ladder[-1]


def test_what_is_bought_is_also_kept_at_the_level_of_one_look_and_what_samples_leave_open_is_not(found):
    loss, rise = found["loss.value"].parts[0], found["flatness.rise@0.05"].parts[0]
    assert over_looks(0.95) in {each.level for each in rise.at}
    assert over_looks(0.95) not in {each.level for each in loss.at}


@pytest.mark.parametrize("level", [0.8, 0.9, 0.99, 0.999])
def test_an_interval_at_another_level_is_that_of_an_audit_at_that_level(project, found, level):
    only = {"protocol": {"preset": "quick", "level": level}, "checks": {"only": ["loss", "gradient"]}}
    spec = validated(AuditSpec, read_toml(project / "audit.toml") | only, "audit.toml")
    there = audit(spec, project / "model.safetensors", project).estimates()
    for key in ("loss.value", "loss.metric", "gradient.signal_norm", "gradient.noise_scale"):
        mine = as_judged(found[key], Judging(level))
        assert (mine.low, mine.high) == (there[key].low, there[key].high), key


def test_every_number_and_label_is_declared_and_every_interval_is_made_of_its_parts(audited):
    for check in audited.checks:
        if isinstance(check.outcome, Measured):
            assert not list(undeclared(check.outcome, check.id))
            assert not list(loose(check.outcome))


@pytest.mark.parametrize("name", BUILT_IN)
def test_stored_results_are_judged_as_those_that_were_just_measured(audited, name):
    policy, today = read_policy(Path(name)), dt.date(2026, 1, 1)
    stored = AuditResults.model_validate_json(audited.to_json())
    assert judged(stored, policy, today) == judged(audited, policy, today)
