"""One spelling per label: labels may differ in Unicode normalization, case or whitespace only."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

import pandas as pd

from podium.competition.names import nfc


class SampleNames:
    """How the sample submission spells labels, in its columns or its cells."""

    def __init__(self, sample: pd.DataFrame | None) -> None:
        """`sample`: the sample submission as text, ids first; None if there is none."""
        self.columns = [] if sample is None else [str(name) for name in sample.columns[1:]]
        self._by_nfc = {nfc(name): name for name in self.columns}
        self._text = ""
        if sample is not None and len(self.columns) == 1:
            cells = sample.iloc[:, 1].unique().tolist()
            self._text = "\n".join(cell for cell in cells if not cell.isascii())

    def spell(self, label: str) -> str:
        """The sample submission's spelling of `label`; `label` itself if it has none."""
        if nfc(label) in self._by_nfc:
            return self._by_nfc[nfc(label)]
        spellings = (label, nfc(label), unicodedata.normalize("NFD", label))
        return next((spelling for spelling in spellings if spelling in self._text), label)


def normalize(label: str) -> str:
    """The same text for labels that differ in Unicode normalization, case or whitespace only."""
    return " ".join(nfc(label).casefold().split())


def unify(counts: Counter[str], sample: SampleNames) -> dict[str, str]:
    """Map labels that differ in Unicode normalization only to one spelling: that of the sample
    submission, else the most frequent.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        groups[nfc(label)].append(label)
    return {
        label: sample.spell(max(group, key=counts.__getitem__))
        for group in groups.values()
        for label in group
    }


def variants(labels: Iterable[str]) -> list[list[str]]:
    """Groups of labels that differ in case or whitespace only, and labels with stray whitespace.

    Labels that differ in Unicode normalization only are not variants, but the same (`unify`).
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted({nfc(label): label for label in labels}.values()):
        groups[normalize(label)].append(label)
    return [group for group in groups.values() if len(group) > 1 or group[0] != group[0].strip()]


def merge(counts: Counter[str], sample: SampleNames) -> dict[str, str]:
    """Map the labels of each group of `variants` to one spelling: that of the sample submission's
    columns, else the most frequent. Other labels are mapped to themselves.
    """
    in_sample = {normalize(name): name for name in sample.columns}
    names = {label: label for label in counts}
    for group in variants(counts):
        stripped = Counter[str]()
        for label in group:
            stripped[label.strip()] += counts[label]
        common = max(sorted(stripped), key=stripped.__getitem__)
        names |= dict.fromkeys(group, in_sample.get(normalize(common), common))
    return names
