"""reports/data.html: the data before training, with a summary of the findings at the top."""

from collections import Counter
from collections.abc import Sequence

from podium.config.embeddings import Embedding
from podium.core.errors import counted
from podium.explore import faults, overview
from podium.explore.data import Data
from podium.explore.findings import Findings
from podium.pages.document import render


def html(data: Data, found: Findings, slug: str, backbone: Embedding | None) -> str:
    """The page."""
    rows, task = range(len(data.ids)), "multitarget" if data.targets else data.task.name
    of_train, of_test = _of_ids(data, rows[: data.n_train]), _of_ids(data, rows[data.n_train :])
    facts = [
        ("training images", f"{data.n_train:,}", ", ".join(filter(None, (of_train, task)))),
        ("test images", f"{len(data.ids) - data.n_train:,}", of_test),
        ("near-duplicate pairs", f"{len(found.pairs):,}", _crossing(data, found)),
        ("likely label errors", f"{len(found.issues.found):,}", _not_listed(data, found)),
        ("shortcuts to the label", str(len(faults.found_shortcuts(found))), ""),
    ]
    if found.drift is not None:
        differ = sum(difference.is_reported for difference in found.differences)
        remark = "no property differs"
        if differ:
            remark = f"{differ} {'property differs' if differ == 1 else 'properties differ'}"
        facts.append(("AUC of test vs. training", f"{found.drift.auc:.3f}", remark))
    sections = [
        overview.classes(data),
        overview.splits(data),
        overview.images(data),
        faults.near_duplicates(data, found),
        faults.label_errors(data, found),
        faults.drift(data, found),
        faults.shortcuts(data, found),
        overview.method(data, backbone),
    ]
    return render(f"{slug}: the data", facts, sections)


def summary(data: Data, found: Findings) -> list[str]:
    """The findings, one line each."""
    crossing = _crossing(data, found)
    lines = [
        f"near-duplicates: {counted(len(found.pairs), 'pair')}"
        + (f" ({crossing})" if crossing else ""),
        f"likely label errors: {len(found.issues.found)}"
        + (f" ({remark})" if (remark := _not_listed(data, found)) else ""),
    ]
    if limit := faults.sampled(len(data.ids), found.searched):
        lines.append(f"neighbors were searched of {limit} images, a random sample")
    if found.drift is not None:
        names = [difference.name for difference in found.differences if difference.is_reported]
        shown = f"; they differ in {', '.join(names[:5])}" if names else ""
        lines.append(f"drift: AUC of test vs. training images {found.drift.auc:.3f}{shown}")
    named = [f"{s.feature} ({s.label}, AUC {s.auc:.2f})" for s in faults.found_shortcuts(found)]
    lines.append(f"shortcuts: {'; '.join(named[:5]) or 'none'}")
    return lines


def _not_listed(data: Data, found: Findings) -> str:
    """How many suspicious labels are not listed, and how many ids the images belong to; "" if all
    are, and each image has its own.
    """
    listed = len(found.issues.found)
    parts = []
    if data.noun == "id" and listed:
        wrong = data.counted([issue.row for issue in found.issues.found])
        parts.append(f"images of {wrong}")
    if found.issues.suspicious > listed:
        parts.append(f"the most suspicious of {found.issues.suspicious:,}")
    return ", ".join(parts)


def _of_ids(data: Data, rows: Sequence[int]) -> str:
    """How many ids the images belong to; "" if each image has its own."""
    return f"of {data.counted(rows)}" if data.noun == "id" and rows else ""


def _crossing(data: Data, found: Findings) -> str:
    """The numbers of pairs across folds and between training and test images."""
    counts = Counter(found.crosses(pair, data) for pair in found.pairs)
    parts = [
        f"{counts['folds']} across folds" if counts["folds"] else "",
        f"{counts['test']} with test images" if counts["test"] else "",
    ]
    return ", ".join(part for part in parts if part)
