"""Is a plateau a plateau because units are dead, saturated, or heads collapsed?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landscape_audit.checks.activation_layers import Layer, head_tables, layers_of, unit_table
from landscape_audit.checks.check import check
from landscape_audit.estimate import Estimate, Label
from landscape_audit.probes.activations import Kind, Observed, WatchedForward
from landscape_audit.results import Measured, NotApplicable
from landscape_audit.text import count

MOST = 0.5
"""The share of a layer's units or heads that must be off for it to be a reason why the loss does not move."""
LISTED = 4
"""Names spelled out in one sentence."""


@check(
    "activations",
    WatchedForward(),
    version=1,
    title="Activations",
    question="Is a plateau a plateau because units are dead, saturated, or heads collapsed?",
    source="Lu et al. 2020 (dead ReLUs); Glorot & Bengio 2010 (saturation); Zhai et al. 2023 (attention entropy)",
)
def activations(seen: Observed) -> Measured | NotApplicable:
    """Units and heads that pass no gradient on, counted over every example and position of the audited sample.

    `dead_relu` is the share of ReLU-like units that are zero everywhere (ReLU, ReLU6, threshold, hard swish; a GELU
    whose input is never above −4, a SiLU never above −10), `dead_layers` the number of layers without any other.
    `saturated` is the share of tanh values beyond ±0.99 and sigmoid values beyond 0.01 and 0.99, `saturated_units` the
    share of units that are so everywhere. A head's entropy is the mean over queries of −Σ p log p / log n, with n the
    keys that the query may attend to: `attention_entropy` is its mean over heads, `collapsed_heads` the share of heads
    below 0.01 (each query looks at one key), `uniform_heads` above 0.99 (no key matters). All are exact for this
    sample; on more examples a dead unit may live.

    A unit is a channel of a convolution's maps and one of the last dimension otherwise. A layer is one call of a
    function in a module; modules and plain functions are seen alike, and attention in
    `scaled_dot_product_attention`, `nn.MultiheadAttention` and softmax over square scores. What fused recurrent
    layers, scripted modules, vmap and custom kernels compute is not seen. Every position counts, padding too.

    `reason` is what could explain a plateau: the kind, if any, that at least half of the units or heads of some
    layer have. It is no fault by itself: a head may look at one key, or an output be saturated, because it is right.
    Cost: one forward; attention computes its weights a second time.
    """
    relu, sigmoid = (layers_of(seen, kind) for kind in ("relu", "sigmoid"))
    attention = layers_of(seen, "attention")
    hidden = _unseen(seen.hidden)
    if not (relu or sigmoid or attention):
        nothing = "The model calls no ReLU, GELU, SiLU, sigmoid, tanh or attention of torch's."
        return NotApplicable(reason=f"{nothing} {hidden}".strip())
    return Measured(
        estimates={**_of_relu(relu), **_of_sigmoid(sigmoid), **_of_attention(attention)},
        labels={"reason": reason_of(seen)},
        details=(
            *([unit_table("relu", "dead", relu)] if relu else []),
            *([unit_table("sigmoid", "saturated", sigmoid)] if sigmoid else []),
            *(head_tables(attention) if attention else []),
        ),
        caveats=(hidden,) if hidden else (),
    )


def _unseen(modules: Sequence[str]) -> str:
    if not modules:
        return ""
    more = f" and {count(len(modules) - LISTED, 'more module')}" if len(modules) > LISTED else ""
    names = ", ".join(module or "the model itself" for module in modules[:LISTED])
    return f"Some of what {names}{more} computes cannot be seen: fused, scripted or transformed calls."


def _share(part: float, whole: float, unit: str) -> Estimate:
    return Estimate.exact(part / whole, unit=unit, direction="lower", n=int(whole))


def _off(layers: Sequence[Layer], unit: str) -> Estimate:
    return _share(sum(layer.off for layer in layers), sum(layer.size for layer in layers), unit)


def _of_relu(layers: Sequence[Layer]) -> dict[str, Estimate]:
    if not layers:
        return {}
    gone = float(sum(layer.off == layer.size for layer in layers))
    return {
        "dead_relu": _off(layers, "share of units"),
        "dead_layers": Estimate.exact(gone, unit="layers", direction="lower", n=len(layers)),
    }


def _of_sigmoid(layers: Sequence[Layer]) -> dict[str, Estimate]:
    if not layers:
        return {}
    part, whole = sum(layer.values_off for layer in layers), sum(layer.values for layer in layers)
    return {"saturated": _share(part, whole, "share of values"), "saturated_units": _off(layers, "share of units")}


def _of_attention(layers: Sequence[Layer]) -> dict[str, Estimate]:
    if not layers:
        return {}
    heads = sum(layer.size for layer in layers)
    mean = float(np.concatenate([layer.shares for layer in layers]).mean())
    return {
        "collapsed_heads": _off(layers, "share of heads"),
        "uniform_heads": _share(sum(layer.uniform for layer in layers), heads, "share of heads"),
        "attention_entropy": Estimate.exact(mean, unit="of an even look", n=heads),
    }


def reason_of(seen: Observed) -> Label:
    """The kind whose worst layer is worst, if that layer has lost most of itself."""
    kinds: tuple[Kind, ...] = ("relu", "sigmoid", "attention")
    worst = max(
        (layers[0] for kind in kinds if (layers := layers_of(seen, kind))), key=lambda layer: layer.share, default=None
    )
    if worst is None:
        return Label(value="none", reason="The model has no unit or head that is watched.")
    if worst.share < MOST:
        return Label(value="none", reason="No layer has lost half of its units or heads on this sample.")
    word, state = {
        "relu": ("dead units", "units are dead"),
        "sigmoid": ("saturated units", "units are saturated"),
        "attention": ("collapsed attention", "heads are collapsed"),
    }[worst.site.kind]
    told = f"In {worst.name}, {worst.off:,} of {worst.size:,} {state} on the whole sample."
    return Label(value=word, reason=told)
