"""What the stable ids are called in a sentence. Other programs use the ids; people read these."""

from __future__ import annotations

HEADLINES = (
    "loss.value",
    "loss.metric",
    "gradient.norm",
    "sharpness.lambda_max",
    "sharpness.edge_of_stability",
    "negative_curvature.lambda_min",
    "trace.trace",
    "flatness.tolerance",
    "flatness.worst_case",
)
"""The estimates that people ask for first, in the terminal and on the first page."""

_NAMES = {
    "loss.value": "the loss",
    "loss.metric": "the metric",
    "loss.perplexity": "the perplexity",
    "data.reason": "what the data explain",
    "data.loss_over_constant": "the loss over that of the best constant",
    "data.gain_over_constant": "how much lower the loss is than that of the best constant",
    "data.loss_over_chance": "the loss over that of equal probabilities",
    "data.duplicates": "the share of examples whose input was there before",
    "data.contradictions": "the share of examples whose input has other targets too",
    "data.label_cover": "the share of the classes that occur",
    "data.constant_inputs": "the share of features that never change",
    "gradient.norm": "the norm of the gradient",
    "gradient.signal_norm": "the norm of the mean gradient without its noise",
    "gradient.noise_scale": "the gradient noise scale",
    "gradient.mean_gradient": "the mean gradient",
    "activations.reason": "what could explain a plateau",
    "activations.dead_relu": "the share of dead ReLU-like units",
    "activations.dead_layers": "the number of layers with dead units only",
    "activations.saturated": "the share of saturated activations",
    "activations.saturated_units": "the share of units that are always saturated",
    "activations.collapsed_heads": "the share of attention heads collapsed onto one key",
    "activations.uniform_heads": "the share of attention heads that look at all keys alike",
    "activations.attention_entropy": "the mean relative entropy of attention",
    "gradient.reason": "what is wrong with the gradient",
    "gradient.batch_cosine": "the mean cosine between the gradients of two batches",
    "gradient.update_ratio": "the median of gradient over weight",
    "gradient.weakest_tensor": "the least of gradient over weight, over the median",
    "gradient.underflow": "the share of the gradient's elements that the checkpoint's dtype cannot hold in full",
    "gradient.lost_norm": "the share of the gradient's norm that the checkpoint's dtype loses",
    "sharpness.lambda_max": "the largest Hessian eigenvalue",
    "sharpness.convergence": "whether the solver found the largest Hessian eigenvalue",
    "require.n_samples": "the number of examples",
    "require.data": "the audited sample",
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
    "flatness.m_sharpness": "the mean one-step rise of a batch",
    "reparametrisation.lambda_max_ratio": "the change of the largest Hessian eigenvalue under a rescale of layers",
    "reparametrisation.gradient_ratio": "the change of the norm of the gradient under a rescale of layers",
    "reparametrisation.one_step_ratio": "the change of the one-step rise in a ball under a rescale of layers",
    "reparametrisation.adaptive_ratio": "the change of the adaptive one-step rise under a rescale of layers",
    "reparametrisation.adaptive_unfloored_ratio": "the same without the floor of the adaptive ball",
    "reparametrisation.rise_ratio": "the change of the filter-normalised rise under a rescale of layers",
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
_AT = {
    "flatness.rise": "the mean rise of the loss at radius",
    "flatness.metric": "the metric at radius",
    "quantisation.rise": "the rise of the loss with weights in",
    "quantisation.metric": "the metric with weights in",
}
_DOING = {
    "around": "what is around the checkpoint, put together",
    "audited_inputs": "what the inputs are like",
    "ball_ascent": "the worst point nearby",
    "batch_gradients": "gradients of the batches",
    "causes": "what could explain a plateau",
    "checkpoint_loss": "the loss at the checkpoint",
    "constant_prediction": "the loss of the best constant",
    "facts": "sizes and settings",
    "further_starts": "a second look for negative curvature",
    "gauss_newton": "curvature of the outputs' loss (Gauss-Newton)",
    "hessian_krylov": "curvature of the loss (Lanczos)",
    "in_double": "again in float64, where that decides",
    "instrument_trial": "whether the instrument can be trusted",
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
"""What a person who waits is told of a probe."""


def doing(probe: str) -> str:
    """`the loss on a plane` for `random_plane`; what has no other words is its own."""
    return _DOING.get(probe, probe.replace("_", " "))


def name_of(key: str, metric: str | None = None) -> str:
    """`the largest Hessian eigenvalue` for `sharpness.lambda_max`; the id itself where it has no other name.

    Where it is known which metric it is, `the accuracy` for `loss.metric`.
    """
    name = _name(key)
    return name.replace("the metric", f"the {metric}") if metric else name


def _name(key: str) -> str:
    stem, at, what = key.partition("@")
    if at and stem in _AT:
        return f"{_AT[stem]} {what}"
    stem, _, rank = key.rpartition("_")
    if stem == "sharpness.lambda" and rank.isdecimal():
        return f"Hessian eigenvalue {rank} from the top"
    return _NAMES.get(key, key)
