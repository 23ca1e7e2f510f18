"""Every number and label that the battery gives, by its stable id: what gates can be on, known before measuring."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from landscape_audit.estimate import Direction

ANY = ("*",)
"""The words of a label that takes names out of the model."""
_PLACE = "<number>"


@dataclass(frozen=True)
class Id:
    """One estimate, or where it has `words` one label.

    `<number>` in a key stands for a radius or a rank, and `{}` in its name for that number.
    """

    key: str
    name: str
    direction: Direction = "neither"
    needs: str = ""
    """What has to be there for it, where not every audit of its check has it."""
    words: tuple[str, ...] = ()

    @property
    def check(self) -> str:
        """The check that gives it."""
        return self.key.partition(".")[0]

    def matches(self, key: str) -> re.Match[str] | None:
        """Whether a gate's key is on it, with the number in its place."""
        return re.fullmatch(re.escape(self.key).replace(_PLACE, r"(\d+(?:\.\d+)?(?:e-?\d+)?)"), key, re.ASCII)


_METRIC, _LAYERS = "a loss that has a metric", "layers that can be rescaled"
_CONSTANT, _RATE = "a loss whose best constant is known", "[protocol] learning_rate"
_RELU, _SIGMOID = "ReLU-like units", "saturating units"
_HEADS, _LOW = "attention heads", "a checkpoint of 16 bits or fewer"
_BATCHES, _SWEEP = "batches enough to tell", "that radius in [protocol.budgets] flatness_sigmas"
_FORMATS = ("bf16", "fp16", "fp8", "int8", "int4")
_TWINS = (("", "SAM"), ("asam_", "ASAM"))
_DIFFERENCES: tuple[tuple[str, str, Direction, str], ...] = (
    ("loss", "loss", "lower", ""),
    ("metric", "metric", "higher", _METRIC),
)
_FLATTER = ("flatter", "sharper", "mixed", "undecided")

