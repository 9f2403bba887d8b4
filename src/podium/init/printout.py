"""What `make init` tells: what lies in the archive, what is guessed of it, and what to do next."""

from collections.abc import Sequence

from podium.core.errors import examples
from podium.init.guesses import Guess, text
from podium.init.survey import Survey, Table

MOST = 12  # tables, and folders


def of_files(found: Survey, slug: str) -> str:
    """The tables and the folders of images of an archive, and what of it cannot be used."""
    tables = [(table.name, _size(table), _columns(table)) for table in found.tables]
    folders = [
        (f"{folder or '(top)'}/", f"{count:,} image{'s' * (count != 1)}", "")
        for folder, count in found.folders.items()
    ]
    lines = [f"{slug} holds", *_aligned([*tables[:MOST], *folders[:MOST]])]
    for rows, what in ((tables, "tables"), (folders, "folders of images")):
        if len(rows) > MOST:
            lines.append(f"  … and {len(rows) - MOST} more {what}")
    if found.others:
        kinds = [f"{count:,} {suffix}" for suffix, count in found.others.items()]
        lines.append(f"  and files that are not read: {examples(kinds)}")
    return "\n".join([*lines, *(f"  not used: {problem}" for problem in found.problems.values())])


def of_guesses(guesses: Sequence[Guess], notes: Sequence[str]) -> str:
    """Each guess, how sure it is, and why."""
    rows = [(guess.key, text(guess.value) or '""', guess.sureness, guess.why) for guess in guesses]
    return "\n".join(["", *_aligned(rows), *(f"  {note}" for note in notes)])


def of_next_steps(guesses: Sequence[Guess]) -> str:
    """What to do with the params.yaml that is written."""
    unsure = ", ".join(guess.key for guess in guesses if guess.sureness != "certain")
    check = f"not certain: {unsure}" if unsure else "all of it is certain, or your word"
    metric = next(guess for guess in guesses if guess.key == "metric")
    page = "; the competition's page names the metric" if metric.sureness != "certain" else ""
    return f"\nparams.yaml is written ({check}).\nEdit what is not right{page}. Then `dvc repro`."


def _size(table: Table) -> str:
    count = len(table.rows)
    return f"{count:,} row{'s' * (count != 1)}"


def _columns(table: Table) -> str:
    names = [str(name) for name in table.columns]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    if table.pixels is None:
        return shown
    pixels = table.pixels
    whole = f"{len(pixels.columns)} of pixels: {pixels.columns[0]} to {pixels.columns[-1]}"
    if len(pixels.columns) == 1:
        whole = f"{pixels.prefix} (a picture in each cell)"
    return f"{shown}, {whole}" if shown else whole


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of a table, its columns as wide as they need to be up to 44 characters."""
    widths = [min(44, max(map(len, column))) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
