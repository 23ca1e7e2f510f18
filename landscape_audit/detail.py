"""What a check shows beside its estimates: the numbers of a figure, or of a table, and what they say.

The report draws them; they know nothing of how. A kind that only a newer release knows is kept as it is, undrawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from landscape_audit.record import Record

Answer = Literal["yes", "no", "open"]
Relation = Literal["<", "≤", ">", "≥"]


def _check_equal(parts: Iterable[Sized], names: str) -> None:
    """A ValueError where these are not of one length: nobody could say which entry belongs to which."""
    if len({len(part) for part in parts}) > 1:
        message = f"{names} need as many entries as each other"
        raise ValueError(message)


class Axis(Record):
    """What a figure's axis measures."""

    label: str
    unit: str = ""
    scale: Literal["linear", "log", "symlog"] = "linear"

    @property
    def own_unit(self) -> str:
        """The unit, where the label does not say it already."""
        return "" if self.unit.lower() == self.label.lower() else self.unit


class Mark(Record):
    """A reference line across a figure, or a point on it where both coordinates are given."""

    label: str
    x: float | None = None
    y: float | None = None


class _Detail(Record):
    """What every figure and table carries: a caption that is a finding, and what one would expect to see."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    finding: str
    expected: str = ""
    reading: str = Field(default="", description="What bands, rings and the like are, where a legend has no room.")


class Series(Record):
    """Points of one curve in order; a `None` in `y` is a point that has no finite value."""

    name: str
    role: Literal["measured", "predicted", "reference"] = "measured"
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _check_equal((self.x, self.y, self.low or self.x, self.high or self.x), "x, y, low and high")
        return self


class Line(_Detail):
    """Curves over one variable."""

    kind: Literal["line"] = "line"
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()


class Ring(Record):
    """A circle around the origin of a plane; without a label it is one of a family that the caption names."""

    radius: float = Field(gt=0)
    label: str = ""


class Paraboloid(Record):
    """What a quadratic model says over a plane whose sides it does not mix."""

    value: float
    slope_x: float
    slope_y: float
    curvature_x: float
    curvature_y: float

    def at(self, x: float, y: float) -> float:
        """The model's value there."""
        return (
            self.value
            + (self.slope_x + 0.5 * self.curvature_x * x) * x
            + (self.slope_y + 0.5 * self.curvature_y * y) * y
        )


class Surface(_Detail):
    """Values on a grid: `z[row][column]` at (`xs[column]`, `ys[row]`). `None` cells are not finite, and stay so.

    `predicted` is what a model says of the same plane. Where `aspect` is `free` the two sides have a scale each.
    """

    kind: Literal["surface"] = "surface"
    x: Axis
    y: Axis
    z_axis: Axis
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    z: tuple[tuple[float | None, ...], ...]
    marks: tuple[Mark, ...] = ()
    rings: tuple[Ring, ...] = ()
    predicted: Paraboloid | None = None
    aspect: Literal["equal", "free"] = "equal"

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _check_equal((self.z, self.ys), "z and ys")
        _check_equal((self.xs, *self.z), "xs and every row of z")
        return self


class Spectrum(_Detail):
    """A density of eigenvalues, and the single eigenvalues that stand out of it with their intervals."""

    kind: Literal["spectrum"] = "spectrum"
    x: Axis
    grid: tuple[float, ...]
    density: tuple[float, ...]
    outliers: tuple[Bar, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _check_equal((self.grid, self.density), "grid and density")
        return self


class Bar(Record):
    """One named value with its interval."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    group: str = Field(default="", description="What it is of, where several are of one thing.")


class Bars(_Detail):
    """Named values on one axis, in the order they should be read."""

    kind: Literal["bars"] = "bars"
    axis: Axis
    bars: tuple[Bar, ...]
    reference: float | None = Field(default=None, description="What they are to be seen against, such as 1 of ratios.")


class Panel(Record):
    """One measure of every group: `values[group][repeat]`, `None` where it is not finite."""

    axis: Axis
    values: tuple[tuple[float | None, ...], ...]
    mark: Mark | None = None


class Panels(_Detail):
    """The same groups by several measures, repeat by repeat: values of one repeat belong together."""

    kind: Literal["panels"] = "panels"
    groups: tuple[str, ...]
    repeat: str = Field(description="What a repeat is called, such as seed.")
    panels: tuple[Panel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        rows = [row for panel in self.panels for row in panel.values]
        if any(len(panel.values) != len(self.groups) for panel in self.panels) or len({len(row) for row in rows}) > 1:
            message = "every panel needs a row for each group, and all rows as many repeats"
            raise ValueError(message)
        return self


class Condition(Record):
    """One thing that is asked of a number. `low` and `high` are its interval, both `None` where it has none."""

    says: str
    asks: Relation
    limit: float
    value: float | None
    low: float | None = None
    high: float | None = None
    holds: bool

    @property
    def outcome(self) -> Answer:
        """Open where it does not hold and yet could: its interval has the limit inside, or there is no number."""
        below = self.low is None or self.low <= self.limit
        above = self.high is None or self.limit <= self.high
        around = below and above and not self.low is self.high is None
        return "yes" if self.holds else "open" if around or self.value is None else "no"


class Step(Record):
    """One answer that is tried, what it asks for, and why it is the answer or not."""

    name: str
    outcome: Answer
    conditions: tuple[Condition, ...]
    reason: str


class Decision(_Detail):
    """Answers in the order in which they are tried: the first that all conditions of hold is given, else the last."""

    kind: Literal["decision"] = "decision"
    steps: tuple[Step, ...] = Field(min_length=1)

    @property
    def taken(self) -> Step:
        """The answer."""
        return next((step for step in self.steps if step.outcome == "yes"), self.steps[-1])


class Column(Record):
    """One column of a table; `name` is how other programs find it."""

    name: str
    title: str
    unit: str = ""


class Table(_Detail):
    """Rows of words and numbers. Numbers are unrounded; the report rounds."""

    kind: Literal["table"] = "table"
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | int | float | bool | None, ...], ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _check_equal((self.columns, *self.rows), "columns and every row")
        return self


Known = Annotated[Line | Surface | Spectrum | Bars | Panels | Decision | Table, Field(discriminator="kind")]
KINDS: tuple[str, ...] = tuple(each.model_fields["kind"].default for each in get_args(get_args(Known)[0]))


class Unknown(Record):
    """A detail of a kind that a newer minor version added: nothing is known of it, and all of it is kept."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(json_schema_extra={"not": {"enum": [*KINDS]}})


def _known(detail: Any) -> Literal["known", "unknown"]:
    """Only another word for a kind is patiently read: a broken detail of a known kind, or of none, is an error."""
    kind = detail.get("kind") if isinstance(detail, dict) else getattr(detail, "kind", None)
    return "unknown" if isinstance(kind, str) and kind not in KINDS else "known"


Detail = Annotated[
    Annotated[Known, Tag("known")] | Annotated[Unknown, Tag("unknown")],
    Discriminator(_known),
]
