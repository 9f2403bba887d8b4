"""Compare the decoding speed for each file format with that of the format's own library.

    python benchmarks/formats.py [--images 200]

Both decode to uint8 pixels on one core: Podium from a zip archive, as `prepare` does, but without
resizing or encoding; the library from a folder, as its documentation shows. Needs the packages of
requirements-dev.txt.
"""

import argparse
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import h5py
import numpy as np
import pandas as pd
import py7zr
import pydicom
import tfrecord
import tifffile
from common import Run, photos, rates, table
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_windowing

from podium.competition.archive import Archive
from podium.dataset.image_files import image_names
from podium.images import codec

WIDTH, HEIGHT = 512, 384

Pixels = Iterator[np.ndarray]


def rgb(data: bytes) -> np.ndarray:
    """The pixels of an encoded photo."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from `low` to `high` as uint8."""
    return ((values - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)


class Format(NamedTuple):
    """How a file format is written, and how its library reads it."""

    write: Callable[[Path, list[bytes]], None]
    read: Callable[[Path], Pixels]
    value_range: tuple[float, float] | None = None


def dicom(syntax: str | None) -> Format:
    """12-bit gray images with a window."""

    def write(folder: Path, encoded: list[bytes]) -> None:
        for number, data in enumerate(encoded):
            content = Dataset()
            content.file_meta = FileMetaDataset()
            content.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
            content.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
            content.file_meta.MediaStorageSOPClassUID = content.SOPClassUID
            content.SOPInstanceUID = content.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
            content.PhotometricInterpretation, content.SamplesPerPixel = "MONOCHROME2", 1
            content.Rows, content.Columns = HEIGHT, WIDTH
            content.BitsAllocated, content.BitsStored, content.HighBit = 16, 12, 11
            content.PixelRepresentation = 0
            content.WindowCenter, content.WindowWidth = 2000, 3000
            content.PixelData = (rgb(data)[..., 0].astype(np.uint16) * 16).tobytes()
            if syntax is not None:
                content.compress(syntax)
            pydicom.dcmwrite(folder / f"{number:05d}.dcm", content, enforce_file_format=True)

    def read(folder: Path) -> Pixels:
        for path in sorted(folder.iterdir()):
            content = pydicom.dcmread(path)
            values = apply_modality_lut(content.pixel_array, content)
            yield scaled(apply_windowing(values, content), 0, 4095)

    return Format(write, read)


def npy() -> Format:
    """An array per image."""

    def write(folder: Path, encoded: list[bytes]) -> None:
        for number, data in enumerate(encoded):
            np.save(folder / f"{number:05d}.npy", rgb(data))

    return Format(write, lambda folder: (np.load(path) for path in sorted(folder.iterdir())))


def tiff() -> Format:
    """16-bit gray images, scaled from a given range."""

    def write(folder: Path, encoded: list[bytes]) -> None:
        for number, data in enumerate(encoded):
            values = rgb(data)[..., 0].astype(np.uint16) * 16
            tifffile.imwrite(folder / f"{number:05d}.tif", values, compression="zlib")

    def read(folder: Path) -> Pixels:
        return (scaled(tifffile.imread(path), 0, 4095) for path in sorted(folder.iterdir()))

    return Format(write, read, (0, 4095))


def hdf5(*, encoded: bool) -> Format:
    """A data set per image."""

    def write(folder: Path, photos: list[bytes]) -> None:
        with h5py.File(folder / "images.h5", "w") as file:
            for number, data in enumerate(photos):
                if encoded:
                    file[f"{number:05d}"] = np.void(data)
                else:
                    file[f"{number:05d}"] = rgb(data)

    def read(folder: Path) -> Pixels:
        with h5py.File(folder / "images.h5") as file:
            for name in file:
                yield rgb(file[name][()].tobytes()) if encoded else file[name][()]

    return Format(write, read)


def tfrecords() -> Format:
    """Encoded images in a file."""

    def write(folder: Path, encoded: list[bytes]) -> None:
        writer = tfrecord.TFRecordWriter(str(folder / "images.tfrec"))
        for number, data in enumerate(encoded):
            name = f"{number:05d}".encode()
            writer.write({"id": (name, "byte"), "image": (data, "byte")})
        writer.close()

    def read(folder: Path) -> Pixels:
        for record in tfrecord.tfrecord_loader(
            str(folder / "images.tfrec"), None, {"image": "byte"}
        ):
            yield rgb(bytes(record["image"]))

    return Format(write, read)


def parquet(*, encoded: bool) -> Format:
    """A column of encoded images, or a column per pixel of images at a quarter of their width."""

    def write(folder: Path, photos: list[bytes]) -> None:
        if encoded:
            content = pd.DataFrame({"id": [*map(str, range(len(photos)))], "image": photos})
        else:
            small = [cv2.resize(rgb(data)[..., 0], (128, 96)).ravel() for data in photos]
            content = pd.DataFrame(np.stack(small), columns=[*map(str, range(small[0].size))])
        content.to_parquet(folder / "images.parquet")

    def read(folder: Path) -> Pixels:
        content = pd.read_parquet(folder / "images.parquet")
        if encoded:
            return (rgb(data) for data in content["image"])
        return iter(content.to_numpy().reshape(-1, 96, 128))

    return Format(write, read)


def seven_zip() -> Format:
    """Encoded images in a 7z archive."""

    def write(folder: Path, encoded: list[bytes]) -> None:
        with py7zr.SevenZipFile(folder / "images.7z", "w") as archive:
            for number, data in enumerate(encoded):
                archive.writestr(data, f"{number:05d}.jpg")

    def read(folder: Path) -> Pixels:
        with tempfile.TemporaryDirectory() as target:
            with py7zr.SevenZipFile(folder / "images.7z") as archive:
                archive.extractall(target)
            for path in sorted(Path(target).iterdir()):
                yield rgb(path.read_bytes())

    return Format(write, read)


FORMATS = {
    "DICOM, uncompressed: pydicom": dicom(None),
    "DICOM, RLE: pydicom": dicom(uid.RLELossless),
    "NumPy arrays: numpy": npy(),
    "TIFF, 16 bits, deflated: tifffile": tiff(),
    "HDF5 of JPEG files: h5py and OpenCV": hdf5(encoded=True),
    "HDF5 of pixels: h5py": hdf5(encoded=False),
    "TFRecords of JPEG files: tfrecord and OpenCV": tfrecords(),
    "Parquet of JPEG files: pandas and OpenCV": parquet(encoded=True),
    "Parquet, a column per pixel (128 x 96): pandas": parquet(encoded=False),
    "7z of JPEG files: py7zr and OpenCV": seven_zip(),
}


def by_podium(format_: Format, path: Path) -> Run:
    """Decode all images of an archive."""

    def run() -> int:
        with Archive(path) as archive:
            names = image_names(archive)
            for name in names:
                pixels = codec.decode(archive.read(name), value_range=format_.value_range)
                assert pixels.dtype == np.uint8
        return len(names)

    return run


def by_library(format_: Format, folder: Path) -> Run:
    """Decode all images of a folder."""
    return lambda: sum(1 for pixels in format_.read(folder) if pixels.dtype == np.uint8)


def main() -> None:
    """Print a table of images per second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    encoded = photos(options.images, WIDTH, HEIGHT)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, format_) in enumerate(FORMATS.items()):
            folder, path = Path(scratch, f"{number}"), Path(scratch, f"{number}.zip")
            folder.mkdir()
            format_.write(folder, encoded)
            with zipfile.ZipFile(path, "w") as archive:
                for file in sorted(folder.iterdir()):
                    archive.write(file, file.name)
            results = rates(
                {
                    "library": lambda f=format_, p=folder: by_library(f, p),
                    "podium": lambda f=format_, p=path: by_podium(f, p),
                },
                rounds=3,
            )
            (library, _), (podium, ratio) = results["library"], results["podium"]
            rows.append([name, f"{library:,.0f}", f"{podium:,.0f}", f"{ratio:.2f}"])
    table(["format: library", "library", "Podium", "ratio"], rows)


if __name__ == "__main__":
    main()
