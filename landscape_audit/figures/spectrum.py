"""A density of eigenvalues."""

from __future__ import annotations

import math

from landscape_audit.detail import Spectrum
from landscape_audit.figures.svg import MEASURED, REFERENCE, new_canvas, worded
from landscape_audit.text import number


def draw(spectrum: Spectrum) -> bytes:
    """The density on a log axis as an area, and every eigenvalue that stands out as a stem with its interval."""
    with new_canvas() as canvas:
        axes = canvas.axes
        peak = max(spectrum.density, default=1.0) or 1.0
        floor = peak * 1e-6
        axes.set_yscale("log")
        if spectrum.x.scale == "symlog":
            widest = max((abs(x) for x in spectrum.grid), default=1.0) or 1.0
            axes.set_xscale("symlog", linthresh=widest * 1e-3)
            decades = [10.0**power for power in range(math.ceil(math.log10(widest)) - 2, math.ceil(math.log10(widest)))]
            axes.set_xticks([*(-decade for decade in decades), 0.0, *decades])
        shown = [max(value, floor) for value in spectrum.density]
        axes.fill_between(spectrum.grid, floor, shown, color=MEASURED[0], alpha=0.35, linewidth=0)
        axes.plot(spectrum.grid, shown, color=MEASURED[0], linewidth=1.2, label="density")
        for index, outlier in enumerate(spectrum.outliers):
            if outlier.value is None:
                continue
            axes.vlines(outlier.value, floor, peak * 0.02, color=MEASURED[1], linewidth=1.1)
            name = "resolved eigenvalues" if index == 0 else None
            axes.plot([outlier.value], [peak * 0.02], "o", color=MEASURED[1], markersize=3.5, label=name)
            if outlier.low is not None and outlier.high is not None:
                axes.hlines(peak * 0.02, outlier.low, outlier.high, color=MEASURED[1], linewidth=2)
        axes.axvline(0, color=REFERENCE, linewidth=0.8, linestyle=":")
        axes.set_ylim(floor, peak * 3)
        canvas.axes.set_xlabel(worded(spectrum.x))
        canvas.axes.set_ylabel("Share of eigenvalues, per log unit")
        axes.legend(loc="upper right")
        return canvas.svg()


def alt(spectrum: Spectrum) -> str:
    """The density in words: where its peak is and which eigenvalues stand out."""
    if not spectrum.grid:
        return f"{spectrum.title}. Nothing to draw."
    peak = max(zip(spectrum.density, spectrum.grid, strict=True))
    values = ", ".join(number(outlier.value, 3) for outlier in spectrum.outliers) or "none"
    return f"{spectrum.title}. Peak at {number(peak[1], 2)}. Resolved eigenvalues: {values}."
