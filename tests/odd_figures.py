"""Details that a hostile or unlucky audit may hand over to be drawn."""

from __future__ import annotations

from landscape_audit.detail import (
    Axis,
    Bar,
    Bars,
    Detail,
    Line,
    Mark,
    Panel,
    Panels,
    Paraboloid,
    Series,
    Spectrum,
    Surface,
)

LOSS = Axis(label="Rise of the loss", unit="loss")
SYMLOG = Axis(label="Loss gained", unit="loss", scale="symlog")
LOG = Axis(label="Loss", unit="loss", scale="log")
AWAY = Axis(label="Distance from the checkpoint", unit="share of the filters' norms")
EIGENVALUE = Axis(label="Eigenvalue", unit="loss per unit of parameter²", scale="symlog")
FIVE = (-2.0, -1.0, 0.0, 1.0, 2.0)
TENSOR = "model.encoder.layers.17.self_attention.output." * 4 + "projection.weight"
HEBREW = "שכבה.משקל"
ARABIC = "طبقة.وزن"
CHINESE = "编码器.层.权重" * 6
FOREIGN = (TENSOR, HEBREW, CHINESE)


def curve(y: tuple[float | None, ...], axis: Axis = LOSS, x: tuple[float, ...] = FIVE, **more: object) -> Line:
    series = (Series(name="measured", x=x[: len(y)], y=y, **more),)
    return Line(name="c", title="Curve", finding="", x=AWAY, y=axis, series=series)


def bars(*values: float | None, axis: Axis = LOSS, names: tuple[str, ...] = ()) -> Bars:
    found = tuple(
        Bar(label=name, value=value) for name, value in zip(names or map(str, range(len(values))), values, strict=True)
    )
    return Bars(name="b", title="Bars", finding="", axis=axis, bars=found)


def panels(*values: tuple[float | None, ...], many: int, groups: tuple[str, ...] = ("base", "SAM", "ASAM")) -> Panels:
    panel = Panel(
        axis=Axis(label="λ_max", unit="loss per unit of parameter²"), values=values, mark=Mark(label="start", y=1.5)
    )
    return Panels(name="t", title="Twins", finding="", groups=groups, repeat="seed", panels=(panel,) * many)


def plane(z: tuple[tuple[float | None, ...], ...], axis: Axis = LOG) -> Surface:
    places = FIVE[: len(z)]
    return Surface(
        name="p", title="Plane", finding="", x=AWAY, y=AWAY, z_axis=axis, xs=places, ys=places, z=z,
        marks=(Mark(label="checkpoint", x=0.0, y=0.0),),
    )  # fmt: skip


def spectrum(outliers: tuple[Bar, ...], grid: tuple[float, ...], density: tuple[float, ...]) -> Spectrum:
    return Spectrum(name="s", title="Density", finding="", x=EIGENVALUE, grid=grid, density=density, outliers=outliers)


def changed(detail: Detail, **changes: object) -> Detail:
    return detail.model_validate({**detail.model_dump(), **changes})


def flat(value: float | None) -> tuple[tuple[float | None, ...], ...]:
    return ((value,) * 5,) * 5


def many_series() -> Line:
    series = tuple(
        Series(name=f"{HEBREW if k % 2 else TENSOR} {k}", x=FIVE, y=tuple(k + x * x for x in FIVE)) for k in range(9)
    )
    return Line(name="m", title="Many", finding="", x=AWAY, y=LOSS, series=series)


BIT = tuple(tuple(1.0 + 2.0**-52 * (x == y == 0) for x in FIVE) for y in FIVE)
BOWL = tuple(tuple(x * x + y * y for x in FIVE) for y in FIVE)
ENDLESS = (-1.7e308, -1.0, 0.0, 1.0, 1.7e308)
BEYOND = (1e308, 1.1e308, 1.2e308, 1.3e308, 1.7e308)
STEEP = Paraboloid(value=1e308, slope_x=1e308, slope_y=1e308, curvature_x=1e308, curvature_y=-1e308)
WIDE = tuple(Bar(label=str(k), value=v, low=v - 1, high=v + 2) for k, v in enumerate((9.0, 5.0, 3.0, -2.0)))

