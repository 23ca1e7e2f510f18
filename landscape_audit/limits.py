"""What an audit's numbers do not say: the sentences of `limits.toml`, chosen by what was run. No torch."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from landscape_audit.results import AuditResults, Measured
from landscape_audit.strict import Strict

_OF_SHARPNESS = ("sharpness", "trace", "ggn", "layer_curvature", "spectral_density", "flatness", "sam")
_NARROW = ("float16", "bfloat16", "float8", "int8", "uint8", "int4")


class Limit(Strict):
    """One sentence, the condition under which it is told, and its version, which changes with its words."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    when: str
    sentence: str = Field(min_length=1)
    retired: bool = Field(default=False, description="Told no more; known from results that have it.")

    @property
    def name(self) -> str:
        """`sample, version 1`, for a reader who looks it up."""
        return f"{self.id}, version {self.version}"


class Limits(Strict):
    """`limits.toml`, in the order of the report."""

    limit: tuple[Limit, ...]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        told = [each.id for each in self.limit if not each.retired]
        if len(set(told)) < len(told) or len({each.name for each in self.limit}) < len(self.limit):
            message = "two limits have the same id"
            raise ValueError(message)
        if unknown := {each.when for each in self.limit} - set(CONDITIONS):
            message = f"no such condition: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        return self


def _measured(*checks: str) -> Callable[[AuditResults], bool]:
    return lambda results: any(check.id in checks and isinstance(check.outcome, Measured) for check in results.checks)


CONDITIONS: Mapping[str, Callable[[AuditResults], bool]] = {
    "always": lambda _: True,
    "sharpness": _measured(*_OF_SHARPNESS),
    "surface": _measured("surface"),
    "twins": _measured("sam"),
    "quantisation": _measured("quantisation"),
    "random draw": lambda results: results.data.draw in {"random", "stratified"},
    "first examples": lambda results: results.data.draw == "first",
    "quick preset": lambda results: results.protocol.preset == "quick",
    "float32": lambda results: results.protocol.dtype == "float32",
    "stored in 16 bits or fewer": lambda results: any(
        group.dtype.startswith(_NARROW) for group in results.subject.tensor_groups
    ),
    "frozen parameters": lambda results: results.subject.frozen_parameters > 0,
    "adapter": lambda results: results.subject.base_digest is not None,
    "chosen parameters": lambda results: bool(results.subject.parameter_globs),
    "own loss": lambda results: bool(results.data.loss_code),
    "checks left out": lambda results: bool(results.skipped),
    "partial": lambda results: results.partial is not None,
}
"""What a limit can depend on, read off the results alone."""


@functools.cache
def limits() -> tuple[Limit, ...]:
    """The limits that come with this release, and those of earlier ones."""
    return Limits.model_validate(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))).limit


def limits_of(results: AuditResults) -> tuple[str, ...]:
    """The sentences that hold for these results."""
    return tuple(each.sentence for each in limits() if not each.retired and CONDITIONS[each.when](results))


def known_limit(sentence: str) -> Limit | None:
    """Which limit a sentence in results is; None of one that this release has no record of."""
    return next((each for each in limits() if each.sentence == sentence), None)
