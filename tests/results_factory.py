"""Audits made by hand, with the numbers of a small classifier near a flat minimum. No torch, no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from landscape_audit.estimate import Estimate, IntervalPart, Label, spread
from landscape_audit.policy import EffectivePolicy
from landscape_audit.results import (
    AuditResults,
    CheckResult,
    Cost,
    DataInfo,
    EnvironmentInfo,
    FileRecord,
    InstrumentInfo,
    Measured,
    Outcome,
    ProbeRecord,
    ProtocolInfo,
    RunInfo,
    SubjectInfo,
    TensorGroup,
    Verdict,
)

SHA256 = "3f2a" * 16
CURVATURE = "loss / |theta|^2"


def an_estimate(value: float, half: float | None = None, **changes: Any) -> Estimate:
    """`value ± half` from sampling; exact without `half`."""
    if half is None:
        return Estimate.exact(value, **changes)
    return Estimate.within(value, (spread("sampling", value, half),), level=0.95, **changes)


def between(low: float | None, value: float, high: float | None, **changes: Any) -> Estimate:
    """`value` with the two ends of its interval given; `None` is an end on which nothing is known."""
    part = IntervalPart(kind="bound", low=low, high=high)
    return Estimate(value=value, low=low, high=high, parts=(part,), **changes)


def a_check(name: str, outcome: Outcome | None = None, **changes: Any) -> CheckResult:
    """One check result; a plain measured one without `outcome`."""
    fields = {
        "id": name,
        "version": 1,
        "title": name.replace("_", " ").capitalize(),
        "question": f"What is the {name.replace('_', ' ')}?",
        "source": "the project's own",
        "outcome": outcome or Measured(),
        "probes": (),
    }
    return CheckResult.model_validate(fields | changes)


OUTCOMES: Mapping[str, Measured] = {
    "instrument": Measured(
        estimates={
            "loss_repeat": Estimate.exact(0.0, unit="relative", direction="lower"),
            "hvp_symmetry": Estimate.exact(3.1e-7, unit="relative", direction="lower"),
            "hvp_against_difference": Estimate.exact(8.4e-5, unit="relative", direction="lower"),
        },
        labels={"agreement": Label(value="agrees", reason="All 6 agreements hold.")},
    ),
    "loss": Measured(
        estimates={
            "value": an_estimate(0.0914, 0.0311, unit="loss", direction="lower", n=450),
            "metric": an_estimate(0.9733, 0.0149, unit="share", direction="higher", n=450),
        }
    ),
    "stationarity": Measured(
        estimates={"escape_worth": between(0.000213, 0.000213, None, unit="loss", direction="lower")},
        labels={
            "class": Label(
                value="approximate_minimum",
                reason="Negative curvature is certain (−0.41) but leaving along it gains 0.000213, under 0.000914.",
            )
        },
    ),
    "gradient": Measured(
        estimates={
            "norm": an_estimate(0.0372, 0.0121, unit="loss / |theta|", direction="lower", n=16),
            "signal_norm": between(0.0, 0.0118, 0.0294, unit="loss / |theta|", direction="lower"),
            "noise_scale": an_estimate(8125.0, 3900.0, unit="examples", n=16),
        },
        labels={"mean_gradient": Label(value="indistinguishable", reason="The gradient is within noise of zero.")},
    ),
    "sharpness": Measured(
        estimates={
            "lambda_max": Estimate.within(
                31.2417,
                (
                    spread("residual", 31.2417, 0.02),
                    spread("sampling", 31.2417, 1.6),
                    spread("rounding", 31.2417, 1e-4),
                ),
                level=0.95,
                unit=CURVATURE,
                direction="lower",
                n=450,
            ),
            "lambda_2": an_estimate(22.875, 1.2, unit=CURVATURE, direction="lower", n=450),
            "lambda_3": an_estimate(17.06, 0.94, unit=CURVATURE, direction="lower", n=450),
        },
        caveats=("λ_max of 450 examples is biased upward against that of many; compare like with like.",),
    ),
    "negative_curvature": Measured(
        estimates={"lambda_min": an_estimate(-0.4126, 0.12, unit=CURVATURE, direction="higher", n=450)},
        labels={"certainty": Label(value="certain", reason="vᵀHv is below zero with its whole interval.")},
    ),
    "trace": Measured(
        estimates={
            "trace": an_estimate(412.9, 23.1, unit="loss / |theta|^2", direction="lower", n=8),
            "effective_rank": an_estimate(13.22, 1.1, unit="directions", n=8),
        }
    ),
    "flatness": Measured(
        estimates={
            "rise@0.05": an_estimate(0.0042, 0.0011, unit="loss", direction="lower", n=8),
            "rise@0.1": an_estimate(0.0198, 0.0047, unit="loss", direction="lower", n=8),
            "tolerance": between(0.062, 0.071, 0.084, unit="share of a filter's norm", direction="higher"),
            "worst_case": between(0.381, 0.381, None, unit="loss", direction="lower"),
            "worst_case_adaptive": between(0.127, 0.127, None, unit="loss", direction="lower"),
        }
    ),
}
"""What a whole audit found, by check."""


def checks_with(outcomes: Mapping[str, Outcome] | None = None) -> tuple[CheckResult, ...]:
    """The checks of a whole audit, with some outcomes put in another's place or added."""
    return tuple(a_check(name, outcome) for name, outcome in {**OUTCOMES, **(outcomes or {})}.items())


