"""Print submissions/history.csv; plot out-of-fold against public scores -> reports/history.png."""

from podium.core import paths, program
from podium.core.errors import UserError
from podium.kaggle import comparison, history, scores


def main() -> None:
    """Ask Kaggle for missing scores, then print and plot the history."""
    try:
        scores.refresh(history.PATH)
    except UserError as error:
        print(f"warning: could not refresh pending scores: {error}\n")
    table = history.read(history.PATH)
    if table.empty:
        raise UserError(f"{history.PATH} contains no submissions. Run `make submit` first.")
    comparisons = comparison.compare(table)
    print(comparison.render(table, comparisons))
    if comparisons:
        plot = paths.REPORTS / "history.png"
        comparison.plot(comparisons, plot)
        print(f"plot: {plot}")
    else:
        print("no submission is scored yet: no correlation, no plot")


if __name__ == "__main__":
    program.run(main)
