"""The same small competition in each file format, written by the format's own library."""

import bz2
import datetime
import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bson
import channel_kinds
import h5py
import numpy as np
import pandas as pd
import py7zr
import pydicom
import tfrecord
import tifffile
from competitions import CLASSES, competition, csv, encode, npy, picture, tables
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

TRAIN, TEST = 36, 9
Files = dict[str, bytes]
Images = dict[str, np.ndarray]
Pictures = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Kind:
    """A competition's files, and the pixels that must be stored."""

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


def npz(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, image=array)
    return file.getvalue()


def tiff(pixels: np.ndarray) -> bytes:
    """Written by tifffile."""
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
    """Slides; one of their sizes has the expected pixels."""
    kind = one_file_each(slide, ".tiff")
    four = np.ones((4, 4, 1), np.uint8)
    large = {
        p: {i: np.kron(v, four) for i, v in images.items()} for p, images in kind.pixels.items()
    }
    return Kind(kind.files, large)


def hdf5(
    content: Callable[[h5py.File, dict[str, np.ndarray]], None], *, color: bool = True
) -> Kind:
    """train-image.hdf5 and test-image.hdf5, written by h5py."""
    pixels, files = pictures(color=color), csvs()
    for part, images in pixels.items():
        file = io.BytesIO()
        with h5py.File(file, "w") as opened:
            content(opened, images)
        files[f"{part}-image.hdf5"] = file.getvalue()
    return Kind(files, pixels)


def encoded_by_key(file: h5py.File, images: Images) -> None:
    """As in ISIC 2024: a dataset of bytes per image."""
    for image, pixels in images.items():
        file[image] = np.void(encode(pixels))


def bytes_by_key(file: h5py.File, images: Images) -> None:
    """Bytes as arrays, in a group."""
    for image, pixels in images.items():
        file[f"images/{image}"] = np.frombuffer(encode(pixels), np.uint8)


def pixels_by_key(file: h5py.File, images: Images) -> None:
    """A dataset of pixels per image."""
    for image, pixels in images.items():
        file.create_dataset(image, data=pixels, compression="gzip")


def one_data_set(file: h5py.File, images: Images) -> None:
    """All images in one dataset, their ids in another."""
    file["images"] = np.stack([*images.values()])
    file["ids"] = [*range(len(images))]
    file["image_id"] = [*images]


def labeled_stack() -> Kind:
    """Images and labels in HDF5 files, no training table; the ids are numbers from 0."""
    pixels = pictures()
    known, hidden = tables(TRAIN, TEST)
    files = {"sample_submission.csv": csv(pd.DataFrame({"id": range(TEST), "label": CLASSES[0]}))}
    for part, table in (("train", known), ("test", hidden)):
        with h5py.File(file := io.BytesIO(), "w") as opened:
            opened["images"] = np.stack([*pixels[part].values()])
            if part == "train":
                opened["label"] = table["label"].tolist()
        files[f"{part}.h5"] = file.getvalue()
    return Kind(files, pixels)


def tfrecords(*, labeled: bool) -> Kind:
    """Shards of 20 images, as tfrecord writes them; with `labeled`, the labels are only there."""
    pixels, files = pictures(), csvs()
    known, hidden = tables(TRAIN, TEST)
    for part, table in (("train", known), ("test", hidden)):
        for shard, rows in table.groupby(table.index // 20):
            with tempfile.TemporaryDirectory() as folder:
                name = f"{shard:02d}-32x40-{len(rows)}.tfrec"
                writer = tfrecord.TFRecordWriter(f"{folder}/{name}")
                for image, label in rows.to_numpy():
                    example = {"id": (image.encode(), "byte")}
                    if labeled and part == "train":
                        example["class"] = (label.encode(), "byte")
                        example["weight"] = ([0.5, 1.5], "float")
                    example["image"] = (encode(pixels[part][image]), "byte")
                    writer.write({**example, "size": (40, "int")})
                writer.close()
                path = f"{part}/{name}" if labeled else f"records/{part}{name}"
                files[path] = Path(folder, name).read_bytes()
    if labeled:
        del files["train.csv"], files["test.csv"]
        files["sample_submission.csv"] = csv(hidden.rename(columns={"label": "class"}))
    return Kind(files, pixels)


def gzip_tfrecords() -> Kind:
    """TFRecords that are compressed within."""
    kind = tfrecords(labeled=True)
    files = {n: gzip.compress(d) if n.endswith(".tfrec") else d for n, d in kind.files.items()}
    return Kind(files, kind.pixels)


def documents(pictures_each: int = 1) -> Kind:
    """As in the Cdiscount challenge: BSON documents with images, written by pymongo."""
    pixels, files = pictures(), {}
    known, hidden = tables(TRAIN, TEST)
    for part, table in (("train", known), ("test", hidden)):
        made = b""
        for image, label in table.to_numpy():
            pictures_of = [{"picture": encode(pixels[part][image])}] * pictures_each
            document = {"_id": int(image), "imgs": pictures_of, "price": 1.5, "seen": None}
            if part == "train":
                document["category_id"] = label
            made += bson.BSON.encode({**document, "at": datetime.datetime(2026, 1, 1)})
        files[f"{part}.bson"] = made
    sample = hidden.assign(id=hidden["id"].astype(int)).set_axis(["_id", "category_id"], axis=1)
    return Kind({**files, "sample_submission.csv": csv(sample)}, pixels)


def parquet(table: pd.DataFrame, **options: int) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False, **options)
    return file.getvalue()


