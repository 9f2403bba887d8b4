"""Sections of the page on findings: near-duplicates, label errors, drift and shortcuts."""

from collections import Counter

import cv2
import numpy as np

from podium.core.console import number
from podium.explore.data import Data
from podium.explore.findings import Findings, one_vs_rest
from podium.explore.image_stats import CELLS, STATISTICS
from podium.explore.label_errors import MAX_CLASSES, MAX_SHARE, NEIGHBORS, Issue, has_classifier
from podium.explore.near_duplicates import Pair
from podium.explore.shortcuts import BYTES_REVEAL, CENTER, CORNER, REVEALS, Shortcut
from podium.pages import pictures
from podium.pages.document import Card, Cards, Chart, Section, Table

Parts = list[Chart | Table | Cards]
PAIRS, ISSUES, ROWS = 36, 30, 15
LIKE, EXAMPLES = 7, 5
SIDE = 132  # pixels of images side by side
CROSSES = {
    "test": "training and test image",
    "folds": "in different folds",
    "fold": "in the same fold",
}


def near_duplicates(data: Data, found: Findings) -> Section:
    """Pairs of near-duplicates, those with different labels first."""
    text = (
        "Copies of an image: identical, re-encoded, cropped, mirrored or recolored. The details of "
        "each pair match after alignment. "
    )
    if limit := sampled(len(data.ids), found.searched):
        text += (
            f"Copies were searched of {limit} images, a random sample, among all images; "
            "identical ones were found among all. "
        )
    if not found.pairs:
        return Section("Near-duplicates", [], text + "None were found.")
    counts = Counter((found.crosses(pair, data), pair.kind) for pair in found.pairs)
    kinds = sorted({pair.kind for pair in found.pairs}, key=lambda kind: (len(kind), kind))
    table = [["pairs", *kinds]]
    table += [
        [words, *(f"{counts[key, kind]:,}" for kind in kinds)] for key, words in CROSSES.items()
    ]
    order = ("folds", "fold", "test")

    def rank(pair: Pair) -> tuple[bool, int]:
        return not _conflict(data, pair), order.index(found.crosses(pair, data))

    shown = sorted(found.pairs, key=rank)[:PAIRS]
    cards = [_pair_card(data, found, pair) for pair in shown]
    conflicts = sum(_conflict(data, pair) for pair in found.pairs)
    text += (
        f"Pairs with different labels: {conflicts}. Copy reports/near_duplicates.csv to "
        "custom/lists/ and set prepare.near_duplicates to the copy, so that each set stays in one "
        "fold. With prepare.duplicates: drop, only one image of each set is used."
    )
    caption = "" if len(shown) == len(found.pairs) else f"{len(shown)} of {len(found.pairs)} pairs"
    return Section("Near-duplicates", [Table(table), Cards(cards, caption)], text)


def sampled(count: int, searched: np.ndarray) -> str:
    """How many of `count` images were searched; "" if all."""
    return "" if len(searched) == count else f"{len(searched):,} of {count:,}"


