"""Plot score against time from the tables in docs/results.md, which benchmarks/score.py measured.

python benchmarks/score_plot.py docs/score.svg
"""

import argparse
import io
import re
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

RESULTS = Path(__file__).parents[1] / "docs/results.md"
SYSTEMS = {  # colors of the Okabe-Ito palette, and markers
    "podium": ("#0072b2", "o"),
    "autogluon": ("#d55e00", "s"),
    "fastai": ("#009e73", "^"),
    "logistic": ("#888888", "D"),
}


class Point(NamedTuple):
    """A system's accuracy with its standard error, and the CPU seconds that it took."""

    system: str
    accuracy: float
    error: float
    seconds: float


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    picture = parser.parse_args().picture
    picture.write_text(plot(points(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


def points(text: str) -> dict[str, list[Point]]:
    """The rows of both tables, by set of images: one has a row per system, the other (larger
    budgets) columns for Podium and fastai.
    """
    found: dict[str, list[Point]] = {}
    name = ""
    for cells in _rows(text, "| images | system |"):
        name = cells[0].partition(":")[0] or name
        accuracy, _, error = cells[3].partition(" ± ")
        point = Point(cells[1], float(accuracy), float(error or 0), float(cells[5]))
        found.setdefault(name, []).append(point)
    for name, *numbers in _rows(text, "| images | Podium: accuracy |"):
        for system, first in (("podium", 0), ("fastai", 3)):
            accuracy, seconds = float(numbers[first]), float(numbers[first + 2])
            found[name].append(Point(system, accuracy, 0.0, seconds))
    return found


def _rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table whose header starts with `heading`, without bold markup."""
    _, _, table = text.partition(heading)
    lines = re.match(r".*\n\|[-|]+\n((?:\|.*\n)+)", table)
    assert lines is not None, f"no table {heading}"
    rows = [line.strip("|").replace("**", "").split("|") for line in lines[1].splitlines()]
    return [[cell.strip() for cell in row] for row in rows]


def plot(by_images: dict[str, list[Point]]) -> str:
    """An SVG with a panel per set of images."""
    with mpl.rc_context({"svg.hashsalt": "podium", "font.family": "sans-serif"}):
        figure = Figure(figsize=(9, 6.4), layout="constrained")
        for number, (name, systems) in enumerate(by_images.items()):
            _panel(figure.add_subplot(2, 2, number + 1), name, systems)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=len(SYSTEMS), frameon=False
        )
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(output := io.StringIO(), metadata={"Date": None})
    return output.getvalue()


def _panel(axes: Axes, name: str, systems: list[Point]) -> None:
    for system, (color, marker) in SYSTEMS.items():
        runs = sorted((p for p in systems if p.system == system), key=lambda p: p.seconds)
        axes.errorbar(
            [p.seconds for p in runs],
            [p.accuracy for p in runs],
            [p.error for p in runs],
            color=color,
            marker=marker,
            markersize=7,
            capsize=3,
            linewidth=1.5,
            label=system,
        )
    axes.set_title(name)
    axes.set_xscale("log")
    axes.set_xticks(ticks := [60, 120, 240, 480, 960], [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(50, 1100)
    axes.set_xlabel("CPU seconds")
    axes.set_ylabel("test accuracy")
    axes.grid(alpha=0.25)


if __name__ == "__main__":
    main()
