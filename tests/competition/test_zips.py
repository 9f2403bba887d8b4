"""Archives in archives, names made on other systems, and malicious archives."""

import io
import os
import stat
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import competitions
import numpy as np
import pytest
from conftest import Project

from podium.competition import source, zips
from podium.competition.archive import Archive
from podium.competition.contents import Contents
from podium.competition.folder import Folder
from podium.core.errors import UserError
from podium.dataset.image_files import find_images, image_names, images_below

INNER = {"1.jpg": b"first" * 50, "b/2.jpg": b"second" * 50}
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def packed(files: Mapping[str, bytes], compression: int = STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as output:
        for name, data in files.items():
            output.writestr(name, data)
    return buffer.getvalue()


def write(path: Path, files: Mapping[str, bytes], compression: int = STORED) -> Path:
    path.write_bytes(packed(files, compression))
    return path


@pytest.mark.parametrize("outer", [STORED, DEFLATED])
@pytest.mark.parametrize("inner", [STORED, DEFLATED])
def test_an_archive_in_the_archive_is_a_folder(tmp_path: Path, outer: int, inner: int) -> None:
    files = {"train.csv": b"id\n", "data/train.zip": packed(INNER, inner)}
    opened = Archive(write(tmp_path / "files.zip", files, outer), tmp_path / "scratch")
    assert opened.names == ["train.csv", "data/train/1.jpg", "data/train/b/2.jpg"]
    assert opened.read("data/train/b/2.jpg") == INNER["b/2.jpg"]
    with opened.open("data/train/1.jpg") as file:
        assert file.read(7) == INNER["1.jpg"][:7]


def test_a_table_in_an_archive_of_its_name_is_found(tmp_path: Path) -> None:
    files = {"train.csv.zip": packed({"train.csv": b"id,label\n1,a\n"}, DEFLATED)}
    opened = Archive(write(tmp_path / "files.zip", files))
    assert opened.find("train.csv") == "train.csv/train.csv"
    assert opened.read_csv("train.csv")["label"].tolist() == ["a"]


def test_a_compressed_archive_is_unpacked_once_for_all_who_open_it(tmp_path: Path) -> None:
    path = write(tmp_path / "files.zip", {"train.zip": packed(INNER)}, DEFLATED)
    scratch = tmp_path / "scratch"
    assert Archive(path, scratch).unpacked
    (unpacked,) = scratch.iterdir()
    os.utime(unpacked, (1e9, 1e9))
    assert Archive(path, scratch).read("train/1.jpg") == INNER["1.jpg"]
    assert [*scratch.iterdir()] == [unpacked] and unpacked.stat().st_mtime == 1e9


def test_a_stored_archive_takes_no_room(tmp_path: Path) -> None:
    path = write(tmp_path / "files.zip", {"train.zip": packed(INNER)})
    assert not Archive(path, tmp_path / "scratch").unpacked
    assert not (tmp_path / "scratch").exists()


def test_a_folder_of_the_archives_own_goes_with_it(tmp_path: Path) -> None:
    opened = Archive(write(tmp_path / "files.zip", {"train.zip": packed(INNER)}, DEFLATED))
    scratch = opened.scratch
    assert scratch.is_dir()
    del opened
    assert not scratch.exists()


def test_what_lies_there_unpacked_goes_before_what_is_in_an_archive(tmp_path: Path) -> None:
    files = {"train.zip": packed({"1.jpg": b"inner", "2.jpg": b"inner"}), "train/1.jpg": b"outer"}
    opened = Archive(write(tmp_path / "files.zip", files))
    assert sorted(opened.names) == ["train/1.jpg", "train/2.jpg"]
    assert opened.read("train/1.jpg") == b"outer"


def test_a_bomb_in_an_archive_in_an_archive_is_an_error(tmp_path: Path) -> None:
    bomb = packed({"zeros": bytes(zips.MAX_UNCHECKED_BYTES + 1)}, DEFLATED)
    files = {"a.zip": packed({"b.zip": bomb, "1.jpg": b""})}
    with pytest.raises(UserError, match=r"a/b\.zip in .*files\.zip is not safe to unpack"):
        Archive(write(tmp_path / "files.zip", files))


@pytest.mark.parametrize("compression", [STORED, DEFLATED])
def test_the_error_names_the_broken_archive_in_the_archive(
    tmp_path: Path, compression: int
) -> None:
    path = write(tmp_path / "files.zip", {"train.zip": packed(INNER)[:-30]}, compression)
    with pytest.raises(UserError, match=r"train\.zip in .*files\.zip is not a readable zip"):
        Archive(path)


def test_the_error_names_the_damaged_file_of_an_archive_in_the_archive(tmp_path: Path) -> None:
    data = bytearray(packed({"train.zip": packed(INNER)}))
    data[data.index(b"second")] ^= 0xFF
    (tmp_path / "files.zip").write_bytes(data)
    opened = Archive(tmp_path / "files.zip")
    with pytest.raises(UserError, match=r"cannot read train/b/2\.jpg in .*: Bad CRC"):
        opened.read("train/b/2.jpg")
    assert opened.read("train/1.jpg") == INNER["1.jpg"]


def test_going_to_a_place_of_a_part_of_a_file_reads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    part = source.FileSlice(path, 50, 100)
    assert part.read() == bytes(range(50, 150))
    assert part.seek(-3, io.SEEK_END) == 97 and part.read(10) == bytes([147, 148, 149])
    assert part.seek(500) == 500 and part.read(1) == b""
    assert part.seek(2) == 2 and part.seek(1, io.SEEK_CUR) == 3 and part.read(1) == bytes([53])
    with pytest.raises(OSError, match="seek to an invalid position"):
        part.seek(-1)


def test_reading_the_last_of_many_images_takes_as_long_as_the_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = {f"{number}.jpg": rng.bytes(50_000) for number in range(1000)}
    path = write(tmp_path / "files.zip", {"train.zip": packed(files)})
    opened = Archive(path)

    def seconds(name: str) -> float:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            assert opened.read(name) == files[name.removeprefix("train/")]
            times.append(time.perf_counter() - start)
        return min(times)

    # To read through 50 MB takes 10 ms and more, one image some 0.1.
    assert seconds("train/999.jpg") < 10 * seconds("train/0.jpg") < 0.1


@pytest.mark.parametrize(
    "name",
    ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png", "c:evil.png",
     "\\\\server\\evil.png", "a/.."],
)  # fmt: skip
@pytest.mark.parametrize("deep", [False, True])
def test_an_entry_outside_the_folder_is_an_error_with_its_name(
    tmp_path: Path, name: str, deep: bool
) -> None:
    files = {"train/1.jpg": b"", name: b"evil"}
    path = write(tmp_path / "files.zip", {"train.zip": packed(files)} if deep else files)
    with pytest.raises(UserError) as caught:
        Archive(path)
    assert f"1 of 2 entries with paths outside its folder ({name})" in str(caught.value)
    assert ("train.zip in " in str(caught.value)) == deep


