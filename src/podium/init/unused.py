"""The tables and image folders that a layout does not use."""

from podium.core.errors import counted, examples
from podium.init import class_lists, folders, id_patterns, roles
from podium.init.recorder import Recorder
from podium.init.survey import Survey, Table


def note_images(record: Recorder, survey: Survey, train: Table, ids: str) -> None:
    """Note the images, in the folders of the layout, that no table lists, unless tables list parts
    of their names; and how to use them if they have ids of `train` in their names.
    """
    prepare, listed = record.prepare, set[str]()
    if "images" in prepare or not (prepare.get("test_csv") or prepare.get("sample_submission")):
        return
    for table in survey.tables:
        for column in survey.id_candidates[table.name]:
            cells = table.rows[column.name].unique()
            listed.update(name for cell in cells for name in survey.index.find(cell))
    parts = [prepare["train_images"], prepare["test_images"]]
    others = [
        name
        for name in survey.images
        if name not in listed and any(folders.is_in(name, part) for part in parts)
    ]
    if not others:
        return
    hint = ""
    found = id_patterns.find(train.rows[[ids]], id_patterns.index(others))
    if found is not None and found.pattern.startswith("{id}") and "/" not in found.pattern:
        hint = '. If they show the same as the others of their ids, set prepare.images: "{id}*"'
    count = counted(len(others), "image")
    record.note(f"not used: {count} that no table lists: {examples(others, 3)}{hint}")


def note(record: Recorder, survey: Survey, *, has_pixels: bool) -> None:
    """Note them in the layout; without folders if the tables contain the images."""
    prepare = record.prepare
    used = {prepare.get(key) for key in ("train_csv", "test_csv", "sample_submission")}
    used |= {*prepare.get("more_train_csv", [])}
    tables = [t for t in survey.tables if t.name not in used]
    tables = [t for t in tables if not class_lists.is_used(t, prepare.get("label_map"))]
    unused = [roles.describe(table, survey.index) for table in tables]
    if not has_pixels:
        more = prepare.get("more_train_images", [])
        parts = prepare["train_images"], prepare["test_images"], *more
        unused += [f"{name or '(top)'}/" for name in folders.outside(survey, parts)]
    if unused:
        record.note(f"not used: {examples(unused)}")
