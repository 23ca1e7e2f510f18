"""Networks that people load by name, told by the names and shapes of their tensors. A guess, and called one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from landscape_audit.proposal.weights import Weights


@dataclass(frozen=True)
class Guess:
    """A `[model] factory` that would have such tensors, and the arguments that its shapes ask for."""

    factory: str
    kwargs: dict[str, int] = field(default_factory=dict)


def guess(weights: Weights) -> Guess | None:
    """The network whose layout this looks like; None where it looks like none that is known here."""
    return next((found for layout in _LAYOUTS if (found := layout(weights))), None)


def _classes(weights: Weights, head: str) -> dict[str, int]:
    width = weights.shape(head)[:1]
    return {"num_classes": width[0]} if width and width[0] != 1000 else {}


def _resnet(weights: Weights) -> Guess | None:
    if not weights.has("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"):
        return None
    blocks = tuple(weights.children(rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    depths: dict[tuple[tuple[int, ...], bool], str] = {
        ((2, 2, 2, 2), False): "resnet18",
        ((3, 4, 6, 3), False): "resnet34",
        ((3, 4, 6, 3), True): "resnet50",
        ((3, 4, 23, 3), True): "resnet101",
        ((3, 8, 36, 3), True): "resnet152",
    }
    name = depths.get((blocks, weights.has("layer1.0.conv3.weight")))
    plain = weights.shape("conv1.weight")[1:] == (3, 7, 7) and weights.shape("layer1.0.conv1.weight")[0] == 64
    return Guess(f"torchvision:{name}", _classes(weights, "fc.weight")) if name and plain else None


def _timm_vit(weights: Weights) -> Guess | None:
    if not weights.has("patch_embed.proj.weight", "pos_embed", "blocks.0.attn.qkv.weight", "head.weight"):
        return None
    patch, position = weights.shape("patch_embed.proj.weight"), weights.shape("pos_embed")
    if len(patch) != 4 or len(position) != 3 or position[1] < 2:
        return None
    sizes = {(192, 12): "tiny", (384, 12): "small", (768, 12): "base", (1024, 24): "large"}
    name = sizes.get((patch[0], weights.children(r"blocks\.(\d+)\.")))
    pixels = math.isqrt(position[1] - 1) * patch[2]
    size = {} if pixels == 224 else {"img_size": pixels}
    return Guess(f"timm:vit_{name}_patch{patch[2]}_224", size | _classes(weights, "head.weight")) if name else None


def _torchvision_vit(weights: Weights) -> Guess | None:
    if not weights.has("conv_proj.weight", "encoder.pos_embedding", "heads.head.weight"):
        return None
    patch = weights.shape("conv_proj.weight")
    sizes = {(768, 12): "b", (1024, 24): "l", (1280, 32): "h"}
    size = sizes.get((patch[0], weights.children(r"encoder\.layers\.encoder_layer_(\d+)\.")))
    known = (
        size
        and len(patch) == 4
        and f"vit_{size}_{patch[2]}" in {"vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"}
    )
    return Guess(f"torchvision:vit_{size}_{patch[2]}", _classes(weights, "heads.head.weight")) if known else None


def _vgg(weights: Weights) -> Guess | None:
    if weights.shape("features.0.weight") != (64, 3, 3, 3) or not weights.has("classifier.6.weight"):
        return None
    convolutions = sum(
        len(stored.shape) == 4 for name, stored in weights.tensors.items() if name.startswith("features.")
    )
    depth = {8: 11, 10: 13, 13: 16, 16: 19}.get(convolutions)
    normed = "_bn" if weights.has("features.1.running_mean") else ""
    return Guess(f"torchvision:vgg{depth}{normed}", _classes(weights, "classifier.6.weight")) if depth else None


def _mobile(weights: Weights) -> Guess | None:
    if not weights.has("features.0.0.weight", "classifier.1.weight"):
        return None
    stages, width = weights.children(r"features\.(\d+)\."), weights.shape("classifier.1.weight")[1:]
    known: dict[tuple[int, tuple[int, ...]], str] = {(19, (1280,)): "mobilenet_v2", (9, (1280,)): "efficientnet_b0"}
    name = known.get((stages, width))
    return Guess(f"torchvision:{name}", _classes(weights, "classifier.1.weight")) if name else None


def _densenet(weights: Weights) -> Guess | None:
    if not weights.has("features.conv0.weight", "features.norm5.weight", "classifier.weight"):
        return None
    blocks = tuple(weights.children(rf"features\.denseblock{block}\.denselayer(\d+)\.") for block in (1, 2, 3, 4))
    depths: dict[tuple[int, ...], int] = {
        (6, 12, 24, 16): 121,
        (6, 12, 32, 32): 169,
        (6, 12, 48, 32): 201,
        (6, 12, 36, 24): 161,
    }
    depth = depths.get(blocks)
    return Guess(f"torchvision:densenet{depth}", _classes(weights, "classifier.weight")) if depth else None


def _transformers(weights: Weights) -> Guess | None:
    marks = (
        r"(?:transformer\.)?h\.(\d+)\.attn\.c_attn\.weight",
        r"(?:model\.)?layers\.(\d+)\.self_attn\.q_proj\.weight",
        r"(?:\w+\.)?encoder\.layer\.(\d+)\.attention\.",
        r"(?:\w+\.)?transformer\.layer\.(\d+)\.attention\.q_lin\.weight",
        r"gpt_neox\.layers\.(\d+)\.attention\.",
    )
    return Guess("transformers") if any(weights.children(mark) for mark in marks) else None


_LAYOUTS: tuple[Callable[[Weights], Guess | None], ...] = (
    _resnet,
    _timm_vit,
    _torchvision_vit,
    _vgg,
    _mobile,
    _densenet,
    _transformers,
)
