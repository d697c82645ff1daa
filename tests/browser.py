"""Every kind of page in a real browser: nothing wider than the screen, nothing lost in print, contrast, no errors.

    ./run python -m pip install --group browser && ./run pytest tests/browser.py

Chromium and its driver are Debian's packages chromium and chromium-driver. Set SCREENSHOTS to a folder to look at what
was checked.
"""

import base64
import os
import tempfile
from pathlib import Path

import pytest
from conftest import KAC, REACTION, TABLES
from selenium import webdriver

import kinlim
from kinlim import catalogue, workflow
from kinlim.models.pinned.iteration import Iteration

WIDTHS = (390, 768, 1280)
"""Of a telephone, a tablet and a desk."""

A4 = 794
"""Width of a sheet, at 96 points an inch."""

READABLE = 4.5
"""Least contrast of text (WCAG 2, level AA)."""

CONTRAST = """
function channel(c) { c /= 255; return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); }
function light(rgb) { return 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]); }
function parse(text) { return text.match(/[0-9.]+/g).map(Number); }
function behind(e) { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; }
let worst = [99, ""];
for (const e of document.querySelectorAll("h1, h2, p, li, td, th, figcaption, pre, summary, a")) {
  const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < worst[0]) worst = [ratio, e.tagName + ": " + e.textContent.slice(0, 40)];
}
return worst;
"""

TOO_WIDE = """
return [...document.querySelectorAll("table, img, pre, p, h1, li, caption, code")]
  .filter(e => e.getBoundingClientRect().right > arguments[0] + 1)
  .map(e => e.tagName + ": " + (e.alt || e.textContent).slice(0, 60));
"""

PAGES = ("pinned", "reaction", "kac", "sweep", "convergence", "iterate", "index")


@pytest.fixture(scope="module")
def pages():
    """Pages by name, in a folder that stays as long as they are looked at."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, tables in (("pinned", TABLES), ("reaction", REACTION), ("kac", KAC)):
            kinlim.run(kinlim.load(tables), folder / name)
        reaction = kinlim.load(REACTION)
        kinlim.sweep(reaction, {"model.epsilon": [0.1, 0.2]}, folder / "sweep", stages=("solve",))
        pinned = kinlim.load(TABLES, ["pde.cells=20", "iteration.steps=20", "iteration.iterations=8"])
        workflow.converge(reaction, folder / "convergence")
        workflow.examine(pinned, folder / "iterate", Iteration(pinned))
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
        browser.save_screenshot(str(Path(folder, f"{name}.png")))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen_and_nothing_fails(pages, browser, name, width):
    show(browser, pages[name], width)
    keep(browser, f"{name}-{width}")
    unfold(browser)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, browser.execute_script(TOO_WIDE, width)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_text_stands_out_in_both_themes(pages, browser, name, theme):
    show(browser, pages[name], 1280, theme)
    keep(browser, f"{name}-{theme}")
    unfold(browser)
    ratio, where = browser.execute_script(CONTRAST)
    assert ratio >= READABLE, where


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