ODD: dict[str, Detail] = {
    "a single point": curve((0.3,)),
    "a single point, symlog": curve((-0.3,), SYMLOG),
    "a single point with an interval": curve((0.3,), low=(0.1,), high=(0.9,)),
    "no point at all": curve(()),
    "points all None": curve((None,) * 5),
    "points all None, log": curve((None,) * 5, LOG),
    "some points None": curve((4.0, 1.0, None, 1.0, None)),
    "from 1e-300 to 1e300": curve((1e-300, 1.0, 1e150, 1e280, 1e300)),
    "from 1e-300 to 1e300, log": curve((1e-300, 1.0, 1e150, 1e280, 1e300), LOG),
    "from -1e300 to 1e-300, symlog": curve((1e-300, 1.0, -1e150, 1e280, -1e300), SYMLOG),
    "beyond 1e300": curve((-1.7e308, 0.0, 1.7e308)),
    "beyond 1e300, symlog": curve((-1.7e308, 0.0, 1.7e308), SYMLOG),
    "beyond 1e300, log": curve((1.0, 1.7e308), LOG),
    "tiny": curve((1e-300, 2e-300, 3e-300)),
    "flat": curve((4.17,) * 5),
    "flat at zero": curve((0.0,) * 5),
    "flat at zero, symlog": curve((0.0,) * 5, SYMLOG),
    "flat, log": curve((4.17,) * 5, LOG),
    "zero and less, log": curve((0.0, -1.0), LOG),
    "symlog over many decades": curve((-1e6, -1e-5, 0.0, 1e-6, 1e5), SYMLOG),
    "hardly a change": curve((4.17430001, 4.17430002, 4.17430005)),
    "nine curves with long names": many_series(),
    "a bar": bars(0.4),
    "no bar": bars(),
    "bars all None": bars(None, None, None),
    "a bar None": bars(0.2, None, 0.4),
    "bars below zero on a log axis": bars(1.0, -20.0, 1e-4, 0.0, axis=LOG),
    "bars all zero on a log axis": bars(0.0, 0.0, axis=LOG),
    "bars of 1e308": bars(1.7e308, -1.7e308, 1e-300),
    "bars of 1e308 on a log axis": bars(1.7e308, 1e-300, axis=LOG),
    "bars with long and right-to-left names": bars(1.0, 2.0, 3.0, 4.0, names=(TENSOR, HEBREW, ARABIC, CHINESE)),
    "three thousand layers": bars(
        *(1.0 / (k + 1) for k in range(3000)), names=tuple(f"{TENSOR}.{k}" for k in range(3000))
    ),
    "ratios that are not known": bars(1e-300, None, 1.7e308, names=FOREIGN).model_copy(
        update={"reference": 1.0}
    ),
    "six panels": panels((1.1, 1.2), (1.3, None), (1.2, 1e4), many=6),
    "seven panels of 1e308": panels((1e308, 1.0), (None, None), (0.0, -1e308), many=7, groups=FOREIGN),
    "a plane without a value": plane(flat(None)),
    "a plane that is flat": plane(flat(4.17)),
    "a plane of zeros": plane(flat(0.0)),
    "a plane up to 1e308": plane(tuple(tuple(1e-300 if x else 1.7e308 for x in FIVE) for _ in FIVE)),
    "a linear plane of 1e308": plane(tuple(tuple(x * 8e307 for x in FIVE) for _ in FIVE), LOSS),
    "a plane with holes": plane(tuple(tuple(None if x + y > 2 else 1 + x * x + y * y for x in FIVE) for y in FIVE)),
    "a plane of one point": plane(((1.0,),)),
    "a plane that differs by one bit": plane(BIT, LOSS),
    "a plane that differs by one bit, log": plane(BIT),
    "a plane as wide as numbers go": changed(plane(BOWL, LOSS), xs=ENDLESS, ys=ENDLESS),
    "a plane beyond 1e300": changed(plane(BOWL, LOSS), xs=BEYOND, ys=BEYOND),
    "a plane of one row": changed(plane(((1.0,),), LOSS), xs=(0.0, 1.0), z=((1.0, 2.0),)),
    "a plane of no points": plane(()),
    "a model beyond numbers": changed(plane(BOWL, LOSS), predicted=STEEP),
    "bars against 1e308": changed(bars(1.0, 2.0), reference=1.7e308),
    "the smallest number there is, symlog": curve((0.0, 5e-324), SYMLOG),
    "a density below zero": spectrum((), FIVE, (-1.0,) * 5),
    "a density of the smallest number, over such": spectrum((), (0.0, 5e-324), (5e-324,) * 2),
    "a spectrum of nothing": spectrum((), (), ()),
    "a spectrum of zeros": spectrum((), FIVE, (0.0,) * 5),
    "intervals over each other": spectrum(WIDE, FIVE, (0.1, 0.3, 5.0, 0.3, 1e-9)),
    "eigenvalues of 1e-12": spectrum((), tuple(1e-12 * x for x in FIVE), (1.0, 2.0, 3.0, 2.0, 1.0)),
    "eigenvalues beyond 1e300": spectrum(
        (Bar(label="a", value=1.7e308, low=1e300, high=1.79e308),), (-1.7e308, 0.0, 1.7e308), (0.0, 1.0, 0.0)
    ),
    "an eigenvalue without an interval": spectrum(
        (Bar(label="a", value=2.0), Bar(label="b", value=None)), FIVE, (0.1, 0.3, 5.0, 0.3, 0.1)
    ),
    "five hundred eigenvalues": spectrum(
        tuple(Bar(label=str(k), value=10 / (k + 1), low=9 / (k + 1), high=11 / (k + 1)) for k in range(500)), (), ()
    ),
}  # fmt: skip
