"""All checks on the data, and the CSV lists of their findings."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from podium.core import seeding
from podium.explore import drift, label_errors, near_duplicates, shortcuts, univariate
from podium.explore.data import Data
from podium.explore.drift import Difference, Drift
from podium.explore.image_stats import STATISTICS
from podium.explore.label_errors import Issues
from podium.explore.near_duplicates import Pair
from podium.explore.shortcuts import Labels, Shortcut

MAX_SEARCHED = 50_000  # training images, and test images, whose neighbors are searched


@dataclass(frozen=True)
class Findings:
    """The results of all checks."""

    pairs: list[Pair]  # near-duplicates, at least one of each pair a training image
    sets: np.ndarray  # each image's set of near-duplicates, or -1: [N]
    issues: Issues
    drift: Drift | None
    differences: list[Difference]
    shortcuts: list[Shortcut]
    regions: list[Shortcut]
    searched: np.ndarray  # the rows whose neighbors were searched: all, or a sample

    def crosses(self, pair: Pair, data: Data) -> str:
        """What a pair connects: training and test images ("test"), "folds", or neither ("fold")."""
        if max(pair.a, pair.b) >= data.n_train:
            return "test"
        return "folds" if data.folds[pair.a] != data.folds[pair.b] else "fold"


def find(data: Data, *, seed: int) -> Findings:
    """Run all checks."""
    rng = seeding.generator(seed, "explore", "searched")
    parts = [np.flatnonzero(data.is_test == part) for part in (False, True)]
    searched = np.concatenate([univariate.sample(rows, MAX_SEARCHED, rng) for rows in parts])
    pairs = near_duplicates.find(
        data.described,
        data.decode,
        data.identical(),
        searched=searched,
        trained=data.trained,
    )
    pairs = [pair for pair in pairs if min(pair.a, pair.b) < data.n_train]
    sets = near_duplicates.sets(pairs, len(data.ids))
    groups = merged(data.units, sets)
    known = slice(0, data.n_train)
    rng = seeding.generator(seed, "explore", "folds")
    labels = one_vs_rest(data)
    folds = univariate.split(data.n_train, rng, groups[known])
    weights = univariate.weights(groups[known])
    facts = {name: values[known] for name, values in data.facts().items()}
    content = {name: values[known] for name, values in data.content().items()}
    stats = data.described.stats
    regions = list[Shortcut]()
    if np.median(stats.sizes[known].min(axis=1)) >= shortcuts.MIN_SIDE:
        regions = shortcuts.of_regions(stats.cells[known], labels, folds, weights)
    return Findings(
        pairs=pairs,
        sets=sets,
        issues=label_errors.find(
            data.described.features[known],
            data.task,
            data.labels,
            data.folds,
            rng,
            searched[searched < data.n_train],
        ),
        drift=drift.measure(data.described.features, data.is_test, groups=groups, rng=rng),
        differences=_differences(data, groups, rng),
        shortcuts=shortcuts.of_facts(
            facts | content, labels, folds, content=STATISTICS, weights=weights
        ),
        regions=regions,
        searched=searched,
    )


def merged(units: list[str], sets: np.ndarray) -> np.ndarray:
    """Groups of images that share a unit or a set of near-duplicates, or are connected by these: a
    number per image, int [N]. -1 is no set.
    """
    codes = pd.factorize(np.array(units, object))[0]
    count, rows = codes.max(initial=-1) + 1, np.flatnonzero(sets >= 0)
    size = count + sets.max(initial=-1) + 1
    edges = (np.ones(len(rows)), (codes[rows], count + sets[rows]))
    groups: np.ndarray = connected_components(coo_array(edges, (size, size)), directed=False)[1]
    return groups[codes]


def one_vs_rest(data: Data) -> Labels:
    """The training labels as columns of 0 and 1; numeric targets are split at the median."""
    targets = data.task.targets(data.labels)
    if data.task.name == "regression":
        names = [f"{name} above its median" for name in data.task.classes]
        return Labels(names, (targets > np.median(targets, axis=0)).astype(float)).frequent()
    if data.task.name == "multilabel":
        return Labels(data.task.classes, targets).frequent()
    sizes = np.bincount(targets, minlength=len(data.task.classes))
    common = np.argsort(-sizes, kind="stable")[: shortcuts.MAX_LABELS]  # of possibly thousands
    names = [data.task.classes[index] for index in common]
    return Labels(names, (targets[:, None] == common).astype(np.float32)).frequent()


def _differences(data: Data, groups: np.ndarray, rng: np.random.Generator) -> list[Difference]:
    """Compare facts, content and table columns of test and training images."""
    names = ("file name order", "file name length")  # naming often follows the split
    facts = {name: values for name, values in data.facts().items() if name not in names}
    found = drift.compare(facts | data.content(), data.is_test, rng, groups)
    shared = data.shared.columns.difference(["part", "id", "group"])
    columns = {str(name): data.shared[name].to_numpy() for name in shared}
    is_test = (data.shared["part"] == "test").to_numpy()
    found += drift.compare(columns, is_test, rng, groups_of_rows(data, groups))
    return sorted(found, key=lambda difference: -difference.auc)


def groups_of_rows(data: Data, groups: np.ndarray) -> np.ndarray:
    """The group of each row of the tables: that of its images in `groups`, int [N], merged with the
    rows of the same `prepare.group_column`: a number per row. Rows of training and of test images
    are in different groups: else a few near-duplicates would join most of both.
    """
    of_units = dict(zip(data.units, groups.tolist(), strict=True))
    parts = data.shared["part"]
    images = zip(parts, data.units_of_rows(), strict=True)
    rows = [f"{part} {of_units.get(unit, f'row {unit}')}" for part, unit in images]
    known = (parts + " " + data.shared["group"]).where(data.shared["group"] != "")
    return merged(rows, pd.factorize(known)[0])  # -1 without one


def duplicates_table(data: Data, findings: Findings) -> pd.DataFrame:
    """The sets of near-duplicates in the format of `prepare.near_duplicates`: set, part, id, label,
    fold.
    """
    rows = np.flatnonzero(findings.sets >= 0)
    rows = rows[np.argsort(findings.sets[rows], kind="stable")]
    known = [row for row in rows if row < data.n_train]
    label = {row: data.labels[row] for row in known}
    fold = {row: str(data.folds[row]) for row in known}
    columns = {
        "set": [str(findings.sets[row]) for row in rows],
        "part": ["test" if row >= data.n_train else "train" for row in rows],
        "id": [data.ids[row] for row in rows],
        "label": [label.get(row, "") for row in rows],
        "fold": [fold.get(row, "") for row in rows],
    }
    return pd.DataFrame(columns, dtype=str)


def issues_table(data: Data, findings: Findings) -> pd.DataFrame:
    """The likely label errors in the format of `prepare.exclude`: id, label, suggestion, score."""
    rows = [
        (data.ids[issue.row], data.labels[issue.row], issue.suggestion, f"{issue.score:.4f}")
        for issue in findings.issues.found
    ]
    return pd.DataFrame(rows, columns=["id", "label", "suggestion", "score"], dtype=str)
