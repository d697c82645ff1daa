"""Links between the pages lead somewhere: files are there, and headings that are linked to are called so.

What is generated for the site is checked when the site is built.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for folder in (ROOT, ROOT / "docs") for path in folder.glob("*.md"))
SOURCES = sorted(
    path
    for folder in ("kinlim", "fem", "stochastic", "meshes", "validation", "examples", "bench", "tests", "docker", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".toml", ".html", ".md", ""} and path.is_file()
)
MADE = "docs/generated/"


def links(text):
    """Targets of a page's links and pictures, outside code."""
    plain = re.sub(r"^```.*?^```|`[^`\n]+`", "`", text, flags=re.S | re.M)
    return re.findall(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)", plain)


def anchors(text):
    """What headings are called in links, as GitHub and MyST do."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    found = []
    for heading in re.findall(r"^#+ (.+)$", plain, re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(slug + (f"-{found.count(slug)}" if slug in found else ""))
    return {*found, *re.findall(r"^\(([\w-]+)\)=$", plain, re.M)}


def missing(page, target):
    """Whether a link from a page leads nowhere in the checkout."""
    name, _, anchor = target.partition("#")
    there = (page.parent / name).resolve() if name else page
    if there.is_relative_to(ROOT / MADE):
        return False
    return not there.exists() or bool(anchor and there.suffix == ".md" and anchor not in anchors(there.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    # a page that was renamed, or a heading that was reworded, would leave its links behind
    inside = [target for target in links(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in inside if missing(page, target)] == []


def test_pages_that_the_program_names_are_there():
    # a message or a comment that sends the reader to a page that is gone
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in SOURCES
        for name in re.findall(r"\bdocs/[\w-]+\.md\b", path.read_text(encoding="utf-8", errors="ignore"))
    }
    assert named
    assert {(path, name) for path, name in named if not (ROOT / name).exists()} == set()


def test_a_link_that_leads_nowhere_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One thing\n\n[a](#one-thing) [b](#other) [c](gone.md) `[d](code.md)`\n", encoding="utf-8")
    assert [target for target in links(page.read_text()) if missing(page, target)] == ["#other", "gone.md"]
