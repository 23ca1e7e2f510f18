"""What the stable ids are called in a sentence. Other programs use the ids; people read these."""

from __future__ import annotations

HEADLINES = (
    "loss.value",
    "loss.metric",
    "gradient.norm",
    "sharpness.lambda_max",
    "negative_curvature.lambda_min",
    "trace.trace",
    "flatness.tolerance",
    "flatness.worst_case",
)
"""The estimates that people ask for first, in the terminal and on the first page."""

_NAMES = {
    "loss.value": "the loss",
    "loss.metric": "the metric",
    "gradient.norm": "the norm of the gradient",
    "gradient.signal_norm": "the norm of the mean gradient without its noise",
    "gradient.noise_scale": "the gradient noise scale",
    "gradient.mean_gradient": "the mean gradient",
    "sharpness.lambda_max": "the largest Hessian eigenvalue",
    "sharpness.edge_of_stability": "the largest Hessian eigenvalue times half the learning rate",
    "negative_curvature.lambda_min": "the smallest Hessian eigenvalue",
    "negative_curvature.certainty": "the certainty of negative curvature",
    "trace.trace": "the trace of the Hessian",
    "trace.effective_rank": "the effective rank of the Hessian",
    "sharpness.lambda_max_corrected": "the largest Hessian eigenvalue without the bias of the sample's size",
    "sharpness.lambda_max_bias": "the upward bias of the largest Hessian eigenvalue",
    "ggn.lambda_max": "the largest Gauss-Newton eigenvalue",
    "ggn.explained": "the share of the sharpness that the Gauss-Newton part explains",
    "layer_curvature.lambda_max": "the largest eigenvalue of a layer's own block",
    "layer_curvature.sharpest": "the sharpest layer",
    "flatness.tolerance": "the perturbation that the loss tolerates",
    "flatness.worst_case": "the worst rise of the loss in a ball",
    "flatness.worst_case_adaptive": "the worst rise of the loss in an adaptive ball",
    "stationarity.class": "the class of the stationary point",
    "stationarity.escape_worth": "the worth of leaving the point",
    "sam.loss_difference": "the loss of the SAM twin less that of the base twin",
    "sam.metric_difference": "the metric of the SAM twin less that of the base twin",
    "sam.lambda_max_ratio": "the largest Hessian eigenvalue of the SAM twin over that of the base twin",
    "sam.rise_ratio": "the mean rise of the loss at the SAM twin over that at the base twin",
    "sam.one_step_ratio": "the one-step rise of the loss at the SAM twin over that at the base twin",
    "sam.flatter": "whether the SAM twin is flatter",
    "sam.asam_flatter": "whether the ASAM twin is flatter",
    "instrument.agreement": "the instrument",
}
_AT_A_RADIUS = {
    "flatness.rise": "the mean rise of the loss at radius",
    "flatness.metric": "the metric at radius",
}


def name_of(key: str) -> str:
    """`the largest Hessian eigenvalue` for `sharpness.lambda_max`; the id itself where it has no other name."""
    stem, at, radius = key.partition("@")
    if at and stem in _AT_A_RADIUS:
        return f"{_AT_A_RADIUS[stem]} {radius}"
    stem, _, rank = key.rpartition("_")
    if stem == "sharpness.lambda" and rank.isdecimal():
        return f"Hessian eigenvalue {rank} from the top"
    return _NAMES.get(key, key)
