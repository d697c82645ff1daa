"""Every kind of page in a real browser: nothing wider than the screen, nothing lost in print, contrast, no errors.

Besides: what moves with a mouse and keys shows the datasets' numbers, and pictures say in words what was found.

    ./run python -m pip install --group browser && ./run pytest tests/browser.py

Chromium and its driver are Debian's packages chromium and chromium-driver. Set SCREENSHOTS to a folder to look at what
was checked.
"""

import base64
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import KAC, REACTION, TABLES
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import kinlim
from kinlim import catalogue, workflow
from kinlim.models.pinned import drift
from kinlim.models.pinned.iteration import Iteration
from kinlim.results import Results
from kinlim.study import model_of

EXAMPLES = Path(__file__).parent.parent / "examples"

WIDTHS = (390, 768, 1280)
"""Of a telephone, a tablet and a desk."""

A4 = 794
"""Width of a sheet, at 96 points an inch."""

READABLE, VISIBLE = 4.5, 3.0
"""Least contrast of text and of curves (WCAG 2, level AA)."""

CONTRAST = """
function channel(c) { c /= 255; return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); }
function light(rgb) { return 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]); }
function parse(text) { return text.match(/[0-9.]+/g).map(Number); }
function behind(e) { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; }
function worst(elements, color) {
  let found = [99, ""];
  for (const e of document.querySelectorAll(elements)) {
    const a = light(parse(getComputedStyle(e)[color])), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < found[0]) found = [ratio, e.tagName + ": " + e.textContent.slice(0, 40)];
  }
  return found;
}
return [worst("h1, h2, p, li, td, th, figcaption, pre, summary, a, b, label, output", "color"),
  worst("svg text", "fill"), worst("svg path:not(.grid)", "stroke")];
"""

TOO_WIDE = """
return [...document.querySelectorAll("table, img, pre, p, h1, li, caption, code, svg, label")]
  .filter(e => e.getBoundingClientRect().right > arguments[0] + 1)
  .map(e => e.tagName + ": " + (e.alt || e.textContent).slice(0, 60));
"""

RING = {
    "study": {"model": str(EXAMPLES / "exclusion.py"), "name": "ring"},
    "model": {"sites": 20, "end_time": 0.02, "observe": [0.1, 1.0]},
    "particles": {"replicas": 200},
}

TORUS = {
    "study": {"model": str(EXAMPLES / "gallery" / "exclusion_torus.py"), "name": "torus"},
    "model": {"sites": 8, "end_time": 0.02, "observe": [0.5, 1.0]},
    "particles": {"replicas": 400},
    "pde": {"cells": 6},
}

RUNS = {"pinned": TABLES, "reaction": REACTION, "kac": KAC, "own": RING, "torus": TORUS}
FILLED = """
const svg = document.querySelector(".explore svg"), whole = svg.getBoundingClientRect();
const ends = [...svg.querySelectorAll(".grid")].map(e => e.getBoundingClientRect().right);
return whole.width ? (Math.max(whole.x, ...ends) - whole.x) / whole.width : 0;
"""
"""Part of a picture's width that is drawn."""

PAGES = (*RUNS, "sweep", "convergence", "iterate", "check", "index")

EXPLORED = {"pinned": ["mu", "sigma"], "reaction": ["rho_f", "rho_g", "m"], "own": ["rho"]}
"""Pages with profiles to look into, and what these are of."""


