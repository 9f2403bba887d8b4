"""Charts and pages: valid, self-contained, in the page's colors."""

import itertools
import re
from xml.etree import ElementTree

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from podium.core import console
from podium.pages import charts, document, pictures
from podium.pages.document import Card, Cards, Chart, Section, Table


def chart(label: str = "a label") -> str:
    with charts.style():
        figure, axes = charts.panels(2)
        axes[0].plot([1, 2], [3, 4])
        axes[1].set_title("a < b & c")
        return str(charts.svg(figure, label))


def test_a_chart_is_an_element_in_the_colors_of_the_page() -> None:
    text = chart('"quoted" <label>')
    root = ElementTree.fromstring(text)
    assert root.attrib["aria-label"] == '"quoted" <label>' and root.attrib["role"] == "img"
    assert "width" not in root.attrib and "viewBox" in root.attrib
    assert "a < b & c" in "".join(root.itertext())
    assert "currentColor" in text and "var(--line)" in text
    assert charts.INK not in text and charts.GRID not in text


def test_no_artist_is_black() -> None:
    with charts.style():
        black = {"black", "k", "#000000"}
        assert [key for key, value in mpl.rcParams.items() if str(value) in black] == []
        figure, (axes,) = charts.panels(1)
        axes.boxplot([[1, 2, 3, 30], [2, 3, 4, 40]], tick_labels=["a", "b"])
        axes.scatter([1, 2], [3, 4])
        text = str(charts.svg(figure, "boxes"))
    assert "stroke: #000000" not in text and "stroke: currentColor" in text


def test_densities_have_no_ticks_and_counts_have_a_label() -> None:
    values = np.linspace(0, 1, 50)
    with charts.style():
        _, axes = charts.panels(2)
        charts.histogram(axes[0], [values], ["one"], noun="id")
        charts.histogram(axes[1], [values, values], ["training", "test"], noun="id")
    assert axes[0].get_ylabel() == "ids" and len(axes[0].get_yticks())
    assert axes[1].get_ylabel() == "density" and not len(axes[1].get_yticks())


def test_an_axis_of_scores_ends_at_one() -> None:
    with charts.style():
        _, (axes,) = charts.panels(1)
        axes.plot([0.9, 1.0], [0, 1])
        charts.end_at_one(axes.xaxis)
        assert max(axes.get_xticks()) == pytest.approx(1)


def texts(made: Figure) -> list[str]:
    root = ElementTree.fromstring(str(charts.svg(made, "numbers")))
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("high", "expected", "others"),
    [
        (5e5, {"0", "100,000", "400,000"}, {"1e6"}),
        (8e6, {"0", "2,000,000", "8,000,000"}, {"1e6"}),
        (-3e6, {"0", "\u22123,000,000"}, {"1e6"}),
        (2500, {"0", "500", "1,000", "2,500"}, set()),
        (1.0, {"0.0", "0.2", "1.0"}, set()),
    ],
)
def test_ticks_are_written_like_other_numbers(
    high: float, expected: set[str], others: set[str]
) -> None:
    with charts.style():
        made, (axes,) = charts.panels(1)
        axes.plot([0, 1], [0, high])
        found = {*texts(made)}
    assert expected <= found and not others & found
    assert not any(re.search(r"\d{4}|e\d", text) for text in found), found


def test_ticks_of_large_numbers_do_not_touch() -> None:
    with charts.style():
        made, axes = charts.panels(3)
        for panel in axes:
            panel.plot([1_234_567, 18_765_432], [0, 1])
        charts.svg(made, "prices")
        for panel in axes:
            boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
            ticks = [tick for tick in panel.get_xticks() if 1_234_567 <= tick <= 18_765_432]
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
            assert len(ticks) >= 2


def test_an_axis_of_counts_has_integers() -> None:
    for values, expected in (([1], ["1"]), ([1, 3], ["1", "2", "3"]), ([1200, 9000], ["3,000"])):
        with charts.style():
            made, (axes,) = charts.panels(1)
            axes.plot(values, np.zeros(len(values)), "o")
            charts.only_integers(axes.xaxis)
            axes.set_yticks([])
            found = texts(made)
        assert set(expected) <= set(found) and not [text for text in found if "." in text]


def test_a_wide_chart_is_scrolled_rather_than_made_tiny() -> None:
    with charts.style():
        narrow, wide = (str(charts.svg(charts.figure(width, 2), "a")) for width in (3, 10))
    assert "min-width:min(216pt,max(22rem,162pt))" in narrow
    assert "min-width:min(720pt,max(22rem,540pt))" in wide


