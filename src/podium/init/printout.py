"""What `make init` prints: the competition's files, the inferred settings and the next steps."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from podium.core import console
from podium.core.errors import UserError, examples
from podium.init import budget
from podium.init.budget import Choice, Costs, Options
from podium.init.guesses import Guess, option, to_text
from podium.init.layout import Layout
from podium.init.measured import Measured
from podium.init.survey import Survey, Table
from podium.planning import overview
from podium.submission import text_tables

MAX_ROWS = 12  # tables, and image folders
MAX_COLUMN_WIDTH = 44
MAX_VALUE_WIDTH, MAX_ITEMS = 100, 3  # of settings


def files(survey: Survey, slug: str) -> str:
    """List the tables and image folders of an archive, and the files that cannot be used."""
    tables = [
        (table.name, _count(len(table.rows), "row"), _columns(table)) for table in survey.tables
    ]
    folders = [
        (f"{name or '(top)'}/", _count(count, "image"), _size(survey, name))
        for name, count in survey.folders.items()
    ]
    lines = [f"Files of {slug}:"]
    if rows := [*tables[:MAX_ROWS], *folders[:MAX_ROWS]]:
        lines.append(text_tables.plain(rows, indent="  ", max_width=MAX_COLUMN_WIDTH))
    for entries, kind in ((tables, "tables"), (folders, "image folders")):
        if len(entries) > MAX_ROWS:
            lines.append(f"  … and {len(entries) - MAX_ROWS} more {kind}")
    if survey.ignored:
        counts = [f"{count:,} {suffix}" for suffix, count in survey.ignored.items()]
        lines.append(f"  ignored: {examples(counts)}")
    return "\n".join([*lines, *(f"  not usable: {text}" for text in survey.problems.values())])


def settings(layout: Layout) -> str:
    """List the guesses with their confidence and reason."""
    rows = [
        ("setting", "value", "", "reason"),
        *((g.key, _shortened(g.value), g.confidence, g.reason) for g in layout.guesses),
    ]
    table = text_tables.plain(rows, indent="  ", max_width=MAX_COLUMN_WIDTH)
    return "\n".join(["", "Settings:", table, *(f"  note: {note}" for note in layout.notes)])


def _shortened(value: Any) -> str:
    """A value; of many label columns only the first ones."""
    text = to_text(value)
    if len(text) <= MAX_VALUE_WIDTH or not isinstance(value, list | dict):
        return text
    items = [*value.items()][:MAX_ITEMS] if isinstance(value, dict) else value[:MAX_ITEMS]
    return f"{to_text(type(value)(items))},… ({len(value)} in all)"


def measured(result: Measured) -> str:
    """The table of what was measured, and what follows from it."""
    rows = [
        ("features", "loss", "minutes for all images"),
        *(
            (" + ".join(kind.name for kind in row.kinds), f"{row.loss:.4f}", f"{row.minutes:.1f}")
            for row in result.rows
        ),
    ]
    table = text_tables.plain(rows, indent="  ", max_width=MAX_COLUMN_WIDTH)
    enlarged = "" if result.image_size is None else f", image_size {result.image_size}"
    return (
        f"{table}\n  (of linear probes on frozen features, in cross-validation on {result.images} "
        f"training images)\n  models: resize_mode {result.resize_mode}{enlarged}\n  probe: "
        f"{', '.join(kind.name for kind in result.features)}"
    )


def choice(chosen: Choice, options: Options, costs: Costs, *, seconds: float) -> str:
    """What was chosen for a limit of `seconds`, with the expected time of each part."""
    rows = budget.rows(chosen, options, costs)
    notes = budget.notes(chosen, options, seconds=seconds, needed=overview.total(rows))
    members = [
        *(f"{m.name} ({m.image_size} pixels, {chosen.epochs} epochs)" for m in chosen.models),
        *(["a probe on " + " + ".join(kind.name for kind in chosen.kinds)] if chosen.kinds else []),
    ]
    header = f"\nFor {console.duration(seconds)}: {' and '.join(members)}, {chosen.folds} folds"
    table = overview.table(rows).replace("\n", "\n  ")
    return "\n".join([header, f"  {table}", *(f"  note: {note}" for note in notes)])


def next_steps(guesses: Sequence[Guess]) -> str:
    """Say what to do after params.yaml was written."""
    unsure = [guess.key for guess in guesses if guess.is_open]
    review = "Review params.yaml."
    if unsure:
        review = f"Review params.yaml, especially the uncertain settings: {', '.join(unsure)}."
    if "metric" in unsure:
        review += "\n     See the competition's evaluation page for the metric."
    return f"\nWrote params.yaml. Next:\n  1. {review}\n  2. dvc repro"


def correction_hint(error: UserError, guesses: Sequence[Guess], source: str) -> str:
    """Say how to correct one of `guesses` on the command line: first options that `error` names,
    then guesses that it mentions, then uncertain ones.
    """
    text, hint = str(error), "params.yaml was not written."

    def rank(guess: Guess) -> tuple[bool, bool]:
        is_mentioned = guess.name in text or option(guess.key) in text
        return not is_mentioned, guess.key == "metric" or not guess.is_open

    named = re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", text)
    options = [*dict.fromkeys([*named, *(option(g.key) for g in sorted(guesses, key=rank))])]
    if not options or text.startswith("--"):  # the answer to a question is not possible
        return hint
    others = f"\nor {', '.join(options[1:])}" if options[1:] else ""
    return (
        f"{hint} If one of the settings above is wrong, set it on the command line:\n"
        f'  make init SOURCE={shlex.quote(source)} ARGS="{options[0]} VALUE"{others}'
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _columns(table: Table) -> str:
    names = table.columns
    shown = examples(names, 8)
    if table.pixels is None:
        return shown
    columns = table.pixels.columns
    pixels = f"{len(columns)} of pixels ({columns[0]} to {columns[-1]})"
    if len(columns) == 1:
        pixels = f"{columns[0]} (all pixels of an image)"
    return f"{shown}, {pixels}" if shown else pixels


def _size(survey: Survey, folder: str) -> str:
    stats = survey.stats(folder)
    if stats is None:  # of many folders, some are not probed
        is_probed = any(name.startswith(f"{folder}/" if folder else "") for name in survey.probed)
        return "none can be decoded" if is_probed else ""
    return f"{stats.width} x {stats.height}{' grayscale' if stats.grayscale else ''}"
