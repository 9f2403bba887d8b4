"""Images in HDF5 files: one dataset per image, or one dataset of all images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from podium.competition.containers.base import (
    ContainerError,
    Content,
    cell,
    choose_ids,
    npy,
    suffix_of,
)
from podium.competition.source import Source

MAX_EXAMINED = 8  # datasets per group; the others are assumed to be of the same kind
CHANNELS = (1, 3, 4)
MAX_CHANNELS, MIN_CHANNELS_SIDE = 12, 24  # of one image with other channels: [H, W, C]
MIN_SIDE = 4  # pixels
MODEL_ATTRIBUTES = ("keras_version", "layer_names")  # of files with weights

Key = tuple[str, int | None]  # a dataset, and the index of the image in it


def read(source: Source, *_: object) -> Content | None:
    """List the images of a file; None if there are none. A dataset is an encoded image (bytes),
    the pixels of an image ([H, W], [H, W, C] or [C, H, W]), or all images ([N, …]). Other datasets
    with N values are columns of the table.

    Raises:
        ContainerError: if it cannot be read.
    """
    import h5py  # takes half a second

    try:
        file = h5py.File(source.open(), "r")
        if any(name in file.attrs for name in MODEL_ATTRIBUTES):
            return None
        single = {name: (name, None) for name in _single(file)}
        if len(single) == 1 and file[next(iter(single))].dtype.kind == "f":
            return None  # a matrix
        stacks = [] if single else [*_stacks(file)]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ContainerError(f"not a readable HDF5 file: {error}") from None
    images: dict[str, Key] = dict(single)
    table = None
    if single:
        suffix = _suffix(file[next(iter(single))][()])
        images = {f"{name}{suffix}": key for name, key in images.items()}
    elif len(stacks) == 1:
        images, table = _stack(file, stacks[0])
    else:
        for name in stacks:
            images |= {f"{name}/{n}": key for n, key in _stack(file, name)[0].items()}

    def image(key: Key) -> bytes:
        name, number = key
        try:
            value = file[name][()] if number is None else file[name][number]
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise ContainerError(f"cannot read {name}: {error}") from None
        data = _encoded(value)
        return npy(np.asarray(value)) if data is None else data

    return Content(images, image, table, file.close) if images else None


def _single(group: Any) -> Iterator[str]:
    """The datasets that are one image each, in this group and its subgroups."""
    import h5py

    names = [*group]
    kinds = [_is_single(group[name]) for name in names[:MAX_EXAMINED]]
    prefix = group.name.strip("/") + "/" if group.name != "/" else ""
    if len(names) > MAX_EXAMINED and all(kinds):
        yield from (prefix + name for name in names)
        return
    for name in names:
        if isinstance(group[name], h5py.Group):
            yield from _single(group[name])
        elif _is_single(group[name]):
            yield prefix + name


def _is_single(dataset: Any) -> bool:
    import h5py

    if not isinstance(dataset, h5py.Dataset) or 0 in dataset.shape:
        return False
    if dataset.ndim in (0, 1) and (dataset.ndim == 0 or dataset.dtype == np.uint8):
        head = dataset[()] if dataset.ndim == 0 else dataset[:16]
        return _encoded(head) is not None
    if dataset.dtype.kind not in "uif" or min(dataset.shape[:2]) < 1:
        return False
    if dataset.ndim == 3:
        *sides, channels = dataset.shape
        is_other = channels <= MAX_CHANNELS and min(sides) >= MIN_CHANNELS_SIDE
        return is_other or channels in CHANNELS or dataset.shape[0] in CHANNELS
    return dataset.ndim == 2 and min(dataset.shape) >= MIN_SIDE


def _stacks(group: Any) -> Iterator[str]:
    """The datasets that contain many images each."""
    import h5py

    for name in group:
        dataset = group[name]
        if isinstance(dataset, h5py.Group):
            yield from _stacks(dataset)
            continue
        is_pixels = dataset.dtype.kind in "uif" and dataset.ndim in (3, 4)
        is_encoded = dataset.ndim == 1 and len(dataset) and _encoded(dataset[0]) is not None
        if (is_pixels and min(dataset.shape[1:3]) >= 1) or is_encoded:
            yield dataset.name.strip("/")


def _stack(file: Any, name: str) -> tuple[dict[str, Key], pd.DataFrame]:
    """The images of a dataset, and a table of the other datasets of the same length."""
    import h5py

    count, parent = len(file[name]), file[name].parent
    columns: dict[str, list[Any]] = {}
    for other, dataset in parent.items():
        is_column = isinstance(dataset, h5py.Dataset) and dataset.shape == (count,)
        if is_column and dataset.name != file[name].name:
            cells = [cell(value) for value in dataset[()].tolist()]
            if None not in cells:
                columns[other] = cells
    ids = choose_ids(columns)
    if ids is None:
        ids = "id"
        columns = {"id": [str(number) for number in range(count)], **columns}
    suffix = _suffix(file[name][0]) if count else ""
    images: dict[str, Key] = {f"{value}{suffix}": (name, n) for n, value in enumerate(columns[ids])}
    return images, pd.DataFrame(columns, dtype=str)


def _encoded(value: Any) -> bytes | None:
    """The bytes of an encoded image; None if `value` is not one."""
    data: Any = value.tobytes() if isinstance(value, np.void) else value
    if isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 1:
        data = data.tobytes()
    return data if isinstance(data, bytes) and suffix_of(data) is not None else None


def _suffix(value: Any) -> str:
    data = _encoded(value)
    return ".npy" if data is None else suffix_of(data) or ""
