"""What happens to faulty or unusual files, for each row of docs/layouts.md about it."""

import io
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import in_process
import layouts
import numpy as np
import py7zr
import pytest
from competitions import competition
from generated import pack
from PIL import Image
from ruamel.yaml import YAML

from podium.core import csvs
from podium.core.errors import UserError
from podium.images.store import ImageStore

Files = dict[str, bytes]
TRAIN = "train.csv"


@dataclass(frozen=True)
class Case:
    """A change of the plain competition, and what follows from it."""

    change: Callable[[Files], Files | bytes | None]
    """Edits the files, or returns others, or an archive."""
    error: str = ""
    """Part of the error; "": there is none."""
    printed: str = ""
    """Part of what is printed."""
    train: int = 36
    """Number of training images, if there is no error."""
    params: dict[str, Any] = field(default_factory=dict)
    """Changes of the section `prepare`."""
    options: Sequence[str] = ()
    """Of `make init`."""


def replace(old: bytes, new: bytes, name: str = TRAIN) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return change


def put(**new: bytes) -> Callable[[Files], None]:
    return lambda files: files.update(new)


def drop(name: str) -> Callable[[Files], None]:
    return lambda files: files.pop(name) and None


def decimal_commas(files: Files) -> None:
    values([f"{n // 5},{n % 5 * 25:02d}" for n in range(36)])(files)
    files[TRAIN] = files[TRAIN].replace(b",", b";", 1)
    files[TRAIN] = b"\n".join(line.replace(b",", b";", 1) for line in files[TRAIN].split(b"\n"))


def encrypted(files: Files) -> bytes:
    data = bytearray(pack(files))
    data[6] |= 1  # flags of the first local header, and of the first entry of the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def with_encrypted(name: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        with py7zr.SevenZipFile(buffer := io.BytesIO(), "w", password="secret") as archive:
            archive.writestr(b"x", "0003.png")
        is_zip = name.endswith(".zip")
        files[name] = encrypted({"0003.png": b"x"}) if is_zip else buffer.getvalue()

    return change