def test_names_are_neither_formulas_nor_longer_than_the_chart_has_room_for() -> None:
    names, values = ["$x_1$", "n" * 99], np.eye(2)
    with charts.style():
        figure = charts.figure(3, 3)
        charts.matrix(figure.subplots(), names, shades=values, texts=values.astype(str))
        root = ElementTree.fromstring(str(charts.svg(figure, "a matrix")))
    text = "".join(root.itertext())  # without comments, which have the names as they are
    assert "$x_1$" in text and "n" * 21 + "…" in text and "n" * 22 not in text


def test_a_chart_has_the_same_bytes_every_time() -> None:
    assert chart() == chart()


def test_a_page_escapes_names_and_loads_nothing() -> None:
    cards = [Card("<img>", [("data:image/jpeg;base64,AA", 'x" onload="')], ["a & b"])]
    sections = [
        Section("Empty"),
        Section("Some images", [Cards(cards), Table([["<th>", "n"], ["<b>", "1"]])]),
        Section("Charts", [Chart(charts.svg(charts.figure(2, 2), "one"), "<i>")]),
    ]
    page = document.render("<title>", [("<fact>", "1", "")], sections)
    for text in ("<img>", "<fact>", "<th>", "<b>", "<i>", 'x" onload'):
        assert text not in page
    assert 'href="#some-images"' in page and 'id="some-images"' in page and "Empty" not in page
    assert "<script" not in page and "@import" not in page and "url(" not in page.split("<svg")[0]


@pytest.mark.parametrize(("height", "width"), [(40, 1000), (1000, 40), (1, 5), (100, 100)])
def test_a_thumbnail_keeps_the_shape_of_the_image(height: int, width: int) -> None:
    heat = np.zeros((2, 2), np.float32)
    for layer in (None, heat):
        uri = pictures.thumbnail(np.full((height, width, 3), (250, 5, 5), np.uint8), layer)
        header, _, content = uri.partition(",")
        assert header == "data:image/jpeg;base64"
        pixels = decode(content)
        assert max(pixels.shape[:2]) <= pictures.SIDE
        assert pixels.shape[0] == max(1, round(height * min(1, pictures.SIDE / max(height, width))))
    assert (
        decode(pictures.thumbnail(np.full((9, 9, 3), (250, 5, 5), np.uint8)).split(",")[1])[4, 4, 2]
        > 200
    )  # red stays red: OpenCV's order is BGR


def decode(content: str) -> np.ndarray:
    import base64

    return cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)


def test_a_curve_with_one_point_is_visible() -> None:
    with charts.style():
        made, (axes,) = charts.panels(1)
        dashed, solid = axes.plot([1], [0.5], "--")[0], axes.plot([1, 2], [0.6, np.nan])[0]
        longer, rule = axes.plot([1, 2], [3, 4])[0], axes.axhline(1)
        charts.svg(made, "losses")
    assert [line.get_marker() for line in (dashed, solid, longer, rule)] == [
        "o",
        "o",
        "None",
        "None",
    ]
    assert (dashed.get_fillstyle(), solid.get_fillstyle()) == ("none", "full")


@pytest.mark.parametrize("value", [48 * 48 / 1e6, 1.0, 0.0, -5e6, float(np.float32(0.1))])
def test_equal_values_are_a_bar_at_their_value(value: float) -> None:
    with charts.style():
        made, (axes,) = charts.panels(1)
        charts.histogram(axes, [np.full(9, value), np.full(4, value * (1 + 1e-9))], ["a", "b"],
                         noun="image")  # fmt: skip
        found = texts(made)
    (low, high), bars = axes.get_xlim(), axes.patches
    assert len(bars) == 2 and all(
        bar.get_width() == pytest.approx((high - low) / 5) for bar in bars
    )
    assert all(bar.get_center()[0] == pytest.approx(value) for bar in bars)
    assert (low < 0) == (value <= 0)
    assert console.number(value) in found


def test_counts_have_integers_also_where_they_are_small() -> None:
    with charts.style():
        made, (axes,) = charts.panels(1)
        charts.histogram(axes, [np.array([0.25, 0.5, 0.75])], ["training"], noun="id")
        axes.set_xticks([])
        found = texts(made)
    assert {"0", "1"} <= {*found} and not [text for text in found if "." in text]


def test_captions_do_not_scroll_with_wide_tables_and_charts() -> None:
    svg = charts.svg(charts.figure(2, 2), "one")
    parts = [Table([["class", "n"], ["a", "1"]], "Of the table."), Chart(svg, "Of the chart.")]
    page = document.render("t", [], [Section("Folds", parts)])
    scrolling = re.findall('<div class="(?:table|chart)"[^>]*>(.*?)</div>', page, re.DOTALL)
    assert ["<table>" in scrolling[0], "<svg" in scrolling[1]] == [True, True]
    for caption in ("Of the table.", "Of the chart."):
        assert f"<figcaption>{caption}</figcaption>" in page
        assert not any(caption in part for part in scrolling)