def pixel_columns(*, parts: int, labeled: bool) -> Kind:
    """A column per pixel; with `labeled`, of images and labels of square images, else in several
    parts.
    """
    pixels, files = pictures(color=False), csvs()
    known, hidden = tables(TRAIN, TEST)
    for part, table in (("train", known), ("test", hidden)):
        if labeled:
            pixels[part] = {name: values[:32] for name, values in pixels[part].items()}
        values = np.stack([image.ravel() for image in pixels[part].values()])
        columns = pd.DataFrame(values, columns=[f"{n}" for n in range(values.shape[1])])
        columns.insert(0, "image_id", table["id"])
        if labeled:
            columns["image_id"] = table["id"].to_numpy()
            if part == "train":
                columns["label"] = table["label"]
            files[f"{part}.parquet"] = parquet(columns.astype({"7": "int64"}), row_group_size=10)
            files.pop(f"{part}.csv")
            continue
        columns["image_id"] = table["id"].to_numpy()
        for number in range(parts):
            files[f"{part}_image_data_{number}.parquet"] = parquet(columns[number::parts])
    return Kind(files, pixels)


def encoded_column() -> Kind:
    """Encoded images in a column of structures, next to the labels, as in Hugging Face's sets."""
    pixels, files = pictures(), csvs()
    for part, table in zip(("train", "test"), tables(TRAIN, TEST), strict=True):
        images = [{"bytes": encode(p), "path": None} for p in pixels[part].values()]
        kept = table if part == "train" else table[["id"]]
        content = kept.assign(image=images)
        files[f"{part}-00000-of-00001.parquet"] = parquet(content, row_group_size=7)
        del files[f"{part}.csv"]
    return Kind(files, pixels)


def parquet_tables() -> Kind:
    """Tables in Parquet, images in files."""
    pixels, files = pictures(), {}
    known, hidden = tables(TRAIN, TEST)
    files = {
        "train.parquet": parquet(known.assign(label=known["label"].astype("category"))),
        "test.parquet": parquet(hidden[["id"]]),
        "sample_submission.parquet": parquet(hidden.assign(label=CLASSES[0])),
    }
    for part, images in pixels.items():
        files |= {f"{part}/{image}.png": encode(p) for image, p in images.items()}
    return Kind(files, pixels)


def json_bands(bands: int = 1) -> Kind:
    """As in the iceberg challenge: lists of pixels in JSON."""
    pixels = {
        part: {name: values[:32] for name, values in images.items()}
        for part, images in pictures(color=False).items()
    }
    known, hidden = tables(TRAIN, TEST)
    files = {"sample_submission.csv": csv(hidden.assign(label=CLASSES[0]))}
    for part, table in (("train", known), ("test", hidden)):
        records = [
            {
                "id": image,
                **{f"band_{n}": pixels[part][image].ravel().tolist() for n in range(bands)},
                "inc_angle": 43.9,
                **({"label": label} if part == "train" else {}),
            }
            for image, label in table.to_numpy()
        ]
        files[f"{part}.json"] = json.dumps(records).encode()
    return Kind(files, pixels)


def in_archives(pack: Callable[[Files, str], Files], *, suffixes: tuple[str, str]) -> Kind:
    """The folders train/ and test/ as an archive each."""
    kind = one_file_each(encode, ".png")
    files = {name: data for name, data in kind.files.items() if "/" not in name}
    for part, suffix in zip(("train", "test"), suffixes, strict=True):
        inside = {n.partition("/")[2]: d for n, d in kind.files.items() if n.startswith(f"{part}/")}
        files |= pack(inside, part + suffix)
    return Kind(files, kind.pixels)


def seven_zip(files: Files, name: str) -> Files:
    """Written by py7zr."""
    with py7zr.SevenZipFile(target := io.BytesIO(), "w") as archive:
        for path, data in files.items():
            archive.writestr(data, path)
    return {name: target.getvalue()}


