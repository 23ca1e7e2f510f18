"""How much may be spent on each measurement, and the three presets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictFloat, StrictInt, field_validator

from landscape_audit.strict import Strict

Preset = Literal["quick", "standard", "thorough"]


class Budgets(Strict):
    """How much may be spent. Every field left out takes the preset's value."""

    lanczos_steps: StrictInt | None = Field(default=None, ge=2, description="Hessian-vector products for the spectrum.")
    top_k: StrictInt | None = Field(default=None, ge=1, description="How many of the largest eigenvalues are reported.")
    eigen_tolerance: StrictFloat | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Lanczos stops at a residual below this share of lambda_max, and ten times that for the others.",
    )
    trace_probes: StrictInt | None = Field(default=None, ge=2, description="Random vectors for the trace, at most.")
    trace_tolerance: StrictFloat | None = Field(
        default=None, gt=0, lt=1, description="The trace stops when its standard error is below this share of it."
    )
    ggn_steps: StrictInt | None = Field(default=None, ge=1, description="Gauss-Newton products for its largest value.")
    layer_steps: StrictInt | None = Field(
        default=None, ge=0, description="Products for each layer's largest eigenvalue; 0 leaves it out."
    )
    trust_region_steps: StrictInt | None = Field(default=None, ge=1, description="Krylov steps from the gradient.")
    flatness_draws: StrictInt | None = Field(
        default=None, ge=2, description="Antithetic pairs at each radius, at most."
    )
    flatness_tolerance: StrictFloat | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="No more pairs once the standard error of the rise, at the radius nearest 0.05, is this share.",
    )
    flatness_sigmas: tuple[Annotated[StrictFloat, Field(ge=1e-6, le=100)], ...] | None = Field(
        default=None, min_length=1, description="Radii as shares of a filter's norm, from 1e-6 to 100, each once."
    )
    ascent_steps: StrictInt | None = Field(
        default=None, ge=1, description="Gradient steps from each of three starts for the worst case in a ball."
    )
    reparametrisation_steps: StrictInt | None = Field(
        default=None, ge=1, description="Products for lambda_max after a rescale of layers."
    )
    descent_steps: StrictInt | None = Field(
        default=None, ge=1, description="Gradient steps after leaving along -v_min."
    )
    slice_points: StrictInt | None = Field(
        default=None, ge=5, description="Points of a 1-D slice, the centre among them."
    )
    surface_points: StrictInt | None = Field(
        default=None, ge=3, description="Points along one side of the 2-D surface."
    )
    eigenplane_points: StrictInt | None = Field(
        default=None,
        ge=0,
        description="Points along one side of the plane of v_max and v_min, three at least; 0 leaves it out.",
    )

    @field_validator("flatness_sigmas")
    @classmethod
    def _are_told_apart(cls, sigmas: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """By their six digits, which name `rise@σ`."""
        names = [f"{sigma:g}" for sigma in sigmas or ()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            message = f"{twice} stands there more than once, to six digits: each radius has one estimate, rise@{twice}"
            raise ValueError(message)
        return sigmas


PRESETS: dict[Preset, dict[str, Any]] = {
    "quick": {
        "lanczos_steps": 20,
        "top_k": 3,
        "eigen_tolerance": 1e-2,
        "trace_probes": 4,
        "trace_tolerance": 0.05,
        "ggn_steps": 3,
        "layer_steps": 0,
        "trust_region_steps": 4,
        "flatness_draws": 3,
        "flatness_tolerance": 0.1,
        "flatness_sigmas": (0.01, 0.03, 0.1, 0.3),
        "ascent_steps": 2,
        "reparametrisation_steps": 2,
        "descent_steps": 5,
        "slice_points": 15,
        "surface_points": 7,
        "eigenplane_points": 7,
    },
    "standard": {
        "lanczos_steps": 40,
        "top_k": 5,
        "eigen_tolerance": 1e-3,
        "trace_probes": 12,
        "trace_tolerance": 0.02,
        "ggn_steps": 5,
        "layer_steps": 3,
        "trust_region_steps": 8,
        "flatness_draws": 8,
        "flatness_tolerance": 0.03,
        "flatness_sigmas": (0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
        "ascent_steps": 3,
        "reparametrisation_steps": 4,
        "descent_steps": 10,
        "slice_points": 29,
        "surface_points": 13,
        "eigenplane_points": 9,
    },
    "thorough": {
        "lanczos_steps": 120,
        "top_k": 10,
        "eigen_tolerance": 1e-4,
        "trace_probes": 64,
        "trace_tolerance": 0.01,
        "ggn_steps": 20,
        "layer_steps": 10,
        "trust_region_steps": 24,
        "flatness_draws": 64,
        "flatness_tolerance": 0.01,
        "flatness_sigmas": (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4),
        "ascent_steps": 10,
        "reparametrisation_steps": 12,
        "descent_steps": 30,
        "slice_points": 61,
        "surface_points": 31,
        "eigenplane_points": 21,
    },
}
"""Budgets by preset. standard is meant to stay under 400 gradients, quick under 200; `plan` tells."""
