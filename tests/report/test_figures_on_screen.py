"""Figures in a real browser: large enough on a telephone, and dark where the page is."""

from __future__ import annotations

import io

import pytest
from odd_figures import ODD
from real_browser import CHROMIUM, Opened, browser
from results_factory import a_check, an_audit, between

from landscape_audit.figures.lettering import SIZE
from landscape_audit.figures.svg import WIDTH
from landscape_audit.report.write import write_comparison, write_reports
from landscape_audit.results import Measured

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: apt-get install chromium")
pytest.importorskip("playwright", reason="Playwright is not installed")
image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

SHOWN = ("flat", "a plane with holes", "intervals over each other", "a bar")
INNER = """images => images.map(image => image.clientWidth - 2 * parseFloat(getComputedStyle(image).paddingLeft))"""


@pytest.fixture(scope="module")
def running():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    details = tuple(ODD[name] for name in SHOWN)
    check = a_check("sharpness", Measured(estimates={"lambda_max": between(29.0, 31.0, 33.0)}, details=details))
    return write_reports(an_audit(checks=(check,)), tmp_path_factory.mktemp("report"), pdf=False)["html"]


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_letters_of_figures_are_at_least_eleven_pixels_high_and_the_page_does_not_scroll_sideways(
    running, report, width: int
):
    with Opened(running, report, viewport={"width": width, "height": 800}) as opened:
        wide = opened.page.locator("figure img").evaluate_all(INNER)
        assert len(wide) == len(SHOWN)
        assert min(wide) * SIZE / (72 * WIDTH) >= 11
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_comparisons_figures_are_as_legible_on_a_telephone(running, tmp_path):
    curve = a_check("surface", Measured(details=(ODD["flat"].model_copy(update={"name": "slice_v_max"}),)))
    a, b = (
        an_audit(checks=(a_check("sharpness", Measured(estimates={"lambda_max": between(v - 1, v, v + 1)})), curve))
        for v in (30.0, 40.0)
    )
    path = write_comparison(a, b, tmp_path, every=True, pdf=False)["html"]
    with Opened(running, path, viewport={"width": 360, "height": 800}) as opened:
        wide = opened.page.locator("figure img").evaluate_all(INNER)
        natural = opened.page.locator("figure img").evaluate_all("images => images.map(image => image.naturalWidth)")
        assert len(wide) == 2  # the ratios, and the curve
        assert min(shown * SIZE / (72 / 96 * own) for shown, own in zip(wide, natural, strict=True)) >= 11


@pytest.mark.parametrize(("scheme", "is_light"), [("light", True), ("dark", False)])
def test_the_paper_of_every_figure_is_that_of_the_page(running, report, scheme: str, is_light: bool):  # noqa: FBT001 - a parameter of a test
    with Opened(running, report, color_scheme=scheme) as opened:
        pictures = opened.page.locator("figure img, figure canvas")
        assert pictures.count() == len(SHOWN) + 1
        for place in range(pictures.count()):
            shown = image.open(io.BytesIO(pictures.nth(place).screenshot())).convert("L")
            tones = shown.histogram()
            paper = tones.index(max(tones))
            assert (paper > 240) if is_light else (paper < 40)
            letters = tones[:70] if is_light else tones[200:]
            assert sum(letters) > 200  # words are there, and not in the colour of the paper
