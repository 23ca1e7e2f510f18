"""A model of the transformers library from the `config.json` beside its checkpoint, which is foreign data."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from landscape_audit.errors import ModelError
from landscape_audit.subject.code.library import extra, lent, quiet
from landscape_audit.subject.model.json_file import read_json_object
from landscape_audit.text import did_you_mean

_SAVED_WITH_IT = "Take the config.json that was saved with this checkpoint."
_REMOTE = ("auto_map", "trust_remote_code", "custom_pipelines")
_LEFT_OUT = re.compile(
    # Which implementation computes, which may name a kernel on the hub; in which precision, which the audit chooses.
    r"_?(attn|experts)_implementation(_internal|_autoset)?|use_kernels|(torch_)?dtype|quantization_config"
    # Where weights and code came from.
    r"|_?name_or_path|transformers_version"
)
_COUNTS = re.compile(r"layer|label|depth|block|stage|expert|head")
_MOST_COUNTED = 100_000  # of what is listed one by one before any tensor is made
_MOST = 2**40  # and of anything else; longer numbers do not fit into a tensor's shape


def transformers_builder(kwargs: Mapping[str, Any], folder: Path, base: Path) -> tuple[str, Callable[[], nn.Module]]:
    """What to call the configuration in messages, and what builds its model, with random weights.

    The class is the first of `architectures` and must be one that the installed library itself registers for the
    configuration's `model_type`: the file can name nothing else, and no code beside it is ever looked at.
    """
    unknown = sorted(kwargs.keys() - {"config"})
    if unknown or not isinstance(kwargs.get("config", ""), str):
        raise ModelError(
            f"[model] kwargs: transformers takes config, a path, and nothing else; found {unknown or kwargs}.",
            remedy="Change the configuration file itself.",
        )
    path = base / kwargs["config"] if "config" in kwargs else folder / "config.json"
    values = read_json_object(path, 'Put config.json beside the checkpoint, or  [model] kwargs = { config = "…" }')
    _check_harmless(path, values)
    library = extra("transformers")
    kind, name = _registered(path, values)

    def build() -> nn.Module:
        config = library.CONFIG_MAPPING[kind].from_dict(_cleaned(values))  # anew: it takes its argument apart
        return getattr(library, name)(config)  # type: ignore[no-any-return]

    with lent(str(path)):
        getattr(library, name)  # importing it says what else is missing
    return str(path), build


def _check_harmless(path: Path, values: dict[str, Any]) -> None:
    for key, value in _entries(values):
        if key in _REMOTE and value:
            raise ModelError(
                f"{path}: names code of its own ({key}), which is never run.",
                remedy="If transformers itself has this architecture, remove the entry from a copy, and name that with "
                " [model] kwargs = { config = … }. Otherwise give a factory of your own.",
            )
        if key == "backbone" and isinstance(value, str) and ("/" in value or value.startswith(".")):
            raise ModelError(
                f"{path}: names a backbone to be fetched ('{value}'), and nothing is.",
                remedy='Give a factory of your own that builds the model:  [model] factory = "model.py:build"',
            )
        most = _MOST_COUNTED if _COUNTS.search(key) else _MOST
        if isinstance(value, int) and abs(value) > most:
            raise ModelError(
                f"{path}: {key} is over {most:,}, which is no size of a model.",
                remedy="Is this the configuration of this checkpoint?",
            )


def _entries(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict):
        for name, value in values.items():
            yield name, value
            yield from _entries(value, name)
    elif isinstance(values, list):
        for value in values:
            yield key, value
            yield from _entries(value, key)


def _registered(path: Path, values: dict[str, Any]) -> tuple[str, str]:
    """`model_type` and the class, both found in the library's own registries."""
    with quiet():
        auto = importlib.import_module("transformers.models.auto.modeling_auto")
    tables = [vars(auto)[name] for name in dir(auto) if re.fullmatch(r"MODEL_\w*MAPPING_NAMES", name)]
    kind = values.get("model_type")
    if not isinstance(kind, str) or not any(kind in table for table in tables):
        known = {name for table in tables for name in table}
        found = f"is '{kind}', which the installed transformers does not know" if kind else "is missing"
        close = did_you_mean(str(kind), known)
        remedy = close if close.startswith("Did") else "A newer one may know it; else give a factory of your own."
        raise ModelError(f"{path}: model_type {found}.", remedy=remedy if kind else _SAVED_WITH_IT)
    classes = {name for table in tables for name in _names(table.get(kind))}
    named = values.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    if not isinstance(first, str) or first not in classes:
        raise ModelError(
            f"{path}: architectures[0] is {first!r}, which transformers does not have for model_type '{kind}'.",
            remedy=did_you_mean(str(first), classes),
        )
    return kind, first


def _names(entry: Any) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry or ())


def _cleaned(values: Any) -> Any:
    """Without what would choose code or precision; trained backbones are not fetched, as the checkpoint holds them."""
    if isinstance(values, list):
        return [_cleaned(value) for value in values]
    if not isinstance(values, dict):
        return values
    kept = {key: _cleaned(value) for key, value in values.items() if not _LEFT_OUT.fullmatch(key)}
    return {key: False if key == "use_pretrained_backbone" else value for key, value in kept.items()}