def tar(files: Files, name: str) -> Files:
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode.get(Path(name).suffix, "w")) as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(f"./{path}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return {name: target.getvalue()}


def in_parts(files: Files, name: str) -> Files:
    """A zip or 7z archive, split into three parts."""
    if name.endswith(".7z"):
        data = seven_zip(files, name)[name]
    else:
        with zipfile.ZipFile(target := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        data = target.getvalue()
    size = len(data) // 3 + 1
    return {f"{name}.{n + 1:03d}": data[n * size : (n + 1) * size] for n in range(3)}


def compressed_tables() -> Kind:
    """train.tsv.gz, test.csv.bz2 and sample_submission.csv.zip."""
    kind = one_file_each(encode, ".png")
    files = {name: data for name, data in kind.files.items() if "/" in name}
    tables = csvs()
    files["train.tsv.gz"] = gzip.compress(tables["train.csv"].replace(b",", b"\t"))
    files["test.csv.bz2"] = bz2.compress(tables["test.csv"])
    with zipfile.ZipFile(target := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sample_submission.csv", tables["sample_submission.csv"])
    files["sample_submission.csv.zip"] = target.getvalue()
    return Kind(files, kind.pixels)


def with_channels(name: str) -> Kind:
    """Images with other than three channels."""
    return Kind(*channel_kinds.files(name))


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
    "hdf5_encoded": partial(hdf5, encoded_by_key),
    "hdf5_bytes": partial(hdf5, bytes_by_key),
    "hdf5_pixels": partial(hdf5, pixels_by_key),
    "hdf5_gray": partial(hdf5, pixels_by_key, color=False),
    "hdf5_one": partial(hdf5, one_data_set),
    "hdf5_labeled": labeled_stack,
    "tfrecords": partial(tfrecords, labeled=False),
    "tfrecords_labeled": partial(tfrecords, labeled=True),
    "tfrecords_gzip": gzip_tfrecords,
    "parquet_pixels": partial(pixel_columns, parts=3, labeled=False),
    "parquet_labeled": partial(pixel_columns, parts=1, labeled=True),
    "parquet_encoded": encoded_column,
    "parquet_tables": parquet_tables,
    "json": json_bands,
    "bson": documents,
    "seven_zip": partial(in_archives, seven_zip, suffixes=(".7z", ".7z")),
    "tar": partial(in_archives, tar, suffixes=(".tar.gz", ".tar")),
    "tar_others": partial(in_archives, tar, suffixes=(".tar.bz2", ".tgz")),
    "parts": partial(in_archives, in_parts, suffixes=(".zip", ".7z")),
    "compressed_tables": compressed_tables,
    **{name: partial(with_channels, name) for name in channel_kinds.KINDS},
}
DOCUMENTED: dict[str, tuple[str, ...]] = {
    "DICOM images (`.dcm`), uncompressed or as JPEG, lossless JPEG, JPEG-LS, JPEG 2000 or RLE": (
        "dicom",
        "dicom_wide",
    ),
    "TIFF and PNG files of 16 or 32 bits, float TIFF files": ("tiff_16", "tiff_float", "png_16"),
    "NumPy arrays (`.npy`, `.npz` with one array), channels first or last": (
        "npy",
        "npy_float",
        "npz",
        "npy_2",
        "npy_6_first",
    ),
    "TIFF files with 2 or more than 3 channels, as samples, planes or pages; PNG files of "
    "RGBA whose fourth channel is not transparency": (
        "png_4",
        "tiff_4",
        "planar_tiff_5",
        "paged_tiff_5",
    ),
    "Slides and maps: TIFF files with an image in several sizes": ("slides",),
    "HDF5: a dataset per image (encoded or pixels), or one dataset of all images": (
        "hdf5_encoded",
        "hdf5_bytes",
        "hdf5_pixels",
        "hdf5_gray",
        "hdf5_one",
        "hdf5_labeled",
    ),
    "TFRecords of `tf.train.Example` with encoded images": (
        "tfrecords",
        "tfrecords_labeled",
        "tfrecords_gzip",
    ),
    "Parquet with a column per pixel, or a column of encoded images": (
        "parquet_pixels",
        "parquet_labeled",
        "parquet_encoded",
    ),
    "JSON: a list of objects with a list of pixels": ("json",),
    "BSON: a document with images per row": ("bson",),
    "Tables in Parquet": ("parquet_tables",),
    "Archives inside the zip, or instead of it: zip, 7z, tar, tar.gz, tar.bz2, tar.xz": (
        "seven_zip",
        "tar",
        "tar_others",
    ),
    "Archives in parts: `train.zip.001`, `train.zip.002`, `train.7z.001`, …": ("parts",),
    "Compressed tables: `.csv.gz`, `.tsv.gz`, `.csv.bz2`, `.csv.zip`": ("compressed_tables",),
}
