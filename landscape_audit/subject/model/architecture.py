"""Architectures by name, which run none of the user's code: `transformers`, `timm:NAME`, `torchvision:NAME`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from landscape_audit.errors import ModelError
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.code.library import extra, lent
from landscape_audit.subject.model.allowance import Allowance
from landscape_audit.subject.model.transformers_model import transformers_builder
from landscape_audit.text import did_you_mean

_FETCHING = ("pretrained", "weights", "checkpoint_path", "cache_dir")
"""How arguments begin that name weights to fetch, or a pickle to load."""


@dataclass(frozen=True)
class Place:
    """Where `config.json` is looked for: beside the checkpoint; and where paths in `kwargs` start."""

    folder: Path
    base: Path


def build_declared(spec: ModelSpec, place: Place, allowance: Allowance) -> nn.Module:
    """The model that `spec` declares, on the CPU, with random weights.

    Built twice: first without memory, as a configuration is foreign data and may claim any size.
    """
    source, _, name = spec.factory.partition(":")
    if source == "transformers":
        what, build = transformers_builder(spec.kwargs, place.folder, place.base)
    else:
        what, build = spec.factory, (_timm if source == "timm" else _torchvision)(spec, name)
    with lent(what), allowance.held(what):
        _without_memory(build)
    with lent(what), allowance.held(what):
        torch.manual_seed(0)  # for what no checkpoint holds: a buffer that is drawn
        return build()


def _without_memory(build: Callable[[], nn.Module]) -> None:
    try:
        with torch.device("meta"):
            build()
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):  # some constructors look at numbers that are not there
            raise


def _timm(spec: ModelSpec, name: str) -> Callable[[], nn.Module]:
    timm = extra("timm")
    _check_named(spec, name, timm.list_models())
    return lambda: timm.create_model(name, pretrained=False, **spec.kwargs)


def _torchvision(spec: ModelSpec, name: str) -> Callable[[], nn.Module]:
    models = extra("torchvision").models
    _check_named(spec, name, models.list_models())
    builder = models.get_model_builder(name)
    # Without a word, detectors fetch a trained backbone.
    taken = {key: None for key in ("weights", "weights_backbone") if key in inspect.signature(builder).parameters}
    return lambda: builder(**taken, **spec.kwargs)


def _check_named(spec: ModelSpec, name: str, known: list[str]) -> None:
    """Only a name on the library's own list: timm takes a hub's address or a folder for one too."""
    if name not in known:
        close = did_you_mean(name, known)
        remedy = close if close.startswith("Did") else f"{spec.factory.partition(':')[0]} knows {len(known):,} names."
        raise ModelError(f"[model] factory: {spec.factory} is no architecture.", remedy=remedy)
    for key in spec.kwargs:
        if key.startswith(_FETCHING):
            raise ModelError(
                f"[model] kwargs: {key} is refused, as it names weights that come from elsewhere.",
                remedy="Remove it: every tensor comes from the checkpoint.",
            )
