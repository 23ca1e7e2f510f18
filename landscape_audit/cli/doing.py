"""What a person who waits is told of each probe."""

from __future__ import annotations

_DOING = {
    "around": "what is around the checkpoint, put together",
    "audited_inputs": "what the inputs are like",
    "ball_ascent": "the worst point nearby",
    "batch_gradients": "gradients of the batches",
    "causes": "what could explain a plateau",
    "checkpoint_loss": "the loss at the checkpoint",
    "constant_prediction": "the loss of the best constant",
    "eigenplane": "the loss on the plane of v_max and v_min",
    "facts": "sizes and settings",
    "further_starts": "a second look for negative curvature",
    "gauss_newton": "curvature of the outputs' loss (Gauss-Newton)",
    "hessian_krylov": "curvature of the loss (Lanczos)",
    "in_double": "again in float64, where that decides",
    "instrument_trial": "whether the instrument can be trusted",
    "known_sweep": "the radii of the random perturbations",
    "krylov_trace": "the trace of the Hessian",
    "layer_krylov": "curvature of each layer",
    "m_sharpness": "one step uphill for each batch",
    "negative_curvature_escape": "a descent along negative curvature",
    "random_perturbation": "the loss around the checkpoint, in random directions",
    "random_plane": "the loss on a plane",
    "rescaled_layers": "the same function with rescaled layers",
    "ritz_rayleigh": "errors of the eigenvalues",
    "rounded_weights": "the loss with rounded weights",
    "sam_twins": "training twins with and without SAM",
    "slices": "the loss along a few directions",
    "trust_region": "the best steps within reach",
    "watched_forward": "activations of every layer",
}


def doing(probe: str) -> str:
    """`the loss on a plane` for `random_plane`; what has no other words is its own."""
    return _DOING.get(probe, probe.replace("_", " "))