def an_audit(outcomes: Mapping[str, Outcome] | None = None, **changes: Any) -> AuditResults:
    """A whole, unjudged audit; `outcomes` replaces or adds checks, `changes` replaces fields of the results."""
    fields: dict[str, Any] = {
        "verdict": Verdict(word="OBSERVED", sentence="Measured; no policy was applied.", exit_code=0),
        "run": RunInfo(
            started="2026-03-02T09:14:05+00:00",
            finished="2026-03-02T09:16:47+00:00",
            seconds=162.4,
            argv=("landscape-audit", "run", "model.safetensors"),
            probe_seconds={"krylov": 71.2, "perturbations": 48.9},
            gradient_seconds=0.41,
            hvp_seconds=0.96,
        ),
        "subject": SubjectInfo(
            files=(FileRecord(name="model.safetensors", sha256=SHA256, size_bytes=48_216),),
            tensor_digest="b71c" * 16,
            tensor_groups=(TensorGroup(dtype="float32", tensors=8, elements=11_818),),
            model="model.py:build",
            parameters=11_818,
            parameter_tensors=8,
            frozen_parameters=0,
            buffers=0,
        ),
        "data": DataInfo(
            source="data.py:validation",
            n_samples=450,
            n_batches=16,
            weight=450.0,
            fingerprint="90de" * 16,
            loss="cross_entropy",
            metric="accuracy",
        ),
        "protocol": ProtocolInfo(
            preset="standard",
            seed=0,
            dtype="float32",
            level=0.95,
            budgets={"lanczos_steps": 48, "top_k": 5, "flatness_sigmas": (0.01, 0.05, 0.1), "materiality": 0.01},
            probes=(
                ProbeRecord(name="krylov", planned=Cost(hvps=48), cost=Cost(hvps=41)),
                ProbeRecord(name="perturbations", planned=Cost(forwards=96), cost=Cost(forwards=96)),
            ),
            hvp_engine="double backward, graphs kept",
            mode=("eval() everywhere", "BatchNorm with running statistics"),
            adjustments=(),
        ),
        "environment": EnvironmentInfo(
            landscape_audit="0.1.0",
            python="3.11.9",
            torch="2.13.0",
            device="cpu",
            device_name="x86_64",
            platform="linux 6.1",
            threads=2,
            tf32=False,
            deterministic=True,
            packages={"numpy": "2.2.1", "pydantic": "2.10.4", "safetensors": "0.5.2"},
        ),
        "instrument": InstrumentInfo(agrees=True),
        "checks": checks_with(outcomes),
        "limits": ("Sharpness is not quality: most of its definitions correlate weakly with generalisation.",),
    }
    if "policy" in changes:
        changes["policy"] = EffectivePolicy.of(changes["policy"])
    return AuditResults.model_validate(fields | changes)
