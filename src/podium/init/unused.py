"""The tables and image folders that a layout does not use."""

from podium.core.errors import examples
from podium.init import class_lists, folders, roles
from podium.init.recorder import Recorder
from podium.init.survey import Survey


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
