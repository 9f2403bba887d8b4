"""Training images whose paths contain their labels."""

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import nfc
from podium.config.prepare import Prepare
from podium.core.errors import UserError, counted, examples
from podium.dataset import rows
from podium.dataset.image_files import image_names, images_below, label_in, shown
from podium.dataset.rows import LABEL


def read(archive: Archive, layout: Prepare) -> pd.DataFrame:
    """Read labels from the images' paths: id, one column of labels, and the group if there is a
    `group_pattern`. Ids are paths in `train_images`; those of images in `more_train_images` are
    paths in the archive.

    Raises:
        UserError: if a folder has no images, if images have no label or group, or if `label_map`
            does not match the labels.
    """
    folder, names = shown(layout.train_images), image_names(archive)
    files = _below(names, layout.train_images, layout)
    texts = [label_in(path, layout.label_pattern) for path in files]
    ids = [*files]
    for more in layout.more_train_images:
        found = _below(names, more, layout)
        texts += [label_in(path, layout.label_pattern) for path in found]
        ids += map(nfc, found.values())
    if unlabeled := [path for path, text in zip(ids, texts, strict=True) if text is None]:
        problem = "outside of class folders"
        if layout.label_pattern is not None:
            problem = f"that prepare.label_pattern {layout.label_pattern!r} does not match"
        raise UserError(
            f"{folder}: {counted(len(unlabeled), 'image', of=len(ids))} {problem}: "
            f"{examples(unlabeled)}. Set prepare.train_images to another folder, or "
            "prepare.train_csv to a table of labels."
        )
    groups = None if layout.group_pattern is None else _groups(ids, layout.group_pattern)
    if len(layout.label_columns) > 1:
        raise UserError(
            "prepare.label_column is a list, but each image has one label in its path. Set it to "
            "one name."
        )
    if layout.label_map is not None:
        labels = {nfc(name): label for name, label in layout.label_map.items()}
        labeled = {nfc(text) for text in texts if text is not None}
        if unknown := sorted(labeled ^ labels.keys()):
            raise UserError(
                "prepare.label_map must have one label for each of "
                f"{examples(sorted(labeled), 12)}. Add or remove {examples(unknown)}."
            )
        texts = [labels[nfc(text)] for text in texts if text is not None]
    table = pd.DataFrame({"id": ids, LABEL + layout.label_columns[0]: texts}, dtype=str)
    rows.check_ids(table, folder)
    return table if groups is None else table.assign(group=groups)


def _groups(ids: list[str], pattern: str) -> list[str]:
    """What the group of `pattern` captures in the file name of each image.

    Raises:
        UserError: if it does not match a name.
    """
    groups = [label_in(image, pattern) or "" for image in ids]
    if wrong := [image for image, group in zip(ids, groups, strict=True) if not group]:
        raise UserError(
            f"prepare.group_pattern {pattern!r} finds no group in {len(wrong)} of "
            f"{counted(len(ids), 'file name')}: {examples(wrong)}. Change it so that it matches "
            "all of them."
        )
    return groups


def _below(names: list[str], folder: str, layout: Prepare) -> dict[str, str]:
    """The images in a folder, by their paths relative to it.

    Raises:
        UserError: if there are none.
    """
    found = images_below(names, folder, exclude=layout.test_images)
    for more in layout.more_train_images:
        inside = set(images_below(names, more).values()) if more != folder else set[str]()
        found = {path: name for path, name in found.items() if name not in inside}
    if not found:
        raise UserError(
            f"{shown(folder)} contains no images. Set prepare.train_images to another folder."
        )
    return found
