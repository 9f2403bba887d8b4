"""Tables in JSON files: annotations as COCO has them, lists of records, labels by id."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from podium.core.errors import UserError

Records = list[dict[str, Any]]


def to_csv(data: bytes, *, title: str) -> bytes:
    """A table in JSON as CSV.

    `images` and `annotations` (COCO's form): a row per annotation, with the columns of its image;
    an image without annotations has a row if none has any, as in a test set. `category_name` is
    that of `categories`. A list of objects, or an object of equally long lists: its columns. Any
    other object: one row per key, which becomes the column `id`. Values that are objects or lists
    of objects are left out.

    Raises:
        UserError: with `title`, if it is not JSON or none of these.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{title} is not valid JSON: {error}. Restore it.") from None
    records = _records(content)
    if not records:
        raise UserError(
            f"{title} is not a table: expected images and annotations, a list of objects, or an "
            "object of labels by id. Write a CSV with a column of ids and a column of labels."
        )
    columns = [name for name in _names(records) if any(_is_cell(r.get(name)) for r in records)]
    rows = [{name: _text(record.get(name)) for name in columns} for record in records]
    return pd.DataFrame(rows, columns=columns).to_csv(index=False).encode()


def _records(content: Any) -> Records:
    if isinstance(content, list):
        return content if _are_records(content) else []
    if not isinstance(content, dict):
        return []
    if _are_records(content.get("images")):
        return _annotated(content["images"], content)
    values = [*content.values()]
    lengths = {len(value) if isinstance(value, list) else -1 for value in values}
    if lists := [value for value in values if _are_records(value)]:
        records: Records = max(lists, key=len)
    elif len(values) > 1 and len(lengths) == 1 and lengths != {-1}:
        records = [dict(zip(content, row, strict=True)) for row in zip(*values, strict=True)]
    elif all(isinstance(value, dict) for value in values):
        records = [{"id": key, **value} for key, value in content.items()]
    else:
        records = [{"id": key, "label": v} for key, v in content.items() if _is_cell(v)]
    return records


def _annotated(images: Records, content: Mapping[str, Any]) -> Records:
    """A row per annotation: what its image has, and what it has itself under other names."""
    annotations = [a for a in content.get("annotations") or [] if isinstance(a, dict)]
    categories = {
        category.get("id", category.get("category_id")): category.get("name")
        for category in content.get("categories") or []
        if isinstance(category, dict)
    }
    if not any("image_id" in annotation for annotation in annotations):
        if len(annotations) != len(images):
            return images
        annotations = [  # in the order of the images
            {**annotation, "image_id": _id(image)}
            for annotation, image in zip(annotations, images, strict=True)
        ]
    by_id = {_id(image): image for image in images}
    rows = []
    for annotation in annotations:
        if (image := by_id.get(annotation.get("image_id"))) is None:
            continue
        own = {key: value for key, value in annotation.items() if key not in ("id", "image_id")}
        if (name := categories.get(annotation.get("category_id"))) is not None:
            own["category_name"] = name
        rows.append({**own, **image})
    return rows


def _id(image: Mapping[str, Any]) -> Any:
    """The id of an image, which some files call image_id."""
    return image["id"] if "id" in image else image.get("image_id")


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _names(records: Records) -> list[str]:
    return [*dict.fromkeys(name for record in records for name in record)]


def _is_cell(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str | int | float) for item in value)
    return value is not None and not isinstance(value, dict)


def _text(value: Any) -> str:
    if value is None or not _is_cell(value):
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)
