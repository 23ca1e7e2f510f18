"""A checkpoint's tensor names turned into the model's, and the renaming that would have worked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from landscape_audit.errors import CheckpointError
from landscape_audit.spec import ModelSpec
from landscape_audit.text import did_you_mean

Shapes = Mapping[str, tuple[int, ...]]

_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts of names that torch.compile, FSDP and activation checkpointing put there, and no model has of its own."""


@dataclass(frozen=True)
class Reading:
    """What each tensor of a file would be called in the model, and what was taken for granted."""

    names: Mapping[str, str]
    told: str = ""


def readings(names: Iterable[str], spec: ModelSpec, origin: str) -> Iterator[Reading]:
    """The names as they are meant, first by the settings alone; then, without settings, by what wrappers leave behind.

    A later one is only to be believed where it fits the model exactly. Then no two can: each has another set of names.
    """
    meant = model_names(names, spec, origin)
    yield Reading(meant)
    if spec.prefix or spec.rename:
        return
    bare = {name: _unwrapped(name) for name in meant}
    if len(set(bare.values())) < len(bare):
        return
    wrappers = sorted({part for name in meant for part in name.split(".") if part in _WRAPPERS})
    told = f"{' and '.join(map(repr, wrappers))} removed from the tensors' names. " if wrappers else ""
    prefix = ""
    while True:
        yield Reading(bare, told.strip())
        yield Reading({name: _weight_normed(short) for name, short in bare.items()}, f"{told}{_WEIGHT_NORM}")
        shared = {short.partition(".")[0] for short in bare.values()}
        if len(shared) != 1 or not all("." in short for short in bare.values()):
            return
        prefix += f"{shared.pop()}."
        bare = {name: short.partition(".")[2] for name, short in bare.items()}
        told = f"{told.partition('The prefix')[0]}The prefix '{prefix}' removed from every tensor's name. "


_WEIGHT_NORM = "Weight norm stored as a parametrization, put into the model's older one."


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _weight_normed(name: str) -> str:
    """`parametrizations.weight.original0` as `weight_g`, `original1` as `weight_v`: what the older weight_norm says."""
    ends = {"0": "g", "1": "v"}
    return re.sub(r"parametrizations\.([^.]+)\.original([01])$", lambda found: f"{found[1]}_{ends[found[2]]}", name)


def model_names(names: Iterable[str], spec: ModelSpec, origin: str) -> dict[str, str]:
    """What each tensor of the file is called in the model: the prefix removed, then leading parts renamed.

    A prefix or a renaming that touches nothing is an error, and so are two tensors that end up with one name.
    """
    prefix = spec.prefix.rstrip(".")
    short = {name: _replaced(name, {prefix: ""} if prefix else {}) for name in names}
    _check_used([prefix] if prefix else [], short, "prefix", origin)
    _check_used(spec.rename, short.values(), "rename", origin)
    renamed = {name: _replaced(stripped, spec.rename) for name, stripped in short.items()}
    owners: dict[str, str] = {}
    for name, target in renamed.items():
        if target in owners:
            raise CheckpointError(
                f"{origin}: '{owners[target]}' and '{name}' would both be named '{target}'.",
                remedy="Change [model] prefix or rename.",
            )
        owners[target] = name
    return renamed


def suggested_prefix(missing: Shapes, spare: Shapes) -> str | None:
    """The prefix whose removal gives every missing name, shapes included."""
    first = min(missing)
    for name in sorted(spare):
        prefix = name.removesuffix(f".{first}")
        if prefix != name and all(spare.get(f"{prefix}.{key}") == shape for key, shape in missing.items()):
            return prefix
    return None


def suggested_rename(missing: Shapes, spare: Shapes) -> dict[str, str]:
    """Leading parts to rename so that missing names get spare tensors of their shape; empty where none fits."""
    left, rename = dict(spare), dict[str, str]()
    for name, shape in missing.items():
        fitting = [key for key, other in left.items() if other == shape and _shared(key, name)]
        if _replaced_by(rename, left).get(name) == shape or not fitting:
            continue
        best = max(fitting, key=lambda key: _shared(key, name))
        old, new = _differing(best, name)
        if old not in rename:
            rename[old] = new
            del left[best]
    return rename


def _replaced_by(rename: Mapping[str, str], shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {_replaced(key, rename): shape for key, shape in shapes.items()}


def _shared(one: str, other: str) -> int:
    """How many trailing parts two names have in common."""
    pairs = zip(reversed(one.split(".")), reversed(other.split(".")), strict=False)
    return next((depth for depth, (a, b) in enumerate(pairs) if a != b), min(one.count("."), other.count(".")) + 1)


def _differing(old: str, new: str) -> tuple[str, str]:
    """Both names without the trailing parts they share, but never empty."""
    olds, news = old.split("."), new.split(".")
    keep = max(_shared(old, new) - (min(len(olds), len(news)) == _shared(old, new)), 0)
    return ".".join(olds[: len(olds) - keep]), ".".join(news[: len(news) - keep])


def _check_used(parts: Iterable[str], names: Iterable[str], setting: str, origin: str) -> None:
    names = list(names)
    for part in parts:
        if not any(leads(part, name) for name in names):
            known = {name.rpartition(".")[0] or name for name in names}
            raise CheckpointError(
                f"{origin}: no tensor's name begins with '{part}', which [model] {setting} speaks of.",
                remedy=did_you_mean(part, known),
            )


def _replaced(name: str, rename: Mapping[str, str]) -> str:
    """`name` with its longest matching leading parts replaced."""
    matching = [old for old in rename if leads(old, name)]
    if not matching:
        return name
    old = max(matching, key=len)
    return f"{rename[old]}{name.removeprefix(old)}".lstrip(".") or name


def leads(part: str, name: str) -> bool:
    """Whether `name` begins with `part`, on a dot."""
    return name == part or name.startswith(f"{part}.")
