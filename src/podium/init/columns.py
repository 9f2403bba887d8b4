"""What to do with missing labels, and with labels that are spelled in several ways."""

from collections.abc import Sequence

import pandas as pd

from podium.core.errors import counted, examples
from podium.dataset import spelling
from podium.init.guesses import Guess


def guess_unlabeled(rows: pd.DataFrame, *, all_empty: bool = False) -> Guess | None:
    """What to do with rows with an empty cell in a label column `rows`, or with `all_empty` in all
    of them; None if there are none.
    """
    is_empty = rows.apply(lambda column: column.str.strip()) == ""
    empty = int((is_empty.all(axis=1) if all_empty else is_empty.any(axis=1)).sum())
    if not empty:
        return None
    reason = f"{counted(empty, 'row', 'has', of=len(rows))} no label; drop: skip such rows"
    return Guess("prepare.unlabeled", "error", "guess", reason, ("drop",))


def guess_variants(labels: Sequence[str], targets: Sequence[str]) -> Guess | None:
    """What to do with labels that differ in case or whitespace only; None if there are none.

    They are merged, unless the sample submission (`targets`) distinguishes them, or all of them are
    single letters: handwritten "a" and "A" differ.
    """
    groups = spelling.variants(labels)
    if not groups:
        return None
    are_letters = all(len(label) == 1 for group in groups for label in group)
    is_submitted = all(set(group) <= set(targets) for group in groups)
    value = "keep" if are_letters or is_submitted else "merge"
    others = tuple(choice for choice in ("merge", "keep", "error") if choice != value)
    reason = f"labels differ in case or whitespace: {examples([*map(repr, groups[0])])}"
    return Guess("prepare.label_variants", value, "guess", reason, others)
