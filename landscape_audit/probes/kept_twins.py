"""What was measured of every twin, kept seed by seed on disk, so that a training that was cut short can go on."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from landscape_audit.errors import OutputError
from landscape_audit.files import write_atomically
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from pathlib import Path

    from landscape_audit.training.twins import Course


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class TwinFound(_Kept):
    """What one twin is, and what was measured of it on the audited sample. Not finite where its training diverged."""

    variant: str
    steps: int
    gradients: int
    """Gradients of one batch that its training took."""
    sums: tuple[float, ...]
    """The summed loss of each audited batch."""
    weights: tuple[float, ...]
    metric: float | None
    """A share; NaN where the loss is not finite, as what such outputs happen to predict is no measurement."""
    rise: float
    """The mean rise of the loss at σ = 0.1, over the same draws for all twins."""
    lambda_max: float
    residual: float
    """How far an eigenvalue may be from `lambda_max`."""
    one_step: float
    """L(θ + ρ g/|g|) − L(θ) at ρ = 0.05: what SAM minimises."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        counted = len(self.sums) == len(self.weights) and all(0 <= weight < math.inf for weight in self.weights)
        if not (counted and sum(self.weights) > 0):
            message = "one weight for every sum, none of them negative and not all of them zero"
            raise ValueError(message)
        unscored = self.metric is None or (math.isnan(self.metric) and not math.isfinite(self.loss))
        if not (unscored or (math.isfinite(self.loss) and 0 <= (self.metric or 0.0) <= 1)):
            message = "a metric from 0 to 1 where the loss is finite, and NaN elsewhere"
            raise ValueError(message)
        return self

    @property
    def loss(self) -> float:
        """The mean loss on the audited sample."""
        return sum(self.sums) / sum(self.weights)

    @property
    def means(self) -> tuple[float, ...]:
        """The mean loss of each batch; zero where no target of it counts."""
        return tuple(total / weight if weight else 0.0 for total, weight in zip(self.sums, self.weights, strict=True))


class SeedFound(_Kept):
    """The twins of one seed: equal batches, order and dropout; and what each variant's cost."""

    key: str
    twins: tuple[TwinFound, ...] = ()
    costs: dict[str, Cost] = {}

    def has(self, variant: str, steps: int) -> bool:
        """Whether this twin was measured."""
        return any((twin.variant, twin.steps) == (variant, steps) for twin in self.twins)

    def fits(self, start: TwinFound) -> bool:
        """Whether these twins were measured on the sample that the start was."""
        unscored = start.metric is None
        return all(twin.weights == start.weights and (twin.metric is None) == unscored for twin in self.twins)

    def twin(self, variant: str, steps: int) -> TwinFound:
        """The twin of this variant after so many steps."""
        return next(twin for twin in self.twins if (twin.variant, twin.steps) == (variant, steps))


def keep(course: Course, seed: int, found: SeedFound) -> None:
    """Write down what is finished of this seed."""
    if course.folder is not None:
        write_atomically(_path(course.folder, seed), found.model_dump_json(indent=1).encode())


def kept(course: Course, seed: int, start: TwinFound) -> SeedFound:
    """What an earlier run with the same key finished of this seed; nothing where the file is another's or damaged."""
    if course.folder is not None:
        with contextlib.suppress(OSError, ValidationError):
            found = SeedFound.model_validate_json(_path(course.folder, seed).read_bytes())
            if found.key == course.key and found.fits(start):
                return found
    return SeedFound(key=course.key)


def require_files(folder: Path, seeds: int) -> None:
    """What is in the place of a seed's file is a file: a pipe would never end, a folder cannot be replaced."""
    for path in (_path(folder, seed) for seed in range(seeds)):
        if path.exists() and not path.is_file():
            raise OutputError(
                f"{path}: is in the way of a finished seed: it is not a file.",
                remedy="Remove it, or choose another --out.",
            )


def _path(folder: Path, seed: int) -> Path:
    return folder / f"sam-seed-{seed}.json"
