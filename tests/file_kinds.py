"""The same small competition in each kind of file, written by the format's own library."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pydicom
import tifffile
from competitions import competition, encode, picture, tables
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

TRAIN, TEST = 36, 9
Files = dict[str, bytes]
Pictures = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Kind:
    """A competition's files, and how its images must look when they are stored."""

    files: Files
    pixels: Pictures  # by "train" or "test", and id
    tolerance: int = 0  # of a pixel's values


def pictures(*, color: bool = True) -> Pictures:
    """uint8 [40, 32, 3], or [40, 32], by part and id; all values from 0 to 255 occur in each."""
    rng, made = np.random.default_rng(0), dict[str, dict[str, np.ndarray]]()
    for part, table in zip(("train", "test"), tables(TRAIN, TEST), strict=True):
        made[part] = {}
        for row in table.itertuples():
            pixels = picture(row.label, rng)
            pixels[0, :2] = [[0] * 3, [255] * 3]
            made[part][row.id] = pixels if color else pixels[..., 0]
    return made


def csvs() -> Files:
    """train.csv, test.csv and sample_submission.csv."""
    return {name: data for name, data in competition(TRAIN, TEST).items() if "/" not in name}


def one_file_each(
    encoded: Callable[[np.ndarray], bytes], suffix: str, *, color: bool = True, tolerance: int = 0
) -> Kind:
    """One file per image, in train/ and test/."""
    pixels = pictures(color=color)
    files = {
        f"{part}/{image}{suffix}": encoded(values)
        for part, images in pixels.items()
        for image, values in images.items()
    }
    return Kind({**csvs(), **files}, pixels, tolerance)


def dicom(pixels: np.ndarray, *, wide: bool = False) -> bytes:
    """A DICOM file: 8 bits, or `wide` ones with a window and JPEG 2000."""
    content = Dataset()
    content.file_meta = FileMetaDataset()
    content.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    content.SOPClassUID = content.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    content.SOPInstanceUID = content.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    content.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    content.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    content.PlanarConfiguration = 0
    content.Rows, content.Columns = pixels.shape[:2]
    content.BitsAllocated, content.BitsStored, content.HighBit = (16, 12, 11) if wide else (8, 8, 7)
    content.PixelRepresentation = 0
    values = pixels.astype(np.uint16) * 4 + 1000 if wide else pixels
    content.PixelData = values.tobytes()
    if wide:
        content.WindowCenter, content.WindowWidth = 1000 + 510.5, 1021
        content.compress(uid.RLELossless)
    file = io.BytesIO()
    pydicom.dcmwrite(file, content, enforce_file_format=True)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, image=array)
    return file.getvalue()


def tiff(pixels: np.ndarray) -> bytes:
    """As tifffile writes it."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb")
    return file.getvalue()


def slide(pixels: np.ndarray) -> bytes:
    """A TIFF file with an image in two sizes."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for sized in (np.kron(pixels, np.ones((4, 4, 1), np.uint8)), pixels):
            writer.write(sized, photometric="rgb", tile=(16, 16))
    return file.getvalue()


def small_slides() -> Kind:
    """Slides, a size of which has the pictures' pixels."""
    kind = one_file_each(slide, ".tiff")
    four = np.ones((4, 4, 1), np.uint8)
    large = {
        p: {i: np.kron(v, four) for i, v in images.items()} for p, images in kind.pixels.items()
    }
    return Kind(kind.files, large)


BUILDERS: dict[str, Callable[[], Kind]] = {
    "dicom": partial(one_file_each, dicom, ".dcm"),
    "dicom_wide": partial(one_file_each, partial(dicom, wide=True), ".dicom", color=False),
    "tiff_16": partial(one_file_each, lambda p: tiff(p.astype(np.uint16) * 90), ".tif"),
    "tiff_float": partial(one_file_each, lambda p: tiff(p.astype(np.float32) / 7 - 5), ".tiff"),
    "png_16": partial(
        one_file_each, lambda p: encode(p.astype(np.uint16) * 257), ".png", color=False
    ),
    "npy": partial(one_file_each, npy, ".npy"),
    "npy_float": partial(one_file_each, lambda p: npy(p.transpose(2, 0, 1) / 255), ".npy"),
    "npz": partial(one_file_each, npz, ".npz", color=False),
    "slides": small_slides,
}
DOCUMENTED: dict[str, tuple[str, ...]] = {
    "DICOM images (`.dcm`), also compressed: JPEG, lossless JPEG, JPEG-LS, JPEG 2000, RLE": (
        "dicom",
        "dicom_wide",
    ),
    "TIFF and PNG files of 16 or 32 bits, float TIFF files": ("tiff_16", "tiff_float", "png_16"),
    "NumPy arrays (`.npy`, `.npz` with one array) of 1, 3 or 4 channels, first or last": (
        "npy",
        "npy_float",
        "npz",
    ),
    "Slides and maps: TIFF files with several sizes of an image": ("slides",),
}
