"""7z and tar archives, compressed tables, and archives in parts are read as safely as zips."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import competitions
import file_kinds
import in_process
import numpy as np
import py7zr
import pytest

from podium.competition import fetch, packed, zips
from podium.competition.archive import Archive
from podium.competition.folder import Folder
from podium.competition.source import Source
from podium.config.competition import Competition
from podium.core.errors import UserError

FILES = {"a/1.png": b"one" * 99, "2.png": b"two", "a/ü.txt": b"", ".DS_Store": b"x"}
SEEN = {name: data for name, data in FILES.items() if name != ".DS_Store"}
Pack = Callable[[dict[str, bytes], str], dict[str, bytes]]
PACKERS: dict[str, Pack] = {
    ".7z": file_kinds.seven_zip,
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), file_kinds.tar),
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    return competitions.write_zip(folder / "files.zip", files)


def contents(opened: Archive) -> dict[str, bytes]:
    return {name: opened.read(name) for name in opened.names}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("is_folder", [False, True])
def test_an_archive_is_a_folder(tmp_path: Path, suffix: str, is_folder: bool) -> None:
    packed_files = {**PACKERS[suffix](FILES, f"x/train{suffix}"), "b.csv": b"id"}
    expected = {"b.csv": b"id", **{f"x/train/{name}": data for name, data in SEEN.items()}}
    if not is_folder:
        assert contents(Archive(write(tmp_path, packed_files))) == expected
        return
    for name, data in packed_files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert contents(Folder(tmp_path)) == expected


@pytest.mark.parametrize("suffix", [".zip", ".7z"])
def test_an_archive_in_parts_is_one(tmp_path: Path, suffix: str) -> None:
    parts = file_kinds.in_parts(FILES, f"train{suffix}")
    expected = {f"train/{name}": data for name, data in SEEN.items()}
    assert contents(Archive(write(tmp_path, parts))) == expected
    del parts[f"train{suffix}.002"]
    with pytest.raises(UserError, match=rf"train\{suffix} is split into parts, but parts 002 are"):
        Archive(write(tmp_path, parts))


def test_it_is_unpacked_once_for_all_processes(tmp_path: Path) -> None:
    path = write(tmp_path, file_kinds.tar(FILES, "train.tar.gz"))
    first = Archive(path, tmp_path / "scratch")
    assert first.unpacked
    before = {file: file.stat().st_ino for file in (tmp_path / "scratch").iterdir()}
    assert len(before) == 1
    assert contents(Archive(path, tmp_path / "scratch", title="other")) == contents(first)
    assert {file: file.stat().st_ino for file in (tmp_path / "scratch").iterdir()} == before


def test_a_compressed_table_is_in_the_folder_of_its_file(tmp_path: Path) -> None:
    files = {"x/train.csv.gz": gzip.compress(b"id,label\n1,a\n"), "x/a.gz": b"no table"}
    opened = Archive(write(tmp_path, files))
    assert set(opened.names) == {"x/train.csv", "x/a.gz"}
    assert opened.read_csv("train.csv").to_numpy().tolist() == [["1", "a"]]


def test_images_in_a_table_in_an_archive_are_found(tmp_path: Path) -> None:
    """As in the iceberg challenge."""
    kind = file_kinds.BUILDERS["json"]()
    inside = {"data/processed/train.json": kind.files["train.json"]}
    opened = Archive(write(tmp_path, file_kinds.seven_zip(inside, "train.json.7z")))
    folder = "train.json/data/processed"
    assert len(opened.read_csv(f"{folder}/train.csv")) == file_kinds.TRAIN
    image = np.load(io.BytesIO(opened.read(f"{folder}/train/0000.npy")))
    assert np.array_equal(image, kind.pixels["train"]["0000"])


def tar_with(**options: object) -> bytes:
    info = tarfile.TarInfo("a")
    for name, value in options.items():
        setattr(info, name, value)
    with tarfile.open(fileobj=(file := io.BytesIO()), mode="w:gz") as archive:
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    return file.getvalue()


def seven_zip_with_link(folder: Path) -> bytes:
    (folder / "target").write_bytes(b"x")
    (folder / "link").symlink_to("target")
    with py7zr.SevenZipFile(file := io.BytesIO(), "w") as archive:
        archive.write(folder / "target", "target")
        archive.write(folder / "link", "link")
    return file.getvalue()


def encrypted(*, names: bool = False) -> bytes:
    """A 7z archive with a password, which may be needed even for the names of its files."""
    options = {"password": "secret", "header_encryption": names}
    with py7zr.SevenZipFile(file := io.BytesIO(), "w", **options) as archive:
        archive.writestr(b"x", "a")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.tar.gz", tar_with(name="../evil"), r"not safe to unpack: .*outside its folder \(\.\./"),
        ("a.tar.gz", tar_with(name="/evil"), r"outside its folder \(/evil"),
        ("a.tar.gz", tar_with(name="a/../../evil"), r"outside its folder \(\.\./evil"),
        ("a.tar.gz", tar_with(type=tarfile.SYMTYPE, linkname="/etc/passwd"), "1 symbolic link"),
        ("a.tar.gz", tar_with(type=tarfile.LNKTYPE, linkname="/etc/passwd"), "1 symbolic link"),
        ("a.tar.gz", tar_with(type=tarfile.CHRTYPE), "1 symbolic link"),
        ("a.tar.gz", tar_with(size=10**6), "decompression bomb"),
        ("a.csv.gz", gzip.compress(bytes(10**6)), "decompression bomb"),
        ("a.7z", file_kinds.seven_zip({"a": bytes(10**6)}, "")[""], "decompression bomb"),
        ("a.7z", b"x" * 99, "not a readable archive"),
        ("a.tar", b"x" * 99, "not a readable archive"),
        ("a.csv.gz", b"x" * 99, "not a readable archive: Not a gzipped file"),
        ("a.csv.bz2", b"x" * 99, "not a readable archive"),
    ],
    ids=range(13),  # the data contain the time
)
def test_what_is_not_safe_or_damaged_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, message: str
) -> None:
    monkeypatch.setattr(zips, "MAX_UNCHECKED_BYTES", 100_000)
    path = write(tmp_path, {name: data})
    with pytest.raises(UserError, match=rf"{name} in .*{message}"):
        Archive(path, tmp_path / "scratch")
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file != path]


@pytest.mark.parametrize("names", [False, True])
def test_an_encrypted_archive_is_skipped(tmp_path: Path, *, names: bool) -> None:
    """As test_stg2.7z in the-nature-conservancy-fisheries-monitoring."""
    inner = write(tmp_path, {"deep.7z": encrypted(names=names), "b.csv": b"id"}).read_bytes()
    path = write(tmp_path, {"a.7z": encrypted(names=names), "c.zip": inner, "d.csv": b"id"})
    opened = Archive(path)
    assert opened.names == ["d.csv", "c/b.csv"]
    problems = [
        f"{name} in {path} is not a readable archive: it is encrypted. Repack it without a "
        "password." for name in ("a.7z", "c/deep.7z")
    ]  # fmt: skip
    assert opened.skipped == problems
    with pytest.raises(UserError, match=r"e\.csv not found in .*; not read: a\.7z in .*encrypted"):
        opened.find("e.csv")
    alone = tmp_path / "alone.7z"
    alone.write_bytes(encrypted(names=names))
    with pytest.raises(UserError, match=r"alone\.7z is not a readable archive: it is encrypted"):
        packed.repack(Source.of(alone), "alone.7z", tmp_path / "x.zip", "alone.7z")


def test_prepare_says_what_it_did_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODIUM_WORKERS", "1")
    files = {**competitions.competition(20, 3), "more/train.7z": encrypted()}
    in_process.init_project(write(tmp_path, files).read_bytes())
    printed = in_process.prepare_project()
    assert "warning: not read: more/train.7z in " in printed and "it is encrypted" in printed


NESTED: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "tar in 7z": (
        lambda files: file_kinds.seven_zip(file_kinds.tar(files, "t.tar"), "x/t.tar.7z"),
        "x/t/",
    ),
    "7z in zip in tar.gz": (
        lambda files: file_kinds.tar(
            {"z.zip": zipped(file_kinds.seven_zip(files, "s/a.7z"))}, "data.tar.gz"
        ),
        "data/z/s/a/",
    ),
    "csv.gz in zip in zip": (
        lambda files: {
            "o.zip": zipped({"i.zip": zipped({f"{n}.csv.gz": gzip.compress(d)
                                              for n, d in files.items()})})
        },
        "o/i/",
    ),
    "zip in parts in zip": (
        lambda files: {"o.zip": zipped(file_kinds.in_parts(files, "i.zip"))},
        "o/i/",
    ),
}  # fmt: skip


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    with zipfile.ZipFile(data := io.BytesIO(), "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("scratch", [None, "scratch"])
def test_archives_in_archives_are_folders(tmp_path: Path, kind: str, scratch: str | None) -> None:
    """As train-jpg.tar.7z in planet-understanding-the-amazon-from-space."""
    build, folder = NESTED[kind]
    path = write(tmp_path, build({"a/1.png": b"one" * 99, "2.png": b"two"}))
    suffix = ".csv" if "csv" in kind else ""
    expected = {f"{folder}a/1.png{suffix}": b"one" * 99, f"{folder}2.png{suffix}": b"two"}
    with Archive(path, scratch and tmp_path / scratch) as opened:
        assert contents(opened) == expected
    unpacked = tmp_path / "unpacked"
    for name, data in build({"a/1.png": b"one" * 99, "2.png": b"two"}).items():
        (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).write_bytes(data)
    assert contents(Folder(unpacked)) == expected


def test_archives_in_archives_are_no_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MAX_UNCHECKED_BYTES", 100_000)
    large = zipped({"large.zip": zipped({"a": bytes(90_000)}, zipfile.ZIP_STORED)})
    many = zipped({f"{n}.zip": large for n in range(300)}, zipfile.ZIP_STORED)
    with pytest.raises(UserError, match=r"many/\d+/large.zip in .* like a decompression bomb"):
        Archive(write(tmp_path, {"a.zip": zipped({"many.zip": many})}), tmp_path / "scratch")
    unpacked = sum(file.stat().st_size for file in (tmp_path / "scratch").iterdir())
    assert unpacked < 1_000_000  # of 27 MB
    deep = zipped({"1.png": b"one"})
    for _ in range(packed.MAX_DEPTH + 2):
        deep = zipped({"a.zip": deep})
    names = Archive(write(tmp_path, {"a.zip": deep})).names
    assert names == [f"{'a/' * packed.MAX_DEPTH}a.zip"]


INNER: dict[str, tuple[Callable[[dict[str, bytes]], bytes], str]] = {
    "zip": (lambda files: zipped(files, zipfile.ZIP_STORED), r"a\.zip"),
    "tar.gz": (lambda files: file_kinds.tar(files, "i.tar.gz")["i.tar.gz"], r"a/\d+\.tar\.gz"),
    "7z": (lambda files: file_kinds.seven_zip(files, "i.7z")["i.7z"], r"a/\d+\.7z"),
    "csv.gz": (lambda files: gzip.compress(files["x"], mtime=0), r"a/\d+\.csv\.gz"),
}


@pytest.mark.parametrize("kind", INNER)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_small_archive_is_a_bomb_if_those_in_it_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_folder: bool
) -> None:
    """Each ratio is far below the limit, but they multiply: 20 MB in 3 KB, next to large files."""
    monkeypatch.setattr(zips, "MAX_UNCHECKED_BYTES", 100_000)
    noise = np.random.default_rng(0)
    content = bytes(500_000) + noise.bytes(1_500)
    pack, culprit = INNER[kind]
    inner = zipped({f"{n}.{kind}": pack({"x": content}) for n in range(40)})
    photos, scratch, folder = noise.bytes(300_000), tmp_path / "scratch", tmp_path / "folder"
    folder.mkdir()
    (folder / "a.zip").write_bytes(zipped({"a.zip": inner}))
    (folder / "photos").write_bytes(photos)
    path = tmp_path / "files.zip"
    path.write_bytes(zipped({"a/a.zip": inner, "photos": photos}))
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: scratch.mkdir() or str(scratch))
    with pytest.raises(UserError, match=rf"a/{culprit} in .* like a decompression bomb"):
        Folder(folder) if is_folder else Archive(path)
    unpacked = sum(file.stat().st_size for file in scratch.rglob("*") if file.is_file())
    assert unpacked < 3_000_000  # of 20 MB


def test_a_7z_archive_with_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    path = write(tmp_path, {"a.7z": seven_zip_with_link(tmp_path / "source")})
    with pytest.raises(UserError, match=r"1 symbolic link without their files \(link\)"):
        Archive(path)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_truncated_archive_is_an_error(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).bytes(50_000)
    name = f"x{suffix}"
    data = PACKERS[suffix]({"a": noise, "b": noise}, name)[name]
    for size in (len(data) // 2, len(data) - 2600):
        with pytest.raises(UserError, match=rf"x\{suffix} in .*not a readable archive"):
            Archive(write(tmp_path, {name: data[:size]}))


@pytest.mark.parametrize("name", ["made.7z", "made.tar.gz", "made.zip.001", "made.7z.001"])
def test_any_archive_can_be_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if name.endswith(".001"):
        files = file_kinds.in_parts(FILES, name.removesuffix(".001"))
    else:
        files = PACKERS[name.removeprefix("made")](FILES, name)
    for path, data in files.items():
        Path(path).write_bytes(data)
    competition = Competition(source=name, slug="made")
    archives = list[bytes]()
    for _ in range(2):
        fetch.fetch(competition, raw=Path("raw"), solution=Path("solution"))
        archives.append(Path("raw/made.zip").read_bytes())
    assert archives[0] == archives[1]
    assert contents(Archive(Path("raw/made.zip"))) == SEEN
    assert {path.name for path in Path("raw").iterdir()} == {"made.zip", "source.json"}


@pytest.mark.parametrize(
    ("name", "kind", "folder"),
    [
        ("a/Train.TAR.GZ", "tar", "a/Train"),
        ("train.zip", "zip", "train"),
        ("a/b.tsv.gz", ".gz", "a"),
        ("b.nii.gz", None, None),
        ("train.rar", None, None),
    ],
)
def test_kinds_follow_from_names(name: str, kind: str | None, folder: str | None) -> None:
    assert packed.kind(name) == kind
    assert folder is None or packed.folder(name) == folder


@pytest.mark.parametrize(
    ("used", "missing"),
    [
        (("test.csv", "test"), {"train", "data"}),
        (("test.csv", "data/stage"), {"train"}),
        (("test.csv", "stage/test"), set[str]()),  # in none that is named so
        (("labels.csv", ""), set[str]()),
        ((), {"train", "data", "test", "test.csv"}),
    ],
)
def test_of_a_folder_only_what_is_used_is_unpacked(
    tmp_path: Path, used: tuple[str, ...], missing: set[str]
) -> None:
    files = {
        **file_kinds.seven_zip(FILES, "train.7z"),
        **file_kinds.tar({"stage/test/1.png": b"one"}, "data.tar"),
        **file_kinds.tar(FILES, "test.tar.gz"),
        "test.csv.gz": gzip.compress(b"id"),
        "zipped.zip": write(tmp_path, {"1.png": b"one"}).read_bytes(),
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    found = {name.split("/")[0] for name in Folder(folder, used=used).names}
    everything = {name.split("/")[0] for name in Folder(folder).names}
    assert everything == {"train", "data", "test", "test.csv", "zipped"}
    assert found == everything - missing
