"""Charts as SVG that takes its colors from the page, so that it suits light and dark."""

import html
import io
import itertools
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from podium.core import console

# Stand for the page's colors until the SVG is written.
INK, GRID = "#010203", "#040506"
MAX_NAME = 22  # characters
CHARACTER = 0.1  # inches, of the tick labels
CELL = 0.48  # inches, of a matrix with texts
MAX_TICKS = 8  # of an x axis, fewer if their labels would touch
CONSTANT = 1e-6  # relative range of values that are equal but for rounding
READABLE = 0.75  # of a chart's size: on a narrower screen it is scrolled, not made smaller
COLORS = ("#3f83c6", "#d9822b", "#2f9e77", "#c2557f", "#8a6fc8", "#8d8f3b", "#6b7a88")
BLUES = LinearSegmentedColormap.from_list("page", ["#eaf1f8", "#3f83c6", "#153a5e"])
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "podium",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 15),  # powers of ten that are written out
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "grid.color": GRID,
    "axes.edgecolor": GRID,
    "lines.linewidth": 1.6,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    ),
    **dict.fromkeys(  # black, or "auto": black
        (
            *("lines.color", "patch.edgecolor", "hatch.color", "boxplot.boxprops.color"),
            *("boxplot.whiskerprops.color", "boxplot.capprops.color", "boxplot.flierprops.color"),
            "boxplot.flierprops.markeredgecolor",
        ),
        INK,
    ),
    "boxplot.medianprops.color": COLORS[1],
    "axes.prop_cycle": cycler(color=COLORS),
}


def short(name: str) -> str:
    """A name as a chart has room for it."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def style() -> AbstractContextManager[None]:
    """The context in which charts are drawn and written."""
    return mpl.rc_context(STYLE)


def figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches. Draw on it in `style()`."""
    return Figure(figsize=(width, height), layout="constrained")


def panels(count: int, *, columns: int = 3, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels in rows of at most `columns`."""
    columns = min(columns, count)
    rows = -(-count // columns)
    made = figure(3.4 * columns, height * rows)
    axes = list(made.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return made, axes[:count]


def svg(made: Figure, label: str) -> Markup:
    """The figure as an SVG element, which `label` describes to those who cannot see it."""
    _mark_points(made)
    _write_ticks(made)
    buffer = io.StringIO()
    with warnings.catch_warnings():  # the browser has the glyphs that matplotlib's font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # ids are unique on a page; no g is referred to
    width = float(re.search(r'width="([\d.]+)pt"', text)[1])  # type: ignore[index]
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    least = f"min({width:.0f}pt,max(22rem,{READABLE * width:.0f}pt))"
    size = f"max-width:{width:.0f}pt;min-width:{least}"
    start = f'<svg role="img" aria-label="{html.escape(label)}" style="{size}"'
    text = text.replace("<svg", start, 1).replace(INK, "currentColor").replace(GRID, "var(--line)")
    return Markup(text)


def _mark_points(made: Figure) -> None:
    """Mark the point of lines that have only one: hollow where the line would be dashed."""
    for line in itertools.chain.from_iterable(axes.lines for axes in made.axes):
        is_point = np.isfinite(np.asarray(line.get_xydata(), float)).all(axis=1).sum() == 1
        if is_point and line.get_marker() in ("None", ""):
            line.set(marker="o", markersize=6, fillstyle="none" if line.is_dashed() else "full")


class _Numbers(ScalarFormatter):
    """Ticks as `console.number` writes numbers: "5,858,000"."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        whole, point, digits = super().__call__(x, pos).partition(".")
        return re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", whole) + point + digits


def _write_ticks(made: Figure) -> None:
    """Separate the thousands of numeric ticks; of x axes, so few that their labels do not touch."""
    for axes in made.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(_Numbers())
    made.draw_without_rendering()  # places them
    for axes in made.axes:
        locator = axes.xaxis.get_major_locator()
        if not isinstance(locator, MaxNLocator):
            continue
        for count in range(MAX_TICKS, 0, -1):
            boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
            shown = [box for box in boxes if box.width]
            if not any(a.overlaps(b) for a, b in itertools.pairwise(shown)):
                break
            locator.set_params(nbins=count)
            made.draw_without_rendering()


def histogram(axes: Axes, values: Sequence[np.ndarray], names: Sequence[str], *, noun: str) -> None:
    """Histograms of several arrays over the same bins; each value is that of a `noun`."""
    joined = np.concatenate(values).astype(float)
    bins = np.histogram_bin_edges(joined, bins=30)
    middle, scale = float(joined.mean()), float(np.abs(joined).max()) or 1.0
    if np.ptp(joined) <= CONSTANT * scale:  # one bar, with room on both sides
        bins = middle + scale * np.array([-0.1, 0.1])
        axes.set_xlim(middle - scale / 2, middle + scale / 2)
        axes.set_xticks([middle], [console.number(middle)])
    for array, name in zip(values, names, strict=True):
        axes.hist(array, bins=bins.tolist(), label=name, alpha=0.6, density=len(values) > 1)
    axes.set_ylabel(f"{noun}s")
    only_integers(axes.yaxis)
    if len(values) > 1:
        axes.set(ylabel="density", yticks=[])
        axes.legend(fontsize="small")


def only_integers(axis: Axis) -> None:
    """Ticks of counts, also where there is one value."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def end_at_one(axis: Axis) -> None:
    """No ticks above 1 if no value is, since many scores have this maximum."""
    start, end = sorted(axis.get_view_interval())
    if max(axis.get_data_interval()) <= 1 < end:
        axis.set_ticks([tick for tick in axis.get_ticklocs() if start <= tick <= 1 + 1e-9])


def name_columns(axes: Axes, names: Sequence[str], *, room: float) -> None:
    """Name the ticks 0, 1, … of the x axis, slanted if a name takes more `room`, in inches, than
    there is per tick.
    """
    labels = [short(name) for name in names]
    fits = max(map(len, labels)) * CHARACTER <= room
    slant: dict[str, Any] = {} if fits else {"rotation": 45, "ha": "right"}
    axes.set_xticks(range(len(names)), labels, **slant)


def matrix(axes: Axes, names: Sequence[str], *, shades: np.ndarray, texts: np.ndarray) -> None:
    """A square matrix [N, N] of `texts` on cells that are darker for higher `shades` (0 to 1)."""
    axes.imshow(shades, cmap=BLUES, vmin=0, vmax=1)
    axes.grid(visible=False)
    name_columns(axes, names, room=CELL)
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    for (row, column), text in np.ndenumerate(texts):
        color = "white" if shades[row, column] > 0.4 else "#1b2733"
        size = "small" if len(names) <= 12 else "xx-small"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)