def bomb(_: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/0000.png", bytes(2**27))
    return buffer.getvalue()


def reencode(separator: str, encoding: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for name in (TRAIN, "test.csv", "sample_submission.csv"):
            files[name] = files[name].decode().replace(",", separator).encode(encoding)

    return change


def rename(pattern: str) -> Callable[[Files], Files]:
    """Give the images ids of another form."""

    def change(files: Files) -> Files:
        renamed = {}
        for name, data in files.items():
            folder, _, file = name.rpartition("/")
            if folder:
                renamed[f"{folder}/{pattern.format(file)}"] = data
            else:
                head, *rows = data.decode().splitlines()
                lines = [head, *(pattern.format(row) for row in rows)]
                renamed[name] = "\n".join(lines).encode()
        return renamed

    return change


def values(column: Sequence[object]) -> Callable[[Files], None]:
    """Other labels in the training table, and a fraction in the sample submission."""

    def change(files: Files) -> None:
        rows = [f"{n:04d},{value}" for n, value in enumerate(column)]
        files[TRAIN] = "\n".join(["id,label", *rows]).encode()
        files["sample_submission.csv"] = files["sample_submission.csv"].replace(b"circle", b"0.5")

    return change


def animated() -> bytes:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def with_gif(files: Files) -> None:
    del files["train/0000.png"]
    files["train/0000.gif"] = animated()


def with_suffixes(suffix: str) -> Callable[[Files], Files]:
    return lambda files: {
        f"{name.removesuffix('.png')}{suffix}" if name.endswith("5.png") else name: data
        for name, data in files.items()
    }


def with_link(files: Files) -> bytes:
    link = zipfile.ZipInfo("train/0003.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(link if name == link.filename else name, data)
    return buffer.getvalue()


class GbkInfo(zipfile.ZipInfo):
    """An entry whose name is written as old Chinese programs do."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
        return self.filename.encode("gbk"), self.flag_bits


def with_gbk_names(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in rename("图片{}")(files).items():
            archive.writestr(GbkInfo(name), data)
    return buffer.getvalue()


def with_orientation(orientation: int) -> Callable[[Files], None]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(buffer, "PNG", exif=exif)
    return put(**{"train/0003.png": buffer.getvalue()})


WHOLE = competition()["train/0003.png"]
CASES: dict[str, list[Case]] = {
    "A damaged or encrypted zip, a zip bomb, a path outside the archive's folder": [
        Case(lambda files: pack(files)[:5000], "made.zip"),
        Case(lambda _: b"<html>404</html>", "made.zip"),
        Case(encrypted, "encrypted"),
        Case(bomb, "train/0000.png (130,460 bytes"),
        Case(put(**{"../evil.png": b"x"}), "../evil.png"),
    ],
    "An encrypted archive inside the zip": [
        Case(with_encrypted("more.7z"), printed="not usable: more.7z in"),
        Case(with_encrypted("train.zip"), "Not read: train.zip in", params={"train_images": "x"}),
    ],
    "Other archives (`.rar`, `.zst`)": [
        Case(put(**{"extra.rar": b"x"}), printed="not usable: extra.rar"),
        Case(put(**{"extra.tar.zst": b"x"}), printed="not usable: extra.tar.zst"),
    ],
    "Other files (`.mat`, `.nii`)": [
        Case(put(**{"a.mat": b"x", "b.nii": b"x"}), printed="ignored: 1 .mat, 1 .nii"),
    ],
    "Images with an unusual suffix (`.jfif`, `.dat`) or none": [
        *(Case(with_suffixes(suffix)) for suffix in (".jfif", ".dat", "")),
    ],
    "Hidden files and folders (`.DS_Store`, `.ipynb_checkpoints`), `__MACOSX`, `Thumbs.db`": [
        Case(put(**{f"train/{folder}/0003.png": WHOLE, f"test/{folder}/0040.png": WHOLE}))
        for folder in (".ipynb_checkpoints", "__MACOSX", "@eaDir")
    ],
    "A symbolic link in a zip, without its file": [Case(with_link, "1 symbolic link")],
    "File names in a zip that are not UTF-8 (GBK, Big5, Shift JIS, EUC-KR, cp866, cp437)": [
        Case(with_gbk_names),
    ],
    "CSV with `;`, tabs or `|`; UTF-8 with byte order mark, UTF-16": [
        *(Case(reencode(separator, "utf-8-sig")) for separator in ",;\t|"),
        Case(reencode(";", "utf-16")),
    ],
    "CSV in another encoding, or with a row of too many fields": [
        Case(replace(b"circle", b"circl\xe9"), "train.csv"),
        Case(replace(b"0001,square", b"0001,square,x"), "row 3"),
    ],
    "An empty table, or one without a header": [
        Case(put(**{TRAIN: b"id,label\n"}), "train.csv"),
        Case(put(**{TRAIN: b""}), "train.csv"),
        Case(replace(b"id,label\n", b""), "no header"),
    ],
    "A test table or sample submission with only a header": [
        Case(put(**{"test.csv": b"id\n"}), printed="test.csv has no rows"),
        Case(put(**{"sample_submission.csv": b"id,label\n"}), printed="submission.csv has no rows"),
    ],
    "Numbers with decimal commas, in a CSV with `;`": [
        Case(decimal_commas, printed="36 training images, 9 test images"),
    ],
    "Labels that are numbers with decimal commas, separators of thousands or a unit (`125,5`, "
    "`1,250`, `12.5 %`, `$990`)": [
        Case(values([f'"{n // 5},{n % 5 * 25:02d}"' for n in range(36)]), printed="read as 0.00"),
        Case(values([f'"{300 * n:,}"' for n in range(36)]), printed="'1,200' are read as 1200"),
        Case(values([f"{1.5 * n} %" for n in range(36)]), printed="'0.0 %' are read as 0.0"),
        Case(values([f"${110 * n}" for n in range(36)]), printed="'$0' are read as 0"),
        Case(values([f'"1,{n + 100}"' for n in range(36)]), "may be decimal or separate thousands"),
    ],
    "Ids with spaces, non-ASCII letters, leading zeros or slashes": [
        Case(rename("an id {}")),
        Case(rename("Bild-ü{}")),
        Case(rename("00{}")),
        Case(rename("a/b/{}")),
    ],
    "The same row twice": [
        Case(replace(b"0001,square", b"0001,square\n0001,square"), printed="warning: train.csv"),
    ],
    "An id with different labels": [
        Case(replace(b"0001,square", b"0001,square\n0001,circle"), "0001"),
        Case(
            lambda _: {
                **(files := dict(layouts.several_labels("|").files)),
                TRAIN: files[TRAIN].replace(b"0001,", b"0000,stripes\n0001,"),
            }
        ),
    ],
    "A missing label, or a label that is not a number for `task: regression`": [
        Case(replace(b"0001,square", b"0001,"), "0001"),
        Case(values([*np.arange(35) / 8, "nan"]), "0035", params={"task": "regression"}),
    ],
    "All labels the same": [Case(values(["a"] * 36), "label")],
    "Labels that differ in case or whitespace only": [
        Case(replace(b"0001,square", b"0001, Square"), printed="prepare.label_variants"),
    ],
    "A class with fewer images than folds": [
        Case(replace(b"0001,square", b"0001,cat"), printed="cat (1)"),
    ],
    "A missing training image": [
        Case(drop("train/0003.png"), printed="prepare.on_bad_image", train=35),
    ],
    "A missing test image": [
        Case(drop("test/0040.png"), "prepare.on_bad_image: blank"),
        Case(drop("test/0040.png"), '--on-bad-image VALUE"'),
        Case(drop("test/0040.png"), options=("--on-bad-image", "blank")),
    ],
    "A truncated or empty image, or a file that is not an image": [
        *(Case(put(**{"train/0003.png": data}), "0003") for data in (WHOLE[:200], b"", b"text")),
        Case(put(**{"train/0003.png": b""}), train=35, params={"on_bad_image": "skip"}),
        Case(put(**{"test/0040.png": b""}), "0040", params={"on_bad_image": "skip"}),
        Case(put(**{"test/0040.png": b""}), params={"on_bad_image": "blank"}),
        Case(put(**{"test/0040.png": b""}), options=("--on-bad-image", "blank")),
    ],
    "An animated image": [Case(with_gif)],
    "A rotated or mirrored image (EXIF or XMP orientation)": [
        Case(with_orientation(orientation)) for orientation in (6, 9)
    ],
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("faulty"))
        patch.setenv("PODIUM_WORKERS", "1")
        yield


def run(case: Case) -> str:
    """What is printed from the files to the folds."""
    files = competition()
    changed = case.change(files) or files
    archive = changed if isinstance(changed, bytes) else pack(changed)
    printed = in_process.init_project(archive, *case.options)
    params = YAML(typ="safe").load(Path("params.yaml"))
    for key, value in case.params.items():
        (params if key in params else params["prepare"])[key] = value
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe").dump(params, file)
    return printed + in_process.prepare_project()


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{row} {n}") for row, cases in CASES.items()
             for n, case in enumerate(cases)]
)  # fmt: skip
def test_faulty_input_is_one_error_or_handled(case: Case) -> None:
    if case.error:
        with pytest.raises(UserError) as error:
            run(case)
        assert case.error in str(error.value)
        assert not Path("data/images").exists()
        return
    assert case.printed in run(case)
    train, test = (csvs.read(Path(f"data/{part}.csv"))["id"].tolist() for part in ("train", "test"))
    assert len(train) == case.train and len(test) == 9
    assert len(ImageStore(Path("data/images/train"))) == case.train


def test_an_animated_image_is_its_first_frame() -> None:
    run(Case(with_gif))
    red, _, blue = ImageStore(Path("data/images/train")).decode("0000")[8, 8]
    assert red > 200 and blue < 50