@pytest.mark.parametrize("name", ["a..b/c.png", "..a/b.png", "a/b..", "a:b/c.png"[1:], "...png"])
def test_dots_within_a_name_lead_nowhere(tmp_path: Path, name: str) -> None:
    assert Archive(write(tmp_path / "files.zip", {name: b""})).names == [name]


@pytest.mark.parametrize("deep", [False, True])
def test_a_bomb_is_an_error_with_its_sizes_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deep: bool
) -> None:
    zeros = bytes(zips.MAX_UNCHECKED_BYTES + 1)
    files = {"1.jpg": b"", "zeros.png": zeros}
    inner = {"train.zip": packed(files, DEFLATED)}
    path = write(tmp_path / "files.zip", inner if deep else files, STORED if deep else DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "open", pytest.fail)
    with pytest.raises(UserError, match=r"zeros\.png \([\d,]+ bytes, unpacked 67,108,865\)"):
        Archive(path)


def test_an_archive_that_unpacks_to_an_archive_of_zeros_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "files.zip", {"a.zip": bytes(zips.MAX_UNCHECKED_BYTES + 1)}, DEFLATED)
    with pytest.raises(UserError, match=r"a\.zip \([\d,]+ bytes, unpacked"):
        Archive(path, tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()


def test_entries_that_share_their_bytes_are_an_error(tmp_path: Path) -> None:
    """None of them is a bomb alone, but all of them together are."""
    single = packed({"a": np.random.default_rng(0).bytes(2000) + bytes(200_000)}, DEFLATED)
    start, end = single.index(b"PK\x01\x02"), single.index(b"PK\x05\x06")
    count = 60_000
    tail = bytearray(single[end:])
    tail[8:10] = tail[10:12] = count.to_bytes(2, "little")
    tail[12:16] = (count * (end - start)).to_bytes(4, "little")
    entries = [single[start : end - 1] + b"%c" % (97 + number % 26) for number in range(count)]
    (tmp_path / "files.zip").write_bytes(single[:start] + b"".join(entries) + tail)
    with pytest.raises(UserError, match=r"all of them \([\d,]+ bytes, unpacked"):
        Archive(tmp_path / "files.zip")


@pytest.mark.slow
def test_a_large_compressible_file_is_not_a_bomb(tmp_path: Path) -> None:
    text = b"id,label\n" + b"".join(b"%d,cat\n" % number for number in range(7_000_000))
    assert len(text) > zips.MAX_UNCHECKED_BYTES
    path = write(tmp_path / "files.zip", {"train.csv": text}, DEFLATED)
    assert Archive(path).names == ["train.csv"]


def test_encrypted_entries_are_an_error_with_advice(tmp_path: Path) -> None:
    data = bytearray(packed(INNER))
    data[6] |= 1  # the flags of the local header and of the directory's entry
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path = tmp_path / "files.zip"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"1 of 2 entries is encrypted \(1\.jpg\)\."):
        Archive(path)
    path.write_bytes(packed({"train.zip": bytes(data), "a.csv": b"id"}))
    opened = Archive(path)
    assert opened.names == ["a.csv"] and "1 of 2 entries is encrypted" in opened.skipped[0]


