"""One spelling per label: labels may differ in Unicode normalization, case or whitespace only."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from podium.competition.text import cell_lists
from podium.competition.text.names import NameIndex, canonical, is_number, nfc, normalize
from podium.core.errors import counted, examples
from podium.dataset import affixes

SEPARATORS = r"[\s|;,/+&]+"  # between labels in a cell of the sample submission


class SampleNames:
    """How the sample submission spells labels, in its columns or its cells."""

    def __init__(self, sample: pd.DataFrame | None) -> None:
        """`sample`: the sample submission as text, ids first; None if there is none."""
        self.columns = [] if sample is None else [str(name) for name in sample.columns[1:]]
        cells = list[str]()
        if sample is not None and len(self.columns) == 1:
            cells = [cell.strip() for cell in sample.iloc[:, 1].unique()]
        parts = [part for cell in cells for part in re.split(SEPARATORS, cell)]
        if cell_lists.are_bracketed(cells):
            cells, parts = [], cell_lists.distinct_labels(cells, " ")
        self._names = dict[str, str]()
        for name in (*self.columns, *cells, *parts):
            self._names.setdefault(canonical(name), name)
        self._index = NameIndex(self.columns)

    def spell(self, label: str) -> str:
        """The sample submission's spelling of `label`; `label` itself if it has none."""
        return self._names.get(canonical(label), label)

    def spell_columns(self, names: Sequence[str]) -> list[str]:
        """The sample submission's columns for the label columns `names`: of the same name, or, if
        there are none, without a prefix or suffix that all have in common (X4 for X4_mean).
        """
        spelled = [self.spell(name) for name in names]
        if len(names) != len(self.columns) or {*spelled} & {*self.columns}:
            return spelled
        for pairs in affixes.pairings(self.columns, names):
            by_name = {name: column for column, name in pairs.items()}
            return [by_name[name] for name in names]
        return spelled

    def spell_words(self, labels: Iterable[str]) -> dict[str, str]:
        """The columns of the sample submission, by label, that consist of the same words as one of
        the `labels` and are none of them: normal_mild for "Normal/Mild". A single column is the
        label's.
        """
        labels = {*labels}
        if len(self.columns) == 1:
            return {}
        columns = _by_words(column for column in self.columns if column not in labels)
        found = _by_words(label for label in labels if label not in self.columns)
        return {found[words]: column for words, column in columns.items() if words in found}

    def spell_variant(self, label: str) -> str:
        """The column of the sample submission that may differ from `label` in case or whitespace;
        `label` itself if there is none.
        """
        return self._index.find(label) or label

    def spell_numbers(self, spellings: dict[str, list[str]]) -> dict[str, str]:
        """Spell numbers like the sample submission, which need not contain all of them: "4" for 4.0
        if it has 0 and 10.

        Args:
            spellings: of each number in the training table, the most frequent first, by the
                number's canonical form.
        """
        ways: list[Callable[[str], str]] = [
            lambda number: spellings[number][0],
            lambda number: number,
            lambda number: number if "." in number else f"{number}.0",
        ]
        if any(len(ways_of_one) > 1 for ways_of_one in spellings.values()):
            ways[0], ways[1] = ways[1], ways[0]
        known = {number: self._names[number] for number in spellings if number in self._names}
        ways = [way for way in ways if all(way(n) == name for n, name in known.items())] or ways
        return {number: ways[0](number) for number in spellings} | known


def _by_words(names: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Names by their words in lower case, without those that have the words of another."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        groups[tuple(re.findall(r"[^\W_]+", normalize(name)))].append(name)
    return {words: group[0] for words, group in groups.items() if words and len(group) == 1}


def unify(counts: Counter[str], sample: SampleNames) -> dict[str, str]:
    """Map labels that differ in Unicode normalization only, or are the same number, to one
    spelling: that of the sample submission, else the most frequent.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        groups[canonical(label)].append(label)
    for group in groups.values():
        group.sort(key=lambda label: -counts[label])
    numbers = {
        key: list(dict.fromkeys(label.strip() for label in group))
        for key, group in groups.items()
        if is_number(key)
    }
    names = {key: sample.spell(group[0]) for key, group in groups.items()}
    names |= sample.spell_numbers(numbers)
    columns = sample.spell_words(names.values())
    names = {key: columns.get(name, name) for key, name in names.items()}
    return {label: names[key] for key, group in groups.items() for label in group}


def joined_numbers(labels: Iterable[str], name: str) -> list[str]:
    """A warning about numbers that the table `name` spells in several ways."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        if is_number(label):
            groups[canonical(label)].append(repr(label))
    joined = [" = ".join(group) for group in groups.values() if len(group) > 1]
    warning = (
        f"{name}: {counted(len(joined), 'label', 'is')} spelled in several ways: {examples(joined)}"
    )
    return [warning] if joined else []


def variants(labels: Iterable[str]) -> list[list[str]]:
    """Groups of labels that differ in case or whitespace only, and labels with stray whitespace.

    Labels that differ in Unicode normalization only are not variants, but the same (`unify`).
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted({nfc(label): label for label in labels if not is_number(label)}.values()):
        groups[normalize(label)].append(label)
    return [group for group in groups.values() if len(group) > 1 or group[0] != group[0].strip()]


def merge(counts: Counter[str], sample: SampleNames) -> dict[str, str]:
    """Map the labels of each group of `variants` to one spelling: that of the sample submission's
    columns, else the most frequent. Other labels are mapped to themselves.
    """
    names = {label: label for label in counts}
    for group in variants(counts):
        stripped = Counter[str]()
        for label in group:
            stripped[label.strip()] += counts[label]
        common = max(sorted(stripped), key=stripped.__getitem__)
        names |= dict.fromkeys(group, sample.spell_variant(common))
    return names


def unify_groups(groups: pd.Series) -> pd.Series:
    """Give groups that differ in spelling only (3, 3.0, "P3 ", "p3") one of their spellings: two
    spellings of one patient must not be in different folds.
    """
    names: dict[str, str] = {}
    for group in sorted(groups.map(nfc).unique()):
        names.setdefault(normalize(group), group)
    return groups.map(lambda group: names[normalize(group)])
