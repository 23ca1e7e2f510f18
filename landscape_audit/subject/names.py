"""A checkpoint's tensor names turned into the model's, and the renaming that would have worked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from landscape_audit.errors import CheckpointError
from landscape_audit.spec import ModelSpec
from landscape_audit.text import did_you_mean

Shapes = Mapping[str, tuple[int, ...]]


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