@pytest.fixture(scope="module")
def pages():
    """Pages by name, in a folder that stays as long as they are looked at."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, tables in RUNS.items():
            kinlim.run(kinlim.load(tables), folder / name)
        reaction = kinlim.load(REACTION)
        kinlim.sweep(reaction, {"model.epsilon": [0.1, 0.2]}, folder / "sweep", stages=("solve",))
        pinned = kinlim.load(TABLES, ["pde.cells=20", "iteration.steps=20", "iteration.iterations=8"])
        workflow.converge(reaction, folder / "convergence")
        workflow.examine(pinned, folder / "iterate", Iteration(pinned))
        drift.run(kinlim.load(EXAMPLES / "pinned-drift.toml", ["particles.replicas=1000"]), folder / "check")
        catalogue.write_index(folder)
        found = {name: next((folder / name).glob("*.html")) for name in PAGES[:-1]}
        yield found | {"index": folder / "index.html"}


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options) as driver:
        yield driver


def show(browser, page, width, theme="light", media=""):
    """Open a page as wide as a screen."""
    size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": scheme})
    browser.get(page.as_uri())


def unfold(browser):
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")


def keep(browser, name):
    if folder := os.environ.get("SCREENSHOTS"):
        whole = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})["data"]
        Path(folder, f"{name}.png").write_bytes(base64.b64decode(whole))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen_and_nothing_fails(pages, browser, name, width):
    show(browser, pages[name], width)
    keep(browser, f"{name}-{width}")
    unfold(browser)
    assert "{%" not in browser.page_source
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, browser.execute_script(TOO_WIDE, width)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_text_stands_out_in_both_themes(pages, browser, name, theme):
    show(browser, pages[name], 1280, theme)
    keep(browser, f"{name}-{theme}")
    unfold(browser)
    text, labels, curves = browser.execute_script(CONTRAST)
    assert text[0] >= READABLE, text
    assert labels[0] >= READABLE, labels
    assert curves[0] >= VISIBLE, curves


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_lost_in_print(pages, browser, name):
    show(browser, pages[name], A4, media="print")
    sheet = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": False}
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", sheet)["data"])
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder, f"{name}.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF")
    assert browser.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    assert browser.execute_script(TOO_WIDE, A4) == []


@pytest.mark.parametrize("name", PAGES)
def test_the_verdict_comes_first_and_the_rest_is_folded(pages, browser, name):
    show(browser, pages[name], 1280)
    if name == "index":
        return
    first = browser.execute_script("return document.querySelector('.finding').getBoundingClientRect().top")
    assert first < 250
    folded = browser.execute_script("return document.querySelectorAll('details:not([open])').length")
    assert folded >= 1


@pytest.mark.parametrize("name", PAGES)
def test_pictures_say_in_words_what_was_found(pages, browser, name):
    """A number, and not what the caption says already."""
    show(browser, pages[name], 1280)
    for figure in browser.find_elements(By.CSS_SELECTOR, "figure:has(img)"):
        words = figure.find_element(By.TAG_NAME, "img").get_attribute("alt")
        assert re.search(r"\d", words), words
        assert words != figure.find_element(By.TAG_NAME, "figcaption").text


def told(panel):
    """Point, mean, two standard errors and expectation that a panel tells."""
    found = re.fullmatch(
        r"x = (\S+): particles (\S+) ± (\S+), expected (\S+)", panel.find_element(By.TAG_NAME, "p").text
    )
    assert found, panel.text
    return [float(number.replace("−", "-")) for number in found.groups()]


def panels_of(browser):
    return browser.find_elements(By.CSS_SELECTOR, ".explore > div > div")


def check_numbers(pages, name, panels, t):
    """Every panel tells what the datasets hold at a time, at the point that it names."""
    results = Results(pages[name].parent)
    model = model_of(results.study())
    data = {side.name: results.read(side.file) for side in model.wanted(results.study())}
    particles, compared = data["particles"], model.compare().compare(data)
    for panel, unknown in zip(panels, EXPLORED[name], strict=True):
        x, mean, error, expected = told(panel)
        k = int(np.abs(particles["x"].to_numpy() - x).argmin())
        assert x == pytest.approx(float(particles["x"][k]), rel=1e-5)
        assert mean == pytest.approx(float(particles[unknown][t, k]), rel=1e-5)
        assert error == pytest.approx(2 * float(particles[f"{unknown}_se"][t, k]), rel=0.01)
        assert expected == pytest.approx(float(compared[f"expected_{unknown}"][t, k]), rel=1e-5)


@pytest.mark.parametrize("width", [WIDTHS[0], WIDTHS[-1]])
@pytest.mark.parametrize("name", EXPLORED)
def test_hovering_gives_the_numbers_of_the_dataset(pages, browser, name, width):
    """Those of the point nearest to the mouse, at the last time."""
    show(browser, pages[name], width)
    for part in (-0.3, 0.2):
        for panel in panels_of(browser):
            svg = panel.find_element(By.TAG_NAME, "svg")
            ActionChains(browser).move_to_element_with_offset(svg, int(part * svg.rect["width"]), 0).perform()
            mouse = svg.rect["width"] // 2 + int(part * svg.rect["width"])
            marked = browser.execute_script("return arguments[0].querySelector('.chosen').getBBox().x", svg)
            dots = browser.execute_script("return arguments[0].querySelector('.dots').getAttribute('d')", svg)
            places = np.array([float(one.split()[0]) for one in dots.split("M")[1:]])
            assert marked == pytest.approx(places[np.abs(places - mouse).argmin()], abs=1)
        check_numbers(pages, name, panels_of(browser), t=-1)
    keep(browser, f"{name}-hover-{width}")


@pytest.mark.parametrize("name", EXPLORED)
def test_keys_go_through_times_and_points(pages, browser, name):
    show(browser, pages[name], 1280)
    slider = browser.find_element(By.CSS_SELECTOR, ".explore input[type=range]")
    at_last = browser.find_element(By.CSS_SELECTOR, ".explore .dots").get_attribute("d")
    slider.send_keys(Keys.HOME)
    assert browser.find_element(By.CSS_SELECTOR, ".explore .dots").get_attribute("d") != at_last
    assert ", 1 of " in slider.get_attribute("aria-valuetext")
    panels = panels_of(browser)
    svgs = [panel.find_element(By.TAG_NAME, "svg") for panel in panels]
    for svg in svgs:
        svg.send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
        assert svg.get_attribute("aria-valuenow") == "1"
        assert svg.get_attribute("aria-valuetext").startswith("x = ")
    check_numbers(pages, name, panels, t=0)
    slider.send_keys(Keys.ARROW_RIGHT)  # the points stay, the time moves
    check_numbers(pages, name, panels, t=1)
    for svg in svgs:
        svg.send_keys(Keys.END, Keys.ARROW_RIGHT)
        assert svg.get_attribute("aria-valuenow") == svg.get_attribute("aria-valuemax")


@pytest.mark.parametrize("name", EXPLORED)
def test_differences_are_shown_on_demand(pages, browser, name):
    """What is expected is then a level line, and the numbers stay what they are."""
    show(browser, pages[name], 1280)
    for panel in panels_of(browser):
        panel.find_element(By.TAG_NAME, "svg").send_keys(Keys.END)
    before = [told(panel) for panel in panels_of(browser)]
    browser.find_element(By.CSS_SELECTOR, ".explore input[type=checkbox]").click()
    line = browser.find_element(By.CSS_SELECTOR, ".explore .expected").get_attribute("d")
    assert len({one.split()[1] for one in line.removeprefix("M").split("L")}) == 1
    assert [told(panel) for panel in panels_of(browser)] == before
    keep(browser, f"{name}-difference")


def test_fields_over_two_axes_are_looked_into_section_by_section(pages, browser):
    """The numbers are those of the dataset at the time, section and point that are named."""
    show(browser, pages["torus"], 1280)
    times, sections = browser.find_elements(By.CSS_SELECTOR, ".explore input[type=range]")
    particles = Results(pages["torus"].parent).read("particles.nc")
    for place in (0, 3):
        sections.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * place)
        times.send_keys(Keys.HOME)
        panel = panels_of(browser)[0]
        panel.find_element(By.TAG_NAME, "svg").send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        said = re.match(r"x = (\S+), y = (\S+): particles (\S+) ", panel.find_element(By.TAG_NAME, "p").text)
        x, y, mean = map(float, said.groups())
        assert y == pytest.approx(float(particles["y"][place]), rel=0.01)
        assert sections.get_attribute("aria-valuetext") == f"y = {said[2]}"
        there = particles["rho"][0].sel(x=x, y=y, method="nearest")
        assert mean == pytest.approx(float(there), rel=1e-5)


@pytest.mark.parametrize("name", ["pinned", "torus"])
def test_a_page_has_a_slider_for_sections_where_there_are_some(pages, browser, name):
    show(browser, pages[name], 390)
    shown = [one.is_displayed() for one in browser.find_elements(By.CSS_SELECTOR, ".explore input[type=range]")]
    assert shown == [True, name == "torus"]
    keep(browser, f"{name}-sections")


@pytest.mark.parametrize("name", EXPLORED)
def test_without_scripts_and_on_paper_the_figures_remain(pages, browser, name):
    show(browser, pages[name], A4, media="print")
    assert not browser.find_element(By.CLASS_NAME, "explore").is_displayed()
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, pages[name], 1280)
        assert not browser.find_element(By.CLASS_NAME, "explore").is_displayed()
        assert browser.find_element(By.TAG_NAME, "img").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_profiles_follow_the_width(pages, browser):
    """Of a page that is laid out later, or turned: what was drawn without a width said NaN."""
    show(browser, pages["own"], 1280, media="print")
    for width in (1280, 390, 768):
        size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        WebDriverWait(browser, 60).until(lambda browser: 0.95 < browser.execute_script(FILLED) <= 1)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