def label_errors(data: Data, found: Findings) -> Section:
    """Images whose labels disagree with those of their neighbors."""
    cards = dict[str, Card]()  # one for the images of an id
    for issue, neighbors in zip(found.issues.found, found.issues.neighbors, strict=True):
        unit = data.units[issue.row]
        if unit in cards or len(cards) == ISSUES:
            continue
        given = _label(data, issue.row)
        lines = [f"given: {given}", f"suggested: {_suggestion(data, issue)}"]
        if data.task.name not in ("regression", "multilabel"):
            lines.append(
                f"{issue.alike} of its {len(neighbors)} nearest images are labeled {given}"
            )
        elif data.task.name == "multilabel":
            lines.append(
                f"{issue.alike} of its {len(neighbors)} nearest images agree with the label"
            )
        near = neighbors[:2]
        names = [f"neighbor, labeled {_label(data, row)}" for row in near]
        shown = [_picture(data, issue.row, data.ids[issue.row])]
        shown += [_picture(data, row, name) for row, name in zip(near, names, strict=True)]
        lines.append("neighbors: " + ", ".join(_label(data, row) for row in near))
        cards[unit] = Card(unit, shown, lines)
    judges = f"the {neighbors_of(data)} nearest images"
    if has_classifier(data.task):
        judges += " and with a linear classifier that was not trained on the image"
    rows = [issue.row for issue in found.issues.found]
    wrong = data.counted(rows)
    text = f"The label of {wrong} disagrees with {judges}. "
    if more := found.issues.suspicious - len(rows):
        text = (
            f"The labels of {found.issues.suspicious:,} images disagree with {judges}. Only the "
            f"{len(rows):,} most suspicious are listed (at most {MAX_SHARE:.0%} of the images), "
            f"not the other {more:,}. "
        )
    text += (
        "Next to each image are its two nearest neighbors. To exclude images from training, copy "
        "their rows of reports/label_issues.csv to a file in custom/lists/ and set prepare.exclude "
        "to that file."
    )
    if not cards:
        text = f"No label disagrees with {judges}."
    if limit := sampled(data.n_train, found.searched[found.searched < data.n_train]):
        text += f" Only {limit} training images were checked, a random sample."
    if not has_classifier(data.task):
        text += f" With more than {MAX_CLASSES} classes, no classifier is fitted."
    if not cards:
        return Section("Likely label errors", [], text)
    is_all = len(cards) == len({data.units[row] for row in rows})
    caption = "" if is_all else f"{len(cards)} of {wrong}, most likely first"
    return Section("Likely label errors", [Cards([*cards.values()], caption)], text)


def neighbors_of(data: Data) -> int:
    """How many neighbors judge the label of an image."""
    return max(0, min(NEIGHBORS, data.n_train - 1))


def _suggestion(data: Data, issue: Issue) -> str:
    """The suggested label as it is shown; of several targets, labels start with the target."""
    if data.task.name == "regression":
        return ", ".join(number(float(value)) for value in issue.suggestion.split(", "))
    if data.targets:  # each image has one label of each
        return issue.suggestion.removeprefix("with ").replace("without ", "not ", 1)
    return issue.suggestion


def drift(data: Data, found: Findings) -> Section:
    """How test images differ from training images."""
    if found.drift is None:
        return Section("Drift")
    relation = "differ from" if found.drift.is_reported else "look like"
    text = (
        f"Test images {relation} training images: a classifier on the features tells them apart "
        f"with a cross-validated AUC of {found.drift.auc:.3f} (0.5 or less: not at all; 1: "
        "perfectly). The table has the AUC of single properties; unclear: too few images or groups."
    )
    table = [["property", "AUC alone", "differs"]]
    table += [
        [difference.name, f"{difference.auc:.3f}", difference.verdict]
        for difference in found.differences[:ROWS]
    ]
    like = found.drift.test_like
    train, test = np.arange(data.n_train), np.arange(data.n_train, len(data.ids))
    groups = {
        "Training images that look most like test images": train[np.argsort(-like[train])],
        "Training images that look least like test images": train[np.argsort(like[train])],
        "Test images that look least like training images": test[np.argsort(-like[test])],
    }
    parts: Parts = [Table(table)]
    for caption, rows in groups.items():
        cards = [
            Card(data.ids[row], [_picture(data, int(row), data.ids[row])], [f"{like[row]:.2f}"])
            for row in rows[:LIKE]
        ]
        parts.append(Cards(cards, f"{caption} (probability of being a test image)"))
    return Section("Drift", parts, text)


def found_shortcuts(found: Findings) -> list[Shortcut]:
    """The shortcuts to report, highest AUC first."""
    listed = [*found.regions, *(s for s in found.shortcuts if s.is_reported)]
    return sorted(listed, key=lambda shortcut: -shortcut.auc)


