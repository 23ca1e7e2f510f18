"""Which parameters are audited: `[model] parameters`, globs over their names. The rest is frozen, in our copy alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from landscape_audit.errors import ModelError
from landscape_audit.spec import ModelSpec
from landscape_audit.text import count, did_you_mean, listed

_LISTED = 4  # names spelled out in one sentence


@dataclass(frozen=True)
class Choice:
    """The names of the audited parameters, each tied one by its first, and what is to be told about them."""

    names: frozenset[str]
    told: tuple[str, ...] = ()


def choose(model: nn.Module, spec: ModelSpec) -> Choice:
    """The parameters that the globs name, or all trainable ones; nothing in `model` is changed.

    One that is in the model under several names counts as named by any of them. One that the factory froze is audited
    where a glob names it.
    """
    globs = spec.parameter_globs
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.is_floating_point()}
    trainable = frozenset(name for name, parameter in named.items() if parameter.requires_grad)
    if not globs:
        return Choice(trainable)
    names = _names(model)
    wanted = [glob for glob in globs if not glob.startswith("!")]
    left_out = [glob.removeprefix("!") for glob in globs if glob.startswith("!")]
    found = frozenset(_matching(wanted, names)) if wanted else trainable
    chosen = (found & named.keys()) - frozenset(_matching(left_out, names))
    by = listed(globs, len(globs))
    if not chosen:
        raise ModelError(
            f"[model] parameters: {by} leave no parameter of {spec.factory} to audit.",
            remedy="Leave fewer of them out.",
        )
    sizes = {name: parameter.numel() for name, parameter in named.items()}
    told = f"{sum(sizes[name] for name in chosen):,} of {count(sum(sizes.values()), 'parameter')} audited, by {by}"
    return Choice(chosen, (f"{told}; the others frozen.", *_thawed(chosen - trainable)))


def _names(model: nn.Module) -> dict[str, str]:
    """Every name of every parameter, and the first that it has."""
    first: dict[int, str] = {}
    return {
        name: first.setdefault(id(parameter), name)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }


def _matching(globs: Iterable[str], names: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for glob in globs:
        matching = [first for name, first in names.items() if fnmatchcase(name, glob)]
        if not matching:
            raise ModelError(f"[model] parameters: '{glob}' matches no parameter.", remedy=_suggestion(glob, names))
        found += matching
    return found


def _suggestion(glob: str, names: Iterable[str]) -> str:
    parents = {f"{name.rpartition('.')[0]}.*" for name in names if "." in name}
    close = did_you_mean(glob, {*names, *parents})
    if close.startswith("Did"):
        return close
    first = list(dict.fromkeys(f"{name.partition('.')[0]}.*" if "." in name else name for name in names))
    return f"There are {', '.join(first[:_LISTED])}{', …' if len(first) > _LISTED else ''}"


def _thawed(names: frozenset[str]) -> list[str]:
    if not names:
        return []
    return [f"{count(len(names), 'parameter tensor')} audited that the factory had frozen: {listed(sorted(names))}."]
