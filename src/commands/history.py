"""Print submissions/history.csv; plot out-of-fold against public scores -> reports/history.png."""

from podium.core import paths, program
from podium.core.errors import UserError
from podium.kaggle import history, submit


def main() -> None:
    """Ask Kaggle for missing scores, then print and plot the history."""
    path, plot = paths.SUBMISSIONS / "history.csv", paths.REPORTS / "history.png"
    try:
        submit.refresh(path)
    except UserError as error:
        print(f"warning: could not refresh pending scores: {error}\n")
    table = history.read(path)
    if table.empty:
        raise UserError(f"{path} contains no submissions. Run `make submit` first.")
    comparisons = history.compare(table)
    print(history.render(table, comparisons))
    if comparisons:
        history.plot(comparisons, plot)
        print(f"plot: {plot}")
    else:
        print("no submission is scored yet: no correlation, no plot")


if __name__ == "__main__":
    program.run(main)
