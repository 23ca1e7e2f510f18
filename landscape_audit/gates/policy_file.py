"""Policies as they are written: TOML, on its own or as part of audit.toml, over what it extends."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landscape_audit.config_error import validated
from landscape_audit.errors import PolicyError
from landscape_audit.policy import EffectivePolicy, Origin, Policy
from landscape_audit.reading import read_text
from landscape_audit.text import did_you_mean, printable
from landscape_audit.toml_file import read_toml

BUILT_IN = ("observe", "recommended", "strict")
"""Policies that come with the tool; `extends` and `--policy` know them by name."""

_FOLDER = Path(__file__).parent / "policies"
_OF_AN_AUDIT = {"checkpoint", "checks", "data", "loss", "model", "protocol"}
"""Tables that an audit.toml has and a policy has not."""
_DEEPEST = 8
_SHAPES = (
    ("gates", dict, 'a table, with [gates."…"] for each'),
    ("require", dict, "a table"),
    ("waivers", list, "a list, with [[waivers]] for each"),
)
_SCHEMA = "`landscape-audit schema policy` describes every setting."
_KNOWN = f"Built in: {', '.join(BUILT_IN)}; or a path from the file's own folder."


@dataclass(frozen=True)
class Layers:
    """The tables of a policy over those that it extends, where they came from, and where its gates are written."""

    values: dict[str, Any]
    sources: tuple[str, ...] = ()
    origins: dict[str, Origin] = field(default_factory=dict)


def read_policy(path: Path) -> EffectivePolicy:
    """The built-in policy of that name, or the one in a file, over all that it extends."""
    _refuse_what_is_not_there(path)
    found = _named(str(path)) if str(path) in BUILT_IN else _in_file(path)
    return effective(found, str(path))


def read_gates(path: Path) -> EffectivePolicy:
    """The policy in a file of its own or among the tables of an audit.toml, or the built-in one of that name."""
    _refuse_what_is_not_there(path)
    if str(path) in BUILT_IN or not read_toml(path).keys() & _OF_AN_AUDIT:
        return read_policy(path)
    return effective(layers(read_toml(path), path), str(path))


def _refuse_what_is_not_there(path: Path) -> None:
    if str(path) not in BUILT_IN and not os.path.lexists(path):
        told = f"{path}: no such file, and no policy of that name."
        raise PolicyError(told, remedy=did_you_mean(str(path), BUILT_IN))


def about(name: str) -> str:
    """What a built-in policy says of itself, in the comment that it begins with."""
    lines = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    return " ".join(line.removeprefix("# ") for line in itertools.takewhile(lambda line: line.startswith("#"), lines))


def effective(found: Layers, origin: str) -> EffectivePolicy:
    """What is in force, or one error that names the first wrong setting."""
    policy = validated(Policy, found.values, origin)
    given = {name: getattr(policy, name) for name in Policy.model_fields}
    return EffectivePolicy(**given, sources=found.sources or BUILT_IN[:1], origins=found.origins)


def layers(values: Mapping[str, Any], path: Path | None) -> Layers:
    """The policy among the tables of an audit.toml, over what it extends; `path` is None where there is no file."""
    own = {name: value for name, value in values.items() if name in Policy.model_fields}
    return _over_its_parent(own, path, str(path), ()) if own else Layers({})


def _named(name: str, above: tuple[str, ...] = ()) -> Layers:
    path = _FOLDER / f"{name}.toml"
    found = _over_its_parent(read_toml(path), path, name, above)
    return Layers(found.values, found.sources)


def _in_file(path: Path, above: tuple[str, ...] = ()) -> Layers:
    values = read_toml(path)
    if foreign := sorted(values.keys() & _OF_AN_AUDIT):
        raise PolicyError(
            f"{path}: a policy holds gates and waivers only, and this has [{foreign[0]}].",
            remedy="If it is an audit.toml, name it with --config.",
        )
    return _over_its_parent(values, path, str(path), above)


def _over_its_parent(values: Mapping[str, Any], path: Path | None, name: str, above: tuple[str, ...]) -> Layers:
    own = {key: value for key, value in values.items() if key != "extends"}
    _require_shapes(own, name)
    origins = dict(_origins(own.get("gates"), path))
    parent = values.get("extends", "")
    if not isinstance(parent, str):
        raise PolicyError(f"{name}: extends is {parent!r}: it must be text, in quotes.", remedy=_KNOWN)
    if not parent:
        return Layers(own, (name,), origins)
    below = _parent(parent, path, (*above, name))
    return Layers(_laid_over(below.values, own), (*below.sources, name), below.origins | origins)


def _require_shapes(own: Mapping[str, Any], name: str) -> None:
    """What another policy's parts may be laid over; an error in the file that has it wrong, which could hide it."""
    for key, kind, must in _SHAPES:
        if not isinstance(own.get(key, kind()), kind):
            found = printable(repr(own[key]), limit=80)
            raise PolicyError(f"{name}: {key} is {found}: it must be {must}.", remedy=_SCHEMA)


def _parent(parent: str, path: Path | None, above: tuple[str, ...]) -> Layers:
    if parent in BUILT_IN:
        return _named(parent, above)
    file = Path(os.path.normpath((path.parent if path else Path()) / parent))
    if str(file) in above or len(above) > _DEEPEST:
        chain = " extends ".join((*above, str(file)))
        raise PolicyError(f"{above[0]}: extends leads round in a circle, or too deep: {chain}.", remedy=_KNOWN)
    if not os.path.lexists(file):
        raise PolicyError(f"{above[-1]}: extends '{parent}': no such policy, and no file {file}.", remedy=_KNOWN)
    return _in_file(file, above)


def _laid_over(below: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """One policy over another: of a gate too, so that `level = "warn"` alone changes no more than that; waivers add."""
    laid = {**below, **own}
    for table in ("gates", "require"):
        laid |= {table: _added(below[table], own[table], 2)} if table in below and table in own else {}
    if "waivers" in below and "waivers" in own:
        laid["waivers"] = [*below["waivers"], *own["waivers"]]
    return laid


def _added(below: object, own: object, levels: int) -> object:
    """Tables within tables so many levels down; a setting that is a table itself is one word, and the last counts."""
    if not (levels and isinstance(below, dict) and isinstance(own, dict)):
        return own
    return {**below, **{key: _added(below.get(key), value, levels - 1) for key, value in own.items()}}


def _origins(gates: object, path: Path | None) -> Iterator[tuple[str, Origin]]:
    """Where each gate is written: the line of its table's head, or the first that has its name."""
    if path is None or not isinstance(gates, dict):
        return
    lines, shown = read_text(path).splitlines(), _from_here(path)
    for key in gates:
        head = re.compile(rf"\s*\[\s*gates\s*\.\s*([\"']){re.escape(key)}\1\s*\]")
        there = [number for number, line in enumerate(lines, 1) if head.match(line)]
        there += [number for number, line in enumerate(lines, 1) if key in line]
        yield key, Origin(file=shown, line=there[0] if there else 1)


def _from_here(path: Path) -> str:
    """As a path below the current folder, as a code host wants it; a path from elsewhere as it was given."""
    below = os.path.relpath(path)
    return str(path) if below.startswith("..") else Path(below).as_posix()
