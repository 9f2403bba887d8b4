"""The readers of container files, and the folders and tables that their contents appear as."""

import posixpath
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from podium.competition.containers import bson, hdf5, json_pixels, parquet, tfrecords
from podium.competition.containers.base import Content
from podium.competition.containers.shapes import Shapes
from podium.competition.source import Source

Reader = Callable[[Source, str, Shapes], Content | None]

READERS: dict[str, Reader] = {
    ".h5": hdf5.read,
    ".hdf5": hdf5.read,
    ".hdf": hdf5.read,
    ".tfrec": tfrecords.read,
    ".tfrecord": tfrecords.read,
    ".tfrecords": tfrecords.read,
    ".parquet": parquet.read,
    ".json": json_pixels.read,
    ".bson": bson.read,
}
"""By suffix: a function of a file, its name without the suffix, and the shapes of all images. It
returns the contents, or None if the file contains no images."""
# The numbers of a shard: train00-2071, train_image_data_3, train-00000-of-00004, 00-512x512-798.
NUMBERS = re.compile(r"[\W_]*\d(?:[\W_\dx]|of)*$")


def reader(name: str, size: int, head: Callable[[], bytes]) -> Reader | None:
    """The reader for the file `name` of `size` bytes if it may contain images, else None. `head`
    returns its first bytes.
    """
    found = READERS.get(posixpath.splitext(name)[1].lower())
    if found is json_pixels.read and (
        size < json_pixels.MIN_BYTES or not json_pixels.is_candidate(head())
    ):
        return None
    return found


def folder(name: str) -> str:
    """The folder for the images in the file `name`; all shards of a dataset share one."""
    path = PurePosixPath(name)
    stem = NUMBERS.sub("", path.stem)
    if not stem:
        return str(path.parent) if path.parent.name else path.stem
    return str(path.parent / stem)


def is_used(name: str, used: Sequence[str]) -> bool:
    """Whether the file `name`, its images or its table are among the folders and tables `used`."""
    stem = name.rpartition(".")[0]
    folders = [f"/{path}/" for path in (folder(name), stem)]
    tables = [f"/{path}.csv" for path in (folder(name), stem)] + [f"/{name}"]
    for item in used:
        inside = f"/{item.strip('/')}/" if item.strip("/") else "/"
        if any(inside in path or path in inside for path in folders):
            return True
        if any(path.endswith(f"/{item}") for path in tables):
            return True
    return False
