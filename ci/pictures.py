"""Pictures of a report, light and dark, and of its paper: `pictures.py AUDIT IMAGES`. By ci/pictures."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from real_browser import Opened, browser

LAPTOP = {"width": 1100, "height": 980}
COLOURS = 128
"""Of a picture: text and flat areas need no more, and the files stay a third of their size."""
SHEETS = 3
"""Pages of the PDF that are shown."""


def kept(picture: Image.Image, path: Path) -> None:
    """Written small."""
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def taken(shot: bytes) -> Image.Image:
    """What a browser saw."""
    return Image.open(io.BytesIO(shot))


def screens(running: Any, report: Path, images: Path) -> None:
    """The verdict, the landscape and the turnable surface, in both schemes."""
    for scheme, suffix in (("light", ""), ("dark", "-dark")):
        settings = {"viewport": LAPTOP, "color_scheme": scheme, "device_scale_factor": 1.5}
        with Opened(running, report, **settings) as opened:
            page = opened.page
            kept(taken(page.screenshot()), images / f"verdict{suffix}.png")
            kept(taken(page.locator("#landscape").screenshot()), images / f"landscape{suffix}.png")
            turned = page.locator("figure.both").first
            turned.locator("canvas").focus()
            for _ in range(4):
                page.keyboard.press("ArrowRight")
            kept(taken(turned.screenshot()), images / f"surface{suffix}.png")


def sheet(report: Path, page: int) -> Image.Image:
    """One page of the PDF."""
    command = [shutil.which("pdftoppm") or "pdftoppm", "-png", "-r", "80", "-f", str(page), "-l", str(page), report]
    return taken(subprocess.run(command, capture_output=True, check=True).stdout)  # noqa: S603 - our own command


def sheets(report: Path, images: Path) -> None:
    """The first pages of the PDF side by side."""
    shown = [sheet(report, page) for page in range(1, SHEETS + 1)]
    width, height, gap = shown[0].width, shown[0].height, 12
    whole = Image.new("RGB", (SHEETS * (width + gap) + gap, height + 2 * gap), "#9ca3af")
    for place, each in enumerate(shown):
        whole.paste(each, (gap + place * (width + gap), gap))
    kept(whole, images / "pages.png")


def main(audit: Path, images: Path) -> None:
    """All of them."""
    images.mkdir(exist_ok=True)
    with browser() as running:
        screens(running, audit / "report.html", images)
    sheets(audit / "report.pdf", images)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
