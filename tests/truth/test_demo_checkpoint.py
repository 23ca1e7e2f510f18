"""The demo checkpoint against a float64 reference that shares no code with the audit: scipy on exact products."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn

from landscape_audit.baseline import baseline_of
from landscape_audit.comparison import relative_change
from landscape_audit.config_error import validated
from landscape_audit.demo.train import write_project
from landscape_audit.measure import audit
from landscape_audit.results import Estimate
from landscape_audit.spec import AuditSpec, ChecksSpec
from landscape_audit.toml_file import read_toml


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    accuracy = write_project(folder)
    assert accuracy > 0.95
    return folder


@pytest.fixture(scope="module")
def results(project):
    spec = validated(AuditSpec, read_toml(project / "audit.toml"), "audit.toml")
    results = audit(spec, project / "model.safetensors", project)
    assert results.partial is None
    assert results.instrument.agrees
    return results


@pytest.fixture(scope="module")
def found(results):
    return results.estimates()


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


def test_piece_by_piece_a_few_steps_more_change_the_demo_by_what_two_intervals_could_never_tell(project, results):
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
    baseline = baseline_of(here, results, "together")
    assert baseline.paired == ("sampling", "probe")
    # As measured, the loss 500, lambda_max 190, the trace 35, the tolerance 49 and the accuracy 5 times narrower.
    least = {"loss.value": 100, "sharpness.lambda_max": 50, "trace.trace": 12, "flatness.tolerance": 15}
    for key, times in {**least, "loss.metric": 3}.items():
        paired, apart = (
            relative_change(here.estimates()[key], results.estimates()[key], kinds) for kinds in (baseline.paired, ())
        )
        assert apart.high - apart.low > times * (paired.high - paired.low), key
