"""Optuna's plots of a study, as PNG files."""

from pathlib import Path

import matplotlib as mpl
import optuna
from optuna.visualization import matplotlib as plots

from podium.core import console, files

KINDS = {
    "history": plots.plot_optimization_history,
    "learning_curves": plots.plot_intermediate_values,
    "slices": plots.plot_slice,
    "parallel_coordinates": plots.plot_parallel_coordinate,
    "importances": plots.plot_param_importances,
}


def save(study: optuna.Study, folder: Path) -> list[Path]:
    """Save each plot that the study has enough trials for; their paths."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for name, plot in KINDS.items():
        path = folder / f"{name}.png"
        files.remove(path)
        try:
            drawn = plot(study)
        except (ValueError, RuntimeError) as error:  # too few trials, or all scores are equal
            console.say(f"no plot {path.name}: {error}")
            continue
        axes = drawn if hasattr(drawn, "figure") else drawn.flat[0]
        axes.figure.set_size_inches(10, 6)
        axes.figure.savefig(path, dpi=120, bbox_inches="tight")
        plt.close("all")
        saved.append(path)
    return saved
