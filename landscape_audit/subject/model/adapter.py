"""A LoRA adapter laid over its base model by the peft library; its configuration is foreign data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape_audit.errors import CheckpointError, ModelError
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint
from landscape_audit.subject.code.library import extra, lent
from landscape_audit.subject.model.allowance import Allowance
from landscape_audit.subject.model.filling import Filled, cast
from landscape_audit.subject.model.json_file import read_json_object
from landscape_audit.text import count, printable

SETTINGS = "adapter_config.json"
_UNLIKE = f"Put the {SETTINGS} beside it that was saved with it, by PeftModel.save_pretrained."
_FACTOR = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_(?:embedding_)?A(?:\.weight)?")
_TAKEN: Mapping[str, type | tuple[type, ...]] = {
    "r": int,
    "lora_alpha": (int, float),
    "lora_dropout": (int, float),
    "fan_in_fan_out": bool,
    "bias": str,
    "use_rslora": bool,
    "use_dora": bool,
    "lora_bias": bool,
    "modules_to_save": list,
    "rank_pattern": dict,
    "alpha_pattern": dict,
}
"""The settings that decide what the adapter computes, and their types."""
# Which modules have factors is seen in the file: these may be regular expressions, which a stranger wrote.
_SELECTION = {"target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"}
_PROVENANCE = {"peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"}
# How training began, and what holds for other kinds only.
_PAST = {"init_lora_weights", "inference_mode", "megatron_core", "qalora_group_size", "runtime_config"}
_IMMATERIAL = _SELECTION | _PROVENANCE | _PAST
_PLAIN = re.compile(r"\^?[\w.]+\$?")


def is_adapter(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint has the names that peft gives the factors of a low-rank change, and no others' model."""
    names = list(checkpoint.tensors)
    return all(name.startswith("base_model.model.") for name in names) and any(map(_FACTOR.fullmatch, names))


def with_adapter(model: nn.Module, stored: Checkpoint, dtype: torch.dtype) -> Filled:
    """`model` with the adapter's modules in it and its numbers in them; only they are trained, the base is frozen."""
    path = stored.folder / SETTINGS
    values = read_json_object(path, f"A LoRA adapter comes with its {SETTINGS}: put it beside the adapter.")
    settings = _settings(path, values, stored)
    peft = extra("peft")
    with lent(str(path)), Allowance.of(stored).held(str(path)):
        wrapped = peft.get_peft_model(model, peft.LoraConfig(**settings))
        # Cast without `Module.to`, as the model is.
        wrapped._apply(lambda tensor: cast(tensor, dtype))  # noqa: SLF001 - the only way that keeps ties
        places = peft.get_peft_model_state_dict(
            wrapped, state_dict=wrapped.state_dict(keep_vars=True), save_embedding_layers=False
        )
        _fill(stored, places)
    inner: nn.Module = wrapped.base_model.model
    inner.eval()
    frozen = sum(value.numel() for value in inner.parameters() if not value.requires_grad)
    told = (
        f"{count(len(places), 'tensor')} of a LoRA adapter audited; the base under it, {frozen:,} numbers, is frozen."
    )
    own = {id(parameter): name for name, parameter in inner.named_parameters()}
    names = {name: own[id(place)] for name, place in places.items()}
    return Filled(inner, names, (told, *_unfetched(path, values)))


def _unfetched(path: Path, values: Mapping[str, Any]) -> tuple[str, ...]:
    name = values.get("base_model_name_or_path")
    if not name:
        return ()
    named = f"{path.name} names its base '{printable(name, 80)}'"
    return (f"{named}. Nothing is fetched: what lies under the adapter is what [model] base names.",)


def _settings(path: Path, values: Mapping[str, Any], stored: Checkpoint) -> dict[str, Any]:
    if values.get("peft_type") != "LORA":
        raise ModelError(
            f"{path}: peft_type is {values.get('peft_type')!r}; of adapters, only LORA is audited.",
            remedy="Merge the adapter into its base and audit what comes out.",
        )
    _check_known(path, values)
    targets = sorted({found[1] for name in stored.tensors if (found := _FACTOR.fullmatch(name))})
    if not targets:
        raise CheckpointError(f"{stored.name}: has no factor of an adapter (….lora_A.weight).", remedy=_UNLIKE)
    taken = {key: value for key, value in values.items() if key in _TAKEN and value is not None}
    return {**taken, "target_modules": targets, "inference_mode": False}


def _check_known(path: Path, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key in _TAKEN and value is not None and not isinstance(value, _TAKEN[key]):
            raise ModelError(f"{path}: {key} = {value!r} is of type {type(value).__name__}.", remedy=_UNLIKE)
        if key not in _TAKEN and key not in _IMMATERIAL and value:
            raise ModelError(
                f"{path}: {key} is set, which is no plain LoRA.",
                remedy="Merge the adapter into its base and audit what comes out.",
            )
    start = values.get("init_lora_weights", True)
    if not isinstance(start, bool) and start not in {"gaussian", "orthogonal"}:
        raise ModelError(
            f"{path}: init_lora_weights = {start!r} changes the base as well.",
            remedy="Convert the adapter to a plain one, as peft's documentation says, or merge it and audit that.",
        )
    words = [*(values.get("modules_to_save") or []), *(values.get("rank_pattern") or {})]
    for word in [*words, *(values.get("alpha_pattern") or {})]:
        if not (isinstance(word, str) and _PLAIN.fullmatch(word)):
            raise ModelError(f"{path}: {word!r} is not the name of a module.", remedy="Patterns are not interpreted.")


@torch.no_grad()
def _fill(stored: Checkpoint, places: Mapping[str, Tensor]) -> None:
    for name in sorted(places.keys() | stored.tensors.keys()):
        if name not in stored.tensors:
            raise CheckpointError(f"{stored.name}: has no tensor '{name}', which {SETTINGS} calls for.", remedy=_UNLIKE)
        if name not in places:
            raise CheckpointError(f"{stored.name}: has '{name}', which {SETTINGS} does not call for.", remedy=_UNLIKE)
        found, place = stored.tensors[name], places[name]
        if found.shape != place.shape:
            raise CheckpointError(
                f"{stored.name}: '{name}' has shape {tuple(found.shape)}, {SETTINGS} and base expect "
                f"{tuple(place.shape)}.",
                remedy=f"{_UNLIKE} Or [model] base is another one than it was trained over.",
            )
        place.copy_(found)
