"""Print submissions/history.csv; plot out-of-fold against public scores -> reports/history.png."""

from pathlib import Path

from podium.core import program
from podium.core.errors import UserError
from podium.kaggle import history, submit

PATH, PLOT = Path("submissions/history.csv"), Path("reports/history.png")


def main() -> None:
    """Ask Kaggle for scores that are open, then print and plot what there is."""
    try:
        submit.update(PATH)
    except UserError as error:
        print(f"scores that are open stay so: {error}\n")
    table = history.read(PATH)
    if table.empty:
        raise UserError(f"{PATH} has no submissions yet: `make submit` writes it")
    found = history.agreements(table)
    print(history.render(table, found))
    if found:
        history.plot(found, PLOT)
        print(f"plot: {PLOT}")
    else:
        print("no submission is scored: no correlation, no plot")


if __name__ == "__main__":
    program.run(main)