def shortcuts(data: Data, found: Findings) -> Section:
    """Features that predict a label without the content of the image."""
    table = [["feature", "label", "AUC alone", "shortcut"]]
    for shortcut in [*found.regions, *found.shortcuts][:ROWS]:
        is_content = shortcut.feature in STATISTICS
        verdict = "yes" if shortcut.is_reported else "content" if is_content else "no"
        table.append([shortcut.feature, shortcut.label, f"{shortcut.auc:.3f}", verdict])
    parts: Parts = [Table(table)] if len(table) > 1 else []
    for region in found.regions:
        parts.append(_region_cards(data, region))
    text = (
        "How well a single feature predicts a label, as cross-validated AUC (0.5 or less: not at "
        "all; 1: perfectly); the label is the one that it predicts best. A shortcut is reported if "
        "the lower bound of its AUC, corrected for the number of features and labels, is above the "
        f"limit: {REVEALS} for most, {CORNER} or {CENTER} for regions, {BYTES_REVEAL} for file "
        "sizes. The size or name of a file should not predict any. Brightness and the like "
        "may be content; a single region that reveals a label, such as a watermark, is not."
    )
    return Section("Shortcuts", parts, text)


def _region_cards(data: Data, region: Shortcut) -> Cards:
    """Mean images with and without the label, and examples, with the region framed."""
    labels = one_vs_rest(data)
    has = labels.values[:, labels.names.index(region.label)] > 0
    thumbs = data.described.stats.thumbs[: data.n_train]
    cards = []
    for title, mask in ((f"mean of {region.label}", has), ("mean of the others", ~has)):
        mean = thumbs[mask].mean(axis=0).round().astype(np.uint8)
        large = cv2.resize(mean, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cards.append(_framed_card(np.repeat(large[..., None], 3, axis=2), region, title))
    for row in np.flatnonzero(has)[:EXAMPLES]:
        cards.append(_framed_card(data.decode(int(row)), region, data.ids[row]))
    return Cards(cards, f"{region.feature} reveals {region.label}: AUC {region.auc:.2f}")


def _framed_card(pixels: np.ndarray, region: Shortcut, title: str) -> Card:
    return Card(title, [(pictures.thumbnail(_framed(pixels, region), side=SIDE), title)], [])


def _framed(pixels: np.ndarray, region: Shortcut) -> np.ndarray:
    """The image with a frame around the region."""
    assert region.cell is not None
    row, column = region.cell
    scale = max(1.0, 2 * SIDE / max(pixels.shape[:2]))
    framed = cv2.resize(pixels, None, fx=scale, fy=scale)
    height, width = framed.shape[:2]
    start = column * width // CELLS, row * height // CELLS
    end = (column + 1) * width // CELLS - 1, (row + 1) * height // CELLS - 1
    cv2.rectangle(framed, start, end, (255, 60, 60), max(2, max(height, width) // 90))
    return framed


def _pair_card(data: Data, found: Findings, pair: Pair) -> Card:
    shown = [_picture(data, row, data.ids[row]) for row in (pair.a, pair.b)]
    where = CROSSES[found.crosses(pair, data)]
    lines = [f"{pair.kind}, correlation of details {pair.correlation:.3f}", where]
    labels = [_label(data, row) for row in (pair.a, pair.b) if row < data.n_train]
    lines.append(" / ".join(dict.fromkeys(labels)))
    title = f"{data.ids[pair.a]} = {data.ids[pair.b]}"
    return Card(f"different labels: {title}" if _conflict(data, pair) else title, shown, lines)


def _conflict(data: Data, pair: Pair) -> bool:
    known = max(pair.a, pair.b) < data.n_train
    return known and data.labels[pair.a] != data.labels[pair.b]


def _label(data: Data, row: int) -> str:
    if data.task.name == "regression":
        return ", ".join(number(value) for value in data.task.targets([data.labels[row]])[0])
    return data.labels[row].replace("|", ", ") or "(none)"


def _picture(data: Data, row: int, text: str) -> tuple[str, str]:
    return pictures.thumbnail(data.decode(row), side=SIDE), text
