"""Take the README's pictures: `python docs/pictures.py`, with the `dev` extra and a Chromium of that name."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import accelsim
from accelsim.dse.compare import compare
from accelsim.report import dashboard
from accelsim.report.sources import Source

#: Sections of the page, by their headings, and the pictures of them.
PICTURES = {
    "Roofline": "roofline.png",
    "Energy by component": "energy.png",
    "First tiles": "tiles.png",
}
RECIPES = ("sparse24", "pruned-skip", "fp16")


def main() -> int:
    """Draw a run and some schemes, and take the pictures; return the exit code."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("a Chromium must be installed", file=sys.stderr)
        return 2
    run, schemes = accelsim.run(), compare(recipes=RECIPES)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "dashboard.html"
        dashboard.write([Source(tuple(schemes.rows)), Source((run.summary,), run.timeline)], file)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme="light")
        page.goto(file.as_uri())
        for heading, name in PICTURES.items():
            section = page.locator(f"section:has(h2:text-is('{heading}'))")
            section.scroll_into_view_if_needed()
            section.locator("svg.main-svg").first.wait_for()
            page.wait_for_timeout(500)
            section.screenshot(path=Path(__file__).parent / name)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
