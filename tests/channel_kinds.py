"""Small competitions whose images have other than three channels."""

import io
import json
from collections.abc import Callable

import h5py
import numpy as np
import tifffile
from competitions import CLASSES, competition, csv, encode, npy, picture, tables

TRAIN, TEST = 36, 9
Images = dict[str, dict[str, np.ndarray]]


def images(channels: int, size: tuple[int, int] = (40, 32)) -> Images:
    """uint8 [H, W, `channels`] by part and id. Only the last channel shows the label, and it is
    partly transparent if it is taken for alpha.
    """
    rng, made = np.random.default_rng(0), dict[str, dict[str, np.ndarray]]()
    for part, table in zip(("train", "test"), tables(TRAIN, TEST), strict=True):
        made[part] = {}
        for row in table.itertuples():
            noise = rng.integers(0, 250, (*size, channels), dtype=np.uint8)
            noise[..., -1] = picture(row.label, rng, size)[..., 0].clip(1, 254)
            made[part][row.id] = noise
    return made


def tiff(pixels: np.ndarray) -> bytes:
    """Channels as samples of each pixel."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="contig")
    return file.getvalue()


def planar_tiff(pixels: np.ndarray) -> bytes:
    """Channels one after another."""
    file = io.BytesIO()
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    tifffile.imwrite(
        file, planes, photometric="minisblack", planarconfig="separate", compression="zlib"
    )
    return file.getvalue()


def paged_tiff(pixels: np.ndarray) -> bytes:
    """A page per channel."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for channel in np.moveaxis(pixels, 2, 0):
            writer.write(np.ascontiguousarray(channel), photometric="minisblack")
    return file.getvalue()


KINDS: dict[str, tuple[int, str, Callable[[np.ndarray], bytes]]] = {
    "npy_2": (2, "npy", npy),
    "npy_6_first": (6, "npy", lambda pixels: npy(pixels.transpose(2, 0, 1))),
    "png_4": (4, "png", encode),
    "tiff_4": (4, "tif", tiff),
    "planar_tiff_5": (5, "tif", planar_tiff),
    "paged_tiff_5": (5, "tif", paged_tiff),
}
"""By name: the number of channels, the suffix, and what writes a file."""


def files(name: str) -> tuple[dict[str, bytes], Images]:
    """A competition's files, and the pixels in them."""
    channels, suffix, write = KINDS[name]
    made = images(channels)
    contents = {name: data for name, data in competition(TRAIN, TEST).items() if "/" not in name}
    for part, by_id in made.items():
        for image, pixels in by_id.items():
            contents[f"{part}/{image}.{suffix}"] = write(pixels)
    return contents, made


def hdf5(*, one: bool) -> tuple[dict[str, bytes], Images]:
    """Images of five channels in HDF5 files: one dataset of all, or one per image."""
    made = images(5)
    contents = {name: data for name, data in competition(TRAIN, TEST).items() if "/" not in name}
    for part, by_id in made.items():
        with h5py.File(file := io.BytesIO(), "w") as opened:
            if one:
                opened["images"], opened["image_id"] = np.stack([*by_id.values()]), [*by_id]
            else:
                for image, pixels in by_id.items():
                    opened[image] = pixels
        contents[f"{part}-image.hdf5"] = file.getvalue()
    return contents, made


def bands() -> tuple[dict[str, bytes], Images]:
    """Two lists of pixels per image in JSON, as in the iceberg challenge."""
    made = images(2, (32, 32))
    known, hidden = tables(TRAIN, TEST)
    contents = {"sample_submission.csv": csv(hidden.assign(label=CLASSES[0]))}
    for part, table in (("train", known), ("test", hidden)):
        records = [
            {
                "id": image,
                **{f"band_{n}": made[part][image][..., n].ravel().tolist() for n in range(2)},
                **({"label": label} if part == "train" else {}),
            }
            for image, label in table.to_numpy()
        ]
        contents[f"{part}.json"] = json.dumps(records).encode()
    return contents, made


PARTS = ("green", "blue", "red", "yellow")


def stacked(
    parts: tuple[str, ...] = PARTS, pattern: str = "{id}_{part}.png"
) -> tuple[dict[str, bytes], Images]:
    """A competition with a grayscale file per channel, and the pixels in the order of `parts`."""
    made = images(len(parts))
    contents = {name: data for name, data in competition(TRAIN, TEST).items() if "/" not in name}
    for folder, by_id in made.items():
        for image, pixels in by_id.items():
            for number, part in enumerate(parts):
                name = pattern.format(id=image, part=part)
                contents[f"{folder}/{name}"] = encode(np.ascontiguousarray(pixels[..., number]))
    return contents, made