IDS: tuple[Id, ...] = (
    Id("instrument.agreement", "the instrument", words=("agrees", "disagrees")),
    Id("instrument.loss_repeats", "how far two evaluations of the loss differ", "lower"),
    Id("instrument.gradient_repeats", "how far two evaluations of the gradient differ", "lower"),
    Id("instrument.hvp_repeats", "how far two products with one vector differ", "lower"),
    Id("instrument.hvp_symmetric", "how far the Hessian is from symmetric", "lower"),
    Id("instrument.hvp_differences", "how far a product is from a difference of gradients", "lower"),
    Id("instrument.hvp_precision", "how far a product is from float64", "lower", needs="a model that runs in float64"),
    Id("instrument.known_spectrum", "how far a known spectrum is missed", "lower"),
    Id("instrument.loss_noise", "the rounding of a difference of losses", "lower"),
    Id("loss.value", "the loss", "lower"),
    Id("loss.metric", "the metric", "higher", needs=_METRIC),
    Id("loss.perplexity", "the perplexity", "lower", needs="the loss of a language model"),
    Id(
        "data.reason",
        "what the data explain",
        words=(
            "none",
            "non-finite inputs",
            "constant inputs",
            "single label",
            "contradictory labels",
            "no better than a constant",
            "duplicate inputs",
        ),
    ),
    Id("data.loss_over_constant", "the loss over that of the best constant", "lower", needs=_CONSTANT),
    Id("data.gain_over_constant", "how much lower the loss is than that of the best constant", "higher", _CONSTANT),
    Id("data.loss_over_chance", "the loss over that of equal probabilities", "lower", needs="classes"),
    Id("data.duplicates", "the share of examples whose input was there before", "lower"),
    Id("data.contradictions", "the share of examples whose input has other targets too", "lower"),
    Id("data.constant_examples", "the share of examples whose input is one value", "lower"),
    Id("data.nonfinite_inputs", "the share of the inputs' numbers that are not finite", "lower"),
    Id("data.constant_inputs", "the share of features that never change", "lower", needs="examples of one shape"),
    Id("data.label_cover", "the share of the classes that occur", "higher", needs="classes"),
    Id("data.rarest_label", "the share of the rarest class", needs="classes"),
    Id("data.commonest_label", "the share of the commonest class", needs="classes"),
    Id(
        "stationarity.class",
        "the class of the stationary point",
        words=(
            "minimum",
            "approximate_minimum",
            "saddle",
            "plateau",
            "maximum",
            "degenerate",
            "not_critical",
            "undecided",
        ),
    ),
    Id("stationarity.escape_worth", "the worth of leaving the point", "lower"),
    Id("stationarity.best_drop", "the most that any step lowered the loss", "lower"),
    Id("stationarity.delta", "the change of the loss that is worth having"),
    Id("gradient.norm", "the norm of the gradient", "lower"),
    Id("gradient.rms", "the root mean square of the gradient's elements", "lower"),
    Id("gradient.signal_norm", "the norm of the mean gradient without its noise", "lower"),
    Id("gradient.noise_scale", "the gradient noise scale"),
    Id("gradient.mean_gradient", "the mean gradient", words=("nonzero", "noise", "undecided")),
    Id("gradient.reason", "what is wrong with the gradient", words=("none", "vanishing layers", "underflow", "noise")),
    Id("gradient.batch_cosine", "the mean cosine between the gradients of two batches", "higher"),
    Id("gradient.null_probability", "how often gradients without a direction look like these"),
    Id("gradient.update_ratio", "the median of gradient over weight", needs="weights with a gradient"),
    Id("gradient.weakest_tensor", "the least of gradient over weight, over the median", "higher", "several weights"),
    Id(
        "gradient.underflow",
        "the share of the gradient's elements that the checkpoint's dtype cannot hold in full",
        "lower",
        needs=_LOW,
    ),
    Id("gradient.lost_norm", "the share of the gradient's norm that the checkpoint's dtype loses", "lower", _LOW),
    Id(
        "activations.reason",
        "what could explain a plateau",
        words=("none", "dead units", "saturated units", "collapsed attention"),
    ),
    Id("activations.dead_relu", "the share of dead ReLU-like units", "lower", needs=_RELU),
    Id("activations.dead_layers", "the number of layers with dead units only", "lower", needs=_RELU),
    Id("activations.saturated", "the share of saturated activations", "lower", needs=_SIGMOID),
    Id("activations.saturated_units", "the share of units that are always saturated", "lower", needs=_SIGMOID),
    Id("activations.collapsed_heads", "the share of attention heads collapsed onto one key", "lower", needs=_HEADS),
    Id("activations.uniform_heads", "the share of attention heads that look at all keys alike", "lower", needs=_HEADS),
    Id("activations.attention_entropy", "the mean relative entropy of attention", needs=_HEADS),
    Id("sharpness.lambda_max", "the largest Hessian eigenvalue", "lower"),
    Id(
        "sharpness.convergence",
        "whether the solver found the largest Hessian eigenvalue",
        words=("converged", "undecided"),
    ),
    Id(f"sharpness.lambda_{_PLACE}", "Hessian eigenvalue {} from the top", "lower", needs="that many eigenvalues"),
    Id("sharpness.lambda_max_bias", "the upward bias of the largest Hessian eigenvalue", "lower", needs=_BATCHES),
    Id(
        "sharpness.lambda_max_corrected",
        "the largest Hessian eigenvalue without the bias of the sample's size",
        "lower",
        needs=_BATCHES,
    ),
    Id(
        "sharpness.edge_of_stability",
        "the largest Hessian eigenvalue times half the learning rate",
        "lower",
        needs=_RATE,
    ),
    Id("negative_curvature.lambda_min", "the smallest Hessian eigenvalue", "higher"),
    Id("negative_curvature.rayleigh", "the curvature along the lowest direction", "higher"),
    Id("negative_curvature.drop", "how much lower the loss gets along the lowest direction", "lower"),
    Id(
        "negative_curvature.certainty",
        "the certainty of negative curvature",
        words=("negative", "none_found", "undecided"),
    ),
    Id("trace.trace", "the trace of the Hessian", "lower"),
    Id("trace.mean_eigenvalue", "the mean eigenvalue of the Hessian", "lower"),
    Id("trace.effective_rank", "the effective rank of the Hessian", "lower", needs="a positive largest eigenvalue"),
    Id("spectral_density.near_zero_share", "the share of eigenvalues near zero"),
    Id("spectral_density.negative_share", "the share of clearly negative eigenvalues"),
    Id("ggn.lambda_max", "the largest Gauss-Newton eigenvalue", "lower"),
    Id("ggn.explained", "the share of the sharpness that the Gauss-Newton part explains"),
    Id("layer_curvature.lambda_max", "the largest eigenvalue of a layer's own block", "lower"),
    Id("layer_curvature.sharpest", "the sharpest layer", words=ANY),
    Id("flatness.tolerance", "the perturbation that the loss tolerates", "higher", needs="a loss above zero"),
    Id(f"flatness.rise@{_PLACE}", "the mean rise of the loss at radius {}", "lower", needs=_SWEEP),
    Id(f"flatness.metric@{_PLACE}", "the metric at radius {}", "higher", needs=f"{_METRIC}, and {_SWEEP}"),
    Id("flatness.worst_case", "the worst rise of the loss in a ball", "lower"),
    Id("flatness.worst_case_adaptive", "the worst rise of the loss in an adaptive ball", "lower"),
    Id("flatness.m_sharpness", "the mean one-step rise of a batch", "lower"),
    *(Id(f"quantisation.rise@{each}", f"the rise of the loss with weights in {each}", "lower") for each in _FORMATS),
    *(
        Id(f"quantisation.metric@{each}", f"the metric with weights in {each}", "higher", needs=_METRIC)
        for each in _FORMATS
    ),
    *(
        Id(f"reparametrisation.{key}", f"the change of {what} under a rescale of layers", needs=_LAYERS)
        for key, what in (
            ("lambda_max_ratio", "the largest Hessian eigenvalue"),
            ("gradient_ratio", "the norm of the gradient"),
            ("one_step_ratio", "the one-step rise in a ball"),
            ("adaptive_ratio", "the adaptive one-step rise"),
            ("adaptive_unfloored_ratio", "the adaptive one-step rise without the floor of its ball"),
            ("rise_ratio", "the filter-normalised rise"),
        )
    ),
    Id("surface.lower_share", "the share of the plane that lies lower than the checkpoint", "lower"),
    Id("surface.nonfinite_cells", "the points of the plane where the loss is no number", "lower"),
    Id("surface.plane_cosine", "the cosine between the two directions of the plane"),
    *(
        Id(f"sam.{prefix}{key}_difference", f"the {what} of the {twin} twin less that of the base twin", better, needs)
        for prefix, twin in _TWINS
        for key, what, better, needs in _DIFFERENCES
    ),
    *(
        Id(f"sam.{prefix}{key}_ratio", f"{what} at the {twin} twin over that at the base twin", "lower")
        for prefix, twin in _TWINS
        for key, what in (
            ("lambda_max", "the largest Hessian eigenvalue"),
            ("rise", "the mean rise of the loss"),
            ("one_step", "the one-step rise of the loss"),
        )
    ),
    *(Id(f"sam.{prefix}flatter", f"whether the {twin} twin is flatter", words=_FLATTER) for prefix, twin in _TWINS),
)
"""In the order of the report."""

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


