"""Take a picture of a report's top in headless Chromium: python benchmarks/screenshot.py
reports/report.html docs/report.png. Needs `make test-browser`'s packages and Debian's chromium.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright


def main() -> None:
    """Write the PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--height", type=int, default=1500)
    options = parser.parse_args()
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        size = {"width": options.width, "height": options.height}
        page = browser.new_page(viewport=size, color_scheme="light")
        page.goto(options.report.resolve().as_uri())
        page.screenshot(path=options.picture)
        browser.close()
    print(f"{options.picture}: {options.picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
