"""The pages in headless Chromium: no errors, no requests, no overflow, no barriers."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import in_process
import layouts
import numpy as np
import pytest
import several_targets
from competitions import csv, encode, tables
from conftest import Project

pytest.importorskip("playwright", reason="needs Playwright: `make test-browser`")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs Debian's package chromium", allow_module_level=True)
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def photos(ids: list[str]) -> dict[str, bytes]:
    """Random training and test images."""
    rng = np.random.default_rng(0)
    return {f"{name}.png": encode(rng.integers(0, 256, (40, 56, 3), np.uint8)) for name in ids}


def many_classes() -> dict[str, bytes]:
    """80 classes with long names, of 160 images."""
    known, hidden = tables(160, 8)
    names = [f"a class with a long name, number {n % 80}" for n in range(168)]
    images = [*(f"train/{i}" for i in known["id"]), *(f"test/{i}" for i in hidden["id"])]
    return {
        "train.csv": csv(known.assign(label=names[:160])),
        "sample_submission.csv": csv(hidden.assign(label=names[0])),
        **photos(images),
    }


def numbers_of_two_images() -> dict[str, bytes]:
    """A number per id, which has two images."""
    known, hidden = tables(40, 8)
    known, hidden = known.assign(label=np.arange(40) / 7), hidden.assign(label=0.5)
    ids = [*(f"train/{i}" for i in known["id"]), *(f"test/{i}" for i in hidden["id"])]
    names = [f"{image}_{side}" for image in ids for side in ("left", "right")]
    return {
        "train.csv": csv(known.rename(columns={"label": "price"})),
        "sample_submission.csv": csv(hidden.rename(columns={"label": "price"})),
        **photos(names),
    }


KINDS: dict[str, Callable[[], dict[str, bytes]]] = {
    "targets": several_targets.mixed,
    "labels": lambda: layouts.several_labels("|").files,
    "classes": many_classes,
    "images per id": numbers_of_two_images,
}


@pytest.fixture(scope="module", params=["finished", *KINDS])
def reports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a finished project."""
    if request.param == "finished":
        project: Project = request.getfixturevalue("finished_project")
        return project.folder / "reports"
    folder = tmp_path_factory.mktemp("kind")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        in_process.run_project(KINDS[request.param](), fine_tune=True)
        in_process.explore_project()
    return folder / "reports"


@pytest.fixture(params=["report.html", "data.html"])
def report(reports: Path, request: pytest.FixtureRequest) -> Path:
    path: Path = reports / request.param
    return path


def violations(page: Any) -> list[str]:
    """The serious violations of axe-core's rules."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_a_page_opens_everywhere(browser: Any, report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems, requests = list[str](), list[str]()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    for image in page.locator("img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.naturalWidth") > 0
    overflow = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert not problems and overflow <= 0
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert violations(page) == []
    # Pixels per point of the charts' font sizes: their text is three quarters as large, or more.
    scales = page.evaluate(
        "[...document.querySelectorAll('svg')].map("
        "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"
    )
    assert scales and min(scales) >= 0.99, scales
    page.close()


def test_the_checks_see_what_is_wrong(browser: Any) -> None:
    page = browser.new_page()
    page.set_content("<html><body><img src='data:,'><p style='color:#ccc'>pale</p></body></html>")
    assert {"image-alt", "color-contrast"} <= set(violations(page))
    page.close()