def test_names_made_on_windows_have_folders(tmp_path: Path) -> None:
    files = {"train\\cats\\1.jpg": b"cat", "train\\": b""}
    opened = Archive(write(tmp_path / "files.zip", files))
    assert opened.names == ["train/cats/1.jpg"]
    assert opened.read("train/cats/1.jpg") == b"cat"


def test_names_in_utf_8_that_are_not_called_so_are_read_as_such(tmp_path: Path) -> None:
    """As macOS packs them."""
    data = bytearray(packed({"é.jpg": b"data"}))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags + 1] &= ~0x08
    (tmp_path / "files.zip").write_bytes(data)
    opened = Archive(tmp_path / "files.zip")
    assert opened.names == ["é.jpg"] and opened.read("é.jpg") == b"data"


HIDDEN = [
    *("__MACOSX/a/._1.jpg", "a/._1.jpg", "a/.1.jpg", ".DS_Store", "a/Thumbs.db", "a/desktop.ini"),
    *("a/.ipynb_checkpoints/1-checkpoint.jpg", ".git/1.jpg", "a/@eaDir/1.jpg", "__macosx/1.jpg"),
]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    files = dict.fromkeys((*HIDDEN, "a/1.jpg"), b"")
    kept = ["a/1.jpg"]
    assert Archive(write(tmp_path / "files.zip", files)).names == kept
    inner = {"train.zip": packed(files)}
    assert Archive(write(tmp_path / "files.zip", inner)).names == ["train/a/1.jpg"]
    for name, data in files.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert Folder(tmp_path / "folder").names == kept


def test_a_path_may_start_at_a_dot(tmp_path: Path) -> None:
    opened = Archive(write(tmp_path / "files.zip", {"./train/1.jpg": b"data"}))
    assert opened.names == ["./train/1.jpg"] and opened.read("./train/1.jpg") == b"data"


def test_symbolic_links_without_their_files_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("train/bird")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as output:
        output.writestr("train/cat/1.jpg", b"")
        output.writestr(link, "../elsewhere/bird")
    with pytest.raises(UserError, match=r"1 symbolic link .*\(train/bird\)\. Repack"):
        Archive(tmp_path / "files.zip")


PICTURE = competitions.picture("circle", np.random.default_rng(0))
IMAGES = {
    "a": competitions.encode(PICTURE, "JPEG"),
    "b.PNG": b"damaged",
    "c.jfif": b"damaged",
    "d.txt": competitions.encode(PICTURE, "PNG"),
    "e.dat": competitions.encode(PICTURE, "WEBP"),
    "f.img": competitions.encode(PICTURE, "BMP"),
    "g.1": competitions.encode(PICTURE, "TIFF"),
    "h.x": competitions.encode(PICTURE, "GIF"),
    "i.pnm": competitions.encode(PICTURE, "PPM"),
}
NO_IMAGES = {
    **{"BMI.txt": b"BMI of 3 patients\n" * 9, "P3.txt": b"P3 is a patient\n", "none": b""},
    **{"train.csv": IMAGES["a"], "raw.dng": IMAGES["g.1"], "notes": b"text"},
}


@pytest.mark.parametrize("compression", [STORED, DEFLATED])
def test_images_are_known_by_their_first_bytes(tmp_path: Path, compression: int) -> None:
    path = write(tmp_path / "files.zip", IMAGES | NO_IMAGES, compression)
    assert image_names(Archive(path)) == [*IMAGES]
    with zipfile.ZipFile(path) as opened:
        opened.extractall(tmp_path / "folder")
    assert image_names(Folder(tmp_path / "folder")) == [*IMAGES]
    inner = write(tmp_path / "outer.zip", {"x.zip": path.read_bytes()}, compression)
    assert image_names(Archive(inner)) == [f"x/{name}" for name in IMAGES]