WORDS = {
    "approximate_minimum": "approximate minimum",
    "not_critical": "not critical",
    "none_found": "none found",
}
"""How a person reads the words of labels that a policy spells otherwise; all others read as they are spelled."""

AGREEMENTS = {
    "loss_repeats": "the loss repeats",
    "gradient_repeats": "the gradient repeats",
    "hvp_repeats": "products repeat",
    "hvp_symmetric": "the Hessian is symmetric",
    "hvp_differences": "products are the gradient's derivatives",
    "hvp_precision": "products are as in float64",
    "known_spectrum": "a known spectrum comes out",
    "loss_stays": "the loss stays",
}
"""What each agreement of the instrument says where it holds."""


def in_words(word: str) -> str:
    """`approximate minimum` for `approximate_minimum`."""
    return WORDS.get(word, word)


def word_of(key: str, value: str) -> str:
    """The word of a label as a person reads it; a name out of the model stays as it is."""
    found = declared(key)
    return value if found and found.words == ANY else in_words(value)


@functools.cache
def declared(key: str) -> Id | None:
    """What a key of a gate is on; None where the battery gives nothing of that name."""
    return next((each for each in IDS if each.matches(key)), None)


def given_by(check: str) -> tuple[Id, ...]:
    """What a check gives; nothing of a check that is not of the battery."""
    return tuple(each for each in IDS if each.check == check)


def name_of(key: str, metric: str | None = None) -> str:
    """`the largest Hessian eigenvalue` for `sharpness.lambda_max`; the id itself where it has no other name.

    Where it is known which metric it is, `the accuracy` for `loss.metric`.
    """
    name = REQUIRED.get(key) or _name(key)
    return name.replace("the metric", f"the {metric}") if metric else name


REQUIRED = {"require.n_samples": "the number of examples", "require.data": "the audited sample"}
"""What [require] demands, by the keys of the gates that it makes, which a waiver may name."""


def _name(key: str) -> str:
    found = declared(key)
    match = found.matches(key) if found else None
    return found.name.format(*match.groups()) if found and match else key
