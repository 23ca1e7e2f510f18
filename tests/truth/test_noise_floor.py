"""What `calibrate` finds against brute force: linear regression, whose largest eigenvalue is that of 2 XᵀX/N."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from user_files import write

from landscape_audit.calibration.calibration import calibration
from landscape_audit.calibration.record import Noise
from landscape_audit.plan import Silent
from landscape_audit.repeats import Repeats, repeated_audits, seed_of
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.data.draw import drawn, with_replacement

N, AUDITS = 200, 20
MODEL = "from torch import nn\ndef build(): return nn.Linear(5, 1, bias=False)\n"
SCALES = np.array([1.5, 1.0, 0.8, 0.5, 0.3])


def inputs(rng, n):
    return rng.laplace(size=(n, 5)) * SCALES / math.sqrt(2)


def lambda_max(x):
    found = np.linalg.eigvalsh(2 * np.swapaxes(x, -1, -2) @ x / x.shape[-2])[..., -1]
    return float(found) if found.ndim == 0 else found


def audits_of(folder: Path, x, *, n: int = AUDITS, **data) -> Repeats:
    """Audits of the regression's solution on these inputs."""
    write(folder, "model.py", MODEL)
    save_file({"weight": torch.ones(1, 5)}, folder / "model.safetensors")
    x = torch.from_numpy(x).float()
    y = x.sum(1, keepdim=True) + 0.1 * torch.randn(len(x), 1, generator=torch.Generator().manual_seed(0))
    save_file({"inputs": x.contiguous(), "targets": y.contiguous()}, folder / "val.safetensors")
    spec = AuditSpec.model_validate(
        {
            "model": {"factory": "model.py:build"},
            "data": {"file": "val.safetensors", **data},
            "loss": {"name": "mse"},
            "protocol": {"preset": "quick", "device": "cpu"},
            "checks": {"only": ["sharpness"]},
        }
    )
    return repeated_audits(spec, folder / "model.safetensors", folder, n, lambda _: Silent())


def floor(found: Repeats) -> Noise:
    numbers = calibration(found.audits, found.resampling, asked=AUDITS, false_alarm=0.05, family=False).numbers
    return next(each for each in numbers if each.key == "sharpness.lambda_max")


def assert_like(sd, truth, freedom):
    """A standard deviation from so many degrees of freedom, within three of its standard errors on the log scale."""
    assert abs(math.log(sd / truth)) < 3 / math.sqrt(2 * freedom)


@pytest.fixture(scope="module")
def truth():
    """The standard deviation of λ_max over samples of N new examples, by 4,000 of them."""
    rng = np.random.default_rng(0)
    return lambda_max(inputs(rng, 4000 * N).reshape(4000, N, 5)).std(ddof=1)


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory):
    x = inputs(np.random.default_rng(1), 5 * N)
    return x, audits_of(tmp_path_factory.mktemp("redrawn"), x, n_samples=N)


@pytest.fixture(scope="module")
def bootstrapped(tmp_path_factory):
    x = inputs(np.random.default_rng(1), N)
    return x, audits_of(tmp_path_factory.mktemp("bootstrapped"), x)


def test_redraws_find_the_spread_over_samples_of_new_examples(redrawn, truth):
    _, found = redrawn
    assert found.resampling.kind == "redraw"
    assert found.resampling.drawn_from == 5 * N
    assert_like(floor(found).sd, truth, AUDITS - 1)


def test_each_audit_finds_the_largest_eigenvalue_of_its_own_sample(redrawn, bootstrapped):
    seeds = [seed_of(0, index) for index in range(AUDITS)]
    x, found = redrawn
    known = [lambda_max(x[drawn(5 * N, N, seed)]) for seed in seeds]
    assert floor(found).values == pytest.approx(known, rel=1e-4)
    x, found = bootstrapped
    known = [lambda_max(x), *(lambda_max(x[with_replacement(N, seed)]) for seed in seeds[1:])]
    assert floor(found).values == pytest.approx(known, rel=1e-4)


def test_each_redraw_is_of_other_examples_and_the_first_is_the_audit_as_configured(redrawn):
    data = [audit.results.data for audit in redrawn[1].audits]
    assert len({each.fingerprint for each in data}) == AUDITS
    assert [each.n_samples for each in data] == [N] * AUDITS
    assert (redrawn[1].audits[0].seed, data[0].draw_seed) == (0, 0)


def test_a_bootstrap_finds_the_spread_over_bootstraps_of_its_sample(bootstrapped):
    x, found = bootstrapped
    picks = np.random.default_rng(2).integers(0, N, (4000, N))
    assert found.resampling.kind == "bootstrap"
    assert_like(floor(found).sd, lambda_max(x[picks]).std(ddof=1), AUDITS - 2)


def test_the_interval_that_an_audit_states_is_as_wide_as_the_noise_it_is_for(redrawn, bootstrapped):
    for _, found in (redrawn, bootstrapped):
        assert 0.7 < floor(found).honesty < 1.5


def test_repeated_examples_raise_the_largest_eigenvalue_which_the_limit_leaves_out(tmp_path):
    # 60 examples in 5 dimensions of one scale: the largest of nearly equal eigenvalues is biased most.
    x = np.random.default_rng(3).laplace(size=(60, 5))
    picks = np.random.default_rng(2).integers(0, 60, (4000, 60))
    known = lambda_max(x[picks])
    noise = floor(audits_of(tmp_path, x))
    assert noise.shift == pytest.approx(known.mean() - lambda_max(x), abs=5 * known.std() / math.sqrt(AUDITS - 1))
    assert noise.shift > 0
    assert noise.limit.centre == pytest.approx(noise.highs[0], rel=1e-12)  # through the logarithm and back


def test_the_same_calibration_twice_is_the_same(tmp_path, bootstrapped):
    x, found = bootstrapped
    again = audits_of(tmp_path, x, n=5)
    assert [audit.results.data.fingerprint for audit in again.audits] == [
        audit.results.data.fingerprint for audit in found.audits[:5]
    ]
    assert floor(again).values == floor(found).values[:5]


def test_the_first_examples_are_never_exchanged_for_others(tmp_path):
    found = audits_of(tmp_path, inputs(np.random.default_rng(1), 5 * N), n=2, n_samples=N, draw="first")
    assert found.resampling.kind == "bootstrap"