def test_images_with_known_suffixes_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"train/{number}.jpg" for number in range(9)]
    opened = Archive(write(tmp_path / "files.zip", dict.fromkeys([*names, "train.csv"], b"")))
    monkeypatch.delattr(Contents, "open")
    assert image_names(opened) == names


COMPOSED, APART = (
    "caf\u00e9",
    "cafe\u0301",
)  # with a composed character, and with a combining accent


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (COMPOSED, f"train/{APART}.jpg"),
        (APART, f"train/{COMPOSED}.jpg"),
        ("a b", "train/a b.jpg"),
        (" a ", "train/a.jpg"),
        ("007", "train/007.jpg"),
        ("cats\\1.jpg", "train/cats/1.jpg"),
        ("./train/1.jpg", "train/1.jpg"),
        ("日本.png", "train/日本.png"),
        ("\u202acats/1.jpg", "train/cats/1.jpg"),
        ("IMG_1.jpg", "train/img_1.JPG"),
        ("Cats/img_1", "train/cats/IMG_1.png"),
    ],
)
def test_ids_find_their_files(image: str, name: str) -> None:
    assert find_images([name, "train/other.jpg"], [image], folder="train") == [name]


def test_an_id_in_another_case_goes_after_the_exact_ones() -> None:
    names = ["train/a.jpg", "train/A.jpg"]
    assert find_images(names, ["A", "a"], folder="train") == names[::-1]
    with pytest.raises(UserError, match=r"1 image has several ids.*A, a"):
        find_images(names[:1], ["A", "a"], folder="train")


def test_leading_zeros_count() -> None:
    assert find_images(["train/7.jpg"], ["007"], folder="train") == [None]
    names = ["train/7.jpg", "train/007.jpg"]
    assert find_images(names, ["007", "7"], folder="train") == names[::-1]


def test_an_id_that_is_a_whole_path_goes_before_one_that_ends_alike() -> None:
    names = ["train/x/cats/1.jpg", "train/cats/1.jpg"]
    assert find_images(names, ["cats/1.jpg"], folder="train") == ["train/cats/1.jpg"]


def test_images_of_a_folder_have_their_paths_in_it_as_names() -> None:
    names = [
        "data/train/b/2.jpg",
        "data/train/a/1.jpg",
        "data/test/3.jpg",
    ]
    assert images_below(names, "train") == {
        "a/1.jpg": "data/train/a/1.jpg",
        "b/2.jpg": "data/train/b/2.jpg",
    }
    assert [*images_below(names, "data", exclude="data/test")] == ["train/a/1.jpg", "train/b/2.jpg"]
    assert [*images_below(names, "", exclude="train")] == ["data/test/3.jpg"]
    assert [*images_below(names, "test", exclude="")] == ["3.jpg"]


def test_a_folder_in_an_archive_of_its_name_is_that_archive() -> None:
    names = ["train/train/cats/1.jpg", "train/train/dogs/2.jpg"]
    assert [*images_below(names, "train")] == ["cats/1.jpg", "dogs/2.jpg"]
    names.append("train/cats/3.jpg")  # then one class is called train
    assert next(iter(images_below(names, "train"))) == "cats/3.jpg"


@pytest.mark.slow
@pytest.mark.parametrize("compression", [STORED, DEFLATED])
def test_a_competition_of_archives_is_prepared_as_one_of_folders(
    project: Project, compression: int
) -> None:
    files = competitions.competition()
    inner: dict[str, dict[str, bytes]] = {"train": {}, "test": {}}
    outer = {}
    for name, data in files.items():
        folder, _, rest = name.partition("/")
        if rest:
            inner[folder][rest] = data
        else:
            outer[name] = data
    for stage in ("fetch", "prepare"):
        assert project.stage(stage).returncode == 0
    expected = project.read("data/prepared.json"), project.read("data/images/train/00000.arrow")
    for name, entries in inner.items():
        outer[f"{name}.zip"] = packed(entries, compression)
    write(project.folder / "shapes.zip", outer, compression)
    for stage in ("fetch", "prepare"):
        done = project.stage(stage, PODIUM_WORKERS="2")
        assert done.returncode == 0, done.stdout
    assert expected == (
        project.read("data/prepared.json"),
        project.read("data/images/train/00000.arrow"),
    )
    assert not list((project.folder / "data").rglob("*.tmp"))
    assert sorted(path.name for path in (project.folder / "data/raw").iterdir()) == [
        "shapes.zip",
        "source.json",
    ]
