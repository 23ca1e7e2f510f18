"""The report in a real browser: silent, asking for nothing, and what its script adds does what it says."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hostile_audit import DETAILS, HOSTILE, an_audit_with_everything, policy
from real_browser import CHROMIUM, Opened, browser
from results_factory import a_check, an_audit, between

from landscape_audit.detail import Column, Mark, Table
from landscape_audit.gates.demand import settled
from landscape_audit.gates.judge import judged
from landscape_audit.policy import Gate
from landscape_audit.report.write import write_comparison, write_reports
from landscape_audit.results import Measured

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: apt-get install chromium")
pytest.importorskip("playwright", reason="Playwright is not installed")

ROWS = (("b", 10.0), ("a", 9.0), ("layer.10", None), ("layer.9", -1200.0), ("c", 9.0), ("d", 1e-7))
NUMBERS = Table(
    name="numbers",
    title="Numbers to sort",
    finding="Six.",
    columns=(Column(name="a", title="Name"), Column(name="b", title="Size")),
    rows=ROWS,
)
PLANE = DETAILS[1].model_copy(update={"marks": (Mark(label=HOSTILE, x=0.0, y=0.0),)})
MODES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
    "without a script": {"java_script_enabled": False},
}


@pytest.fixture(scope="module")
def running():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    details = (DETAILS[0], PLANE, *DETAILS[2:4], NUMBERS)
    check = a_check("sharpness", Measured(estimates={"lambda_max": between(29.0, 31.0, 33.0)}, details=details))
    demanded = policy(sharpness__lambda_max={"at_most": 50.0, "at_least": 1.0, "why": HOSTILE})
    results = judged(an_audit(checks=(check,)), demanded, dt.date(2026, 1, 1))
    return write_reports(results, tmp_path_factory.mktemp("report"), pdf=False)["html"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return write_reports(an_audit_with_everything(), tmp_path_factory.mktemp("hostile"), pdf=False)["html"]


@pytest.fixture
def page(running, report):
    with Opened(running, report) as opened:
        yield opened.page


def column(page, index):
    cells = page.locator("table:has(caption:has-text('Numbers to sort')) tbody tr").all()
    return [cell.locator("th, td").nth(index).inner_text() for cell in cells]


def drawn(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("document.querySelector('canvas').toDataURL()")


@pytest.mark.parametrize("mode", MODES)
def test_a_page_says_nothing_and_asks_for_nothing(running, report, hostile, mode):
    for path in (report, hostile):
        with Opened(running, path, **MODES[mode]) as opened:
            opened.page.locator("footer").scroll_into_view_if_needed()
            assert opened.told == []
            assert opened.requests() == []


def hold_up_to_axe(running, page, mode):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Opened(running, page, bypass_csp=True, **MODES[mode]) as opened:
        for summary in opened.page.locator("summary").all():
            summary.click()
        found = axe.run(opened.page)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("mode", ["light", "dark", "phone"])
def test_axe_finds_nothing_to_complain_of(running, report, mode):
    hold_up_to_axe(running, report, mode)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    plane, curve = (DETAILS[1], DETAILS[0].model_copy(update={"name": "slice_v_max"}))
    drawn = a_check("surface", Measured(details=(curve, plane)))
    sharp = Measured(estimates={"lambda_max": between(60.0, 62.0, 64.0, direction="lower")})
    a, b = (
        audit.model_copy(update={"checks": (*audit.checks, drawn)})
        for audit in (an_audit(), an_audit({"sharpness": sharp}))
    )
    files = tuple(file.model_copy(update={"name": HOSTILE}) for file in b.subject.files)
    b = b.model_copy(update={"subject": b.subject.model_copy(update={"files": files})})
    return write_comparison(a, b, tmp_path_factory.mktemp("compared"), every=True, pdf=False)["html"]


@pytest.mark.parametrize("mode", MODES)
def test_a_comparison_is_as_quiet_and_no_wider(running, compared, mode):
    with Opened(running, compared, **MODES[mode]) as opened:
        opened.page.locator("footer").scroll_into_view_if_needed()
        assert (opened.told, opened.requests()) == ([], [])
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert (opened.page.locator("button.sort").count() > 0) == (mode != "without a script")


@pytest.mark.parametrize("mode", ["light", "dark", "phone"])
def test_axe_finds_nothing_to_complain_of_in_a_comparison(running, compared, mode):
    hold_up_to_axe(running, compared, mode)


def test_no_page_is_wider_than_a_phone(running, report, hostile):
    for path in (report, hostile):
        with Opened(running, path, **MODES["phone"]) as opened:
            assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_a_script_every_word_is_there_and_nothing_that_needs_one(running, report):
    with Opened(running, report) as with_script, Opened(running, report, **MODES["without a script"]) as without:
        here, there = with_script.page, without.page
        assert there.locator("button, canvas, input").count() == 0
        assert there.locator("tbody tr").count() == here.locator("tbody tr").count()
        assert there.locator("figure img").count() == here.locator("figure img").count()
        said = re.findall(r"\w+", there.locator("main").inner_text())
        assert set(said) <= set(re.findall(r"\w+", here.locator("main").inner_text()))


def test_a_table_sorts_by_value_up_and_down_and_back_and_keeps_what_is_equal_in_its_order(page):
    heading = page.get_by_role("button", name="Size")
    cell = page.locator("th:has(button:text-is('Size'))")
    heading.click()
    assert column(page, 0) == ["layer.9", "d", "a", "c", "b", "layer.10"]
    assert cell.get_attribute("aria-sort") == "ascending"
    heading.press("Enter")
    assert column(page, 0) == ["b", "a", "c", "d", "layer.9", "layer.10"]
    assert cell.get_attribute("aria-sort") == "descending"
    heading.press("Space")
    assert column(page, 0) == [name for name, _ in ROWS]
    assert cell.get_attribute("aria-sort") is None


def test_names_sort_as_a_person_counts(page):
    page.locator("table:has(caption:has-text('Numbers to sort'))").get_by_role("button", name="Name").click()
    assert column(page, 0) == ["a", "b", "c", "d", "layer.9", "layer.10"]


def test_arrow_keys_and_the_mouse_turn_the_surface_and_home_puts_it_back(page):
    canvas = page.locator("canvas")
    canvas.focus()
    pictures = [drawn(page)]
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        pictures.append(drawn(page))
    assert len(set(pictures[:4])) == 4
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 120)
    page.mouse.up()
    assert drawn(page) not in pictures
    page.emulate_media(reduced_motion="reduce")
    page.keyboard.press("Home")
    assert drawn(page) == pictures[0]


def test_a_finger_turns_the_surface(running, report):
    with Opened(running, report, **MODES["phone"]) as opened:
        canvas = opened.page.locator("canvas")
        canvas.scroll_into_view_if_needed()
        box, pictures = canvas.bounding_box(), {drawn(opened.page)}
        opened.page.get_by_role("button", name="Turn left").tap()
        pictures.add(drawn(opened.page))
        hand = opened.context.new_cdp_session(opened.page)
        for kind, across in (("touchStart", 100), ("touchMove", 130), ("touchMove", 180)):
            at = {"x": box["x"] + across, "y": box["y"] + 100}
            hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
        hand.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        pictures.add(drawn(opened.page))
        assert len(pictures) == 3


def test_a_table_that_is_cut_says_that_only_what_is_shown_is_sorted(running, hostile):
    with Opened(running, hostile) as opened:
        note = opened.page.get_by_text("2,800 more rows in results.json.")
        assert note.inner_text().endswith("Only the rows shown here are sorted.")


def test_with_reduced_motion_a_reset_is_one_step(running, report):
    with Opened(running, report, reduced_motion="reduce") as opened:
        home = drawn(opened.page)
        opened.page.get_by_role("button", name="Turn left").click()
        assert drawn(opened.page) != home
        opened.page.get_by_role("button", name="Reset").click()
        assert drawn(opened.page) == home


def test_the_surface_says_what_it_shows_and_what_is_left_out(page):
    canvas = page.get_by_role("application")
    assert "Lowest 0.5 at (0, 0)" in canvas.get_attribute("aria-label")
    assert "1 of 9 cells have no finite value and are left out." in page.locator(".turnable .note").inner_text()


def test_cells_without_a_value_are_holes(page):
    cells = "new Surface(JSON.parse(document.querySelector('script.scene').textContent), null).cells().length"
    assert page.evaluate(cells) == 3  # of four, one has the corner without a value


def test_a_digest_is_copied_whole(running, report):
    with Opened(running, report, permissions=["clipboard-read", "clipboard-write"]) as opened:
        page = opened.page
        code = page.locator("#provenance code").first
        page.locator("#provenance button").first.click()
        page.wait_for_function("document.querySelector('.voice').textContent === 'Copied'")
        assert page.evaluate("navigator.clipboard.readText()") == code.inner_text()


def test_what_cannot_be_copied_is_selected(page):
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.locator("#how button").first.click()
    page.wait_for_function("document.querySelector('.voice').textContent.startsWith('Selected')")
    assert page.evaluate("getSelection().toString()") == page.locator("#how code").first.inner_text()


def test_every_link_leads_to_one_place(page):
    targets = {link.get_attribute("href").removeprefix("#") for link in page.locator("a").all()}
    assert {"gate.sharpness.lambda_max", "sharpness", "sharpness.plane"} <= targets
    for target in targets:
        assert page.locator(f"[id='{target}']").count() == 1, target


def test_a_moved_limit_is_judged_as_the_gate_would_judge_it(page):
    page.locator("details.what-if summary").click()
    estimate = between(29.0, 31.0, 33.0)
    words = set()
    for side, phrase, unmoved in (("ceiling", "at_most", ("at_least", 1.0)), ("floor", "at_least", ("at_most", 50.0))):
        slider = page.get_by_role("slider", name=re.compile(phrase.replace("_", " ") + "$"))
        for place in range(0, 401, 20):
            slider.fill(str(place))
            told = slider.locator("xpath=following-sibling::output").inner_text()
            limit = float(re.match(r"at \w+ ([−\d.e]+): ", told)[1].replace("−", "-"))
            gate = Gate(**{phrase: limit, unmoved[0]: unmoved[1]}, why="w") if _is_range(side, limit) else None
            if gate is None:
                continue
            word = settled(gate, estimate)
            assert word in told
            words.add(word)
    assert words == {"pass", "fail", "undecided"}


def _is_range(side, limit):
    return limit >= 1.0 if side == "ceiling" else limit <= 50.0


def test_the_limit_of_the_policy_itself_is_a_way_back(page):
    page.locator("details.what-if summary").click()
    slider = page.get_by_role("slider", name=re.compile("at most$"))
    told = slider.locator("xpath=following-sibling::output")
    slider.fill("0")
    assert "fail" in told.inner_text()
    page.get_by_role("button", name=re.compile("Back to .* at most$")).click()
    assert told.inner_text() == "at most 50: it would pass"


def test_a_reader_finds_a_check_beside_the_page_or_where_there_is_no_room_after_page_1(running, tmp_path):
    path = write_reports(an_audit(), tmp_path, pdf=False)["html"]
    for width, beside in ((1440, True), (768, False)):
        with Opened(running, path, viewport={"width": width, "height": 900}) as opened:
            nav, numbers = opened.page.get_by_role("navigation", name="The checks"), opened.page.locator("#numbers")
            assert (nav.bounding_box()["x"] + nav.bounding_box()["width"] <= numbers.bounding_box()["x"]) is beside
            assert (nav.bounding_box()["y"] < numbers.bounding_box()["y"]) is beside
            nav.get_by_role("link", name="Trace").click()
            assert opened.page.url.endswith("#trace")
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_only_a_region_that_scrolls_is_a_stop_for_the_keyboard_and_every_one_without_a_script(running, report):
    def wrong(page):
        return page.evaluate("""() => [...document.querySelectorAll('.scroll')].filter((each) => each.checkVisibility())
            .filter((each) => (each.tabIndex === 0) !==
                (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight)).length""")

    for width in (1280, 360):
        with Opened(running, report, viewport={"width": width, "height": 740}) as opened:
            opened.page.wait_for_function("document.querySelectorAll('.scroll:not([tabindex])').length > 0")
            assert wrong(opened.page) == 0
    with Opened(running, report, java_script_enabled=False) as opened:
        regions = opened.page.locator(".scroll")
        assert regions.count() == opened.page.locator(".scroll[tabindex='0']").count() > 0


def test_a_short_table_and_a_short_code_bring_no_button(page):
    assert page.locator("table:has(button.sort)").count() > 0
    assert page.locator("table:has(button.sort):not(:has(tbody tr:nth-child(5)))").count() == 0
    assert page.locator("p button.copy").count() == 0
    assert page.locator("dd button.copy").count() > 0
