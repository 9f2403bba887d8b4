import zipfile
from collections.abc import Mapping
from pathlib import Path

import competitions
import pytest

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import build
from podium.dataset.image_files import find_images, images_below


def archive(folder: Path, files: Mapping[str, bytes]) -> Archive:
    return Archive(competitions.write_zip(folder / "files.zip", files))


def test_a_file_is_read_as_it_was_packed(tmp_path: Path) -> None:
    data = bytes(range(256))
    assert archive(tmp_path, {"train/a.png": data}).read("train/a.png") == data


def test_folders_are_not_among_the_names(tmp_path: Path) -> None:
    assert archive(tmp_path, {"train/": b"", "train/a.png": b""}).names == ["train/a.png"]


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"PK\x03\x04"])
def test_an_invalid_zip_is_an_error_with_its_path(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "files.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"files\.zip is not a readable zip"):
        Archive(tmp_path / "files.zip")


def test_a_missing_archive_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"files\.zip is not a readable zip"):
        Archive(tmp_path / "files.zip")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_error_names_the_damaged_entry_and_the_others_are_read(
    tmp_path: Path, compression: int
) -> None:
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w", compression) as output:
        output.writestr("a.png", b"first" * 20)
        output.writestr("b.png", b"second" * 20)
    data = bytearray(path.read_bytes())
    data[30 + len("a.png") + 5] ^= 0xFF  # a local header has 30 bytes and the name
    path.write_bytes(data)
    damaged = Archive(path)
    with pytest.raises(UserError, match=r"cannot read a\.png in .*files\.zip"):
        damaged.read("a.png")
    assert damaged.read("b.png") == b"second" * 20


def test_the_error_names_the_truncated_entry(tmp_path: Path) -> None:
    path = competitions.write_zip(tmp_path / "files.zip", {"a.png": b"data"})
    data = bytearray(path.read_bytes())
    data[29] = 0xFF  # the local header says that more follows it than the file has
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cannot read a\.png in .*files\.zip"):
        Archive(path).read("a.png")


def test_a_file_is_found_in_any_folder(tmp_path: Path) -> None:
    found = archive(tmp_path, {"data/all/train.csv": b"", "data/pretrain.csv": b""})
    assert found.find("train.csv") == "data/all/train.csv"
    assert found.find("all/train.csv") == "data/all/train.csv"


def test_a_file_at_the_top_goes_before_those_below(tmp_path: Path) -> None:
    assert archive(tmp_path, {"old/train.csv": b"", "train.csv": b""}).find("train.csv") == (
        "train.csv"
    )


def test_an_ambiguous_name_is_an_error_with_its_matches(tmp_path: Path) -> None:
    found = archive(tmp_path, {"a/train.csv": b"", "b/train.csv": b""})
    with pytest.raises(UserError, match=r"ambiguous: found 2 in .* \(a/train\.csv, b/train\.csv"):
        found.find("train.csv")


def test_a_missing_table_is_an_error_with_the_tables_that_exist(tmp_path: Path) -> None:
    found = archive(tmp_path, {"labels.csv": b"", "train/a.png": b""})
    with pytest.raises(UserError, match=r"^train\.csv not found in .*: labels\.csv\)"):
        found.find("train.csv")
    with pytest.raises(UserError, match=r"^nothing\.txt not found"):
        found.read("nothing.txt")


def test_the_values_of_a_csv_stay_the_text_that_they_are(tmp_path: Path) -> None:
    data = "id,label\n007,NA\n1e5,null\n 8 ,\n9,é\n".encode()
    table = archive(tmp_path, {"train.csv": data}).read_csv("train.csv")
    assert table["id"].tolist() == ["007", "1e5", " 8 ", "9"]
    assert table["label"].tolist() == ["NA", "null", "", "é"]


def test_byte_order_marks_and_windows_line_ends_are_stripped_from_a_csv(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbfid,label\r\n1,cat\r\n"
    table = archive(tmp_path, {"train.csv": data}).read_csv("train.csv")
    assert table.to_dict("list") == {"id": ["1"], "label": ["cat"]}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_header_line_says_what_separates_fields(tmp_path: Path, separator: str) -> None:
    data = f'id{separator}labels\n1{separator}a b\n2{separator}"c{separator}d"\n'.encode()
    opened = archive(tmp_path, {"train.csv": data})
    assert opened.header("train.csv") == ["id", "labels"]
    found = opened.read_csv("train.csv").to_dict("list")
    assert found == {"id": ["1", "2"], "labels": ["a b", f"c{separator}d"]}


@pytest.mark.parametrize("data", [b"id,a|b|c\n1,2\n", b'"id","a|b|c"\n1,2\n'])
def test_of_two_that_could_separate_fields_the_rows_decide(tmp_path: Path, data: bytes) -> None:
    assert archive(tmp_path, {"train.csv": data}).header("train.csv") == ["id", "a|b|c"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_with_and_without_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    opened = archive(tmp_path, {"train.csv": "id,läbel\n1,é\n".encode(encoding)})
    assert opened.read_csv("train.csv").to_dict("list") == {"id": ["1"], "läbel": ["é"]}
    assert opened.header("train.csv") == ["id", "läbel"]
    assert [chunk["läbel"].tolist() for chunk in opened.csv_chunks("train.csv", 5)] == [["é"]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"is not a valid CSV: it is empty"),
        (b"\xef\xbb\xbf\n\n", r"is not a valid CSV: it is empty"),
        (b"\xff\xfe", r"is not a valid CSV: it is empty"),
        (b" \n\t\n", r"is not a valid CSV: it is empty"),
        (
            "id,x\n1,a\n2,é\n".encode("latin-1"),
            r"is not a CSV in UTF-8: row 3, byte 3 is 0xE9\. Save it as UTF-8",
        ),
        (b"id,label\n1,a\n2,b,c,d\n", "is not a valid CSV: row 3 has 4 fields, the header has 2"),
        (b"id,label\n1,a,b\n2,b\n", "is not a valid CSV: row 2 has 3 fields, the header has 2"),
        (
            b'id,x\n1,a\n2,"open\n',
            "is not a valid CSV: row 3: .*quote may not be closed",
        ),
        (b'id,x\n1,"a"b\n2,a,b\n', "is not a valid CSV: row 3 has 3 fields, the header has 2"),
        (b'id,x\n1,"' + b"a" * 200_000, "is not a valid CSV: row 2: field larger .* not be closed"),
        (
            "id,x\n1,a\n".encode("utf-16-le"),
            "is not a CSV in UTF-8: it contains NUL bytes.* Save it as",
        ),
    ],
)
def test_an_invalid_csv_is_an_error_with_file_and_row(
    tmp_path: Path, data: bytes, message: str
) -> None:
    opened = archive(tmp_path, {"train.csv": data})
    for read in (opened.read_csv, lambda name: list(opened.csv_chunks(name, 1))):
        with pytest.raises(UserError, match=r"^train\.csv in .*files\.zip " + message):
            read("train.csv")


def test_the_error_names_a_late_row_that_is_not_utf_8(tmp_path: Path) -> None:
    data = b"id,x\n" + b"1,a\n" * 300_000 + b"2,\xff\n"
    opened = archive(tmp_path, {"train.csv": data})
    for read in (opened.read_csv, lambda name: list(opened.csv_chunks(name, 1000))):
        with pytest.raises(UserError, match="row 300002, byte 3 is 0xFF"):
            read("train.csv")


NAMES = [
    "train/cats/1.jpg",
    "train/cats/11.jpg",
    "train/dogs/2.jpg",
    "train/dogs/v1.5.png",
    "train/dogs/notes.txt",
    "test/cats/1.jpg",
]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("1", "train/cats/1.jpg"),
        ("1.jpg", "train/cats/1.jpg"),
        ("cats/1", "train/cats/1.jpg"),
        ("train/cats/1.jpg", "train/cats/1.jpg"),
        ("/train/dogs/2", "train/dogs/2.jpg"),
        ("v1.5", "train/dogs/v1.5.png"),
    ],
)
def test_an_id_is_a_name_or_path_with_or_without_extension(image: str, name: str) -> None:
    assert find_images(NAMES, [image], folder="train") == [name]


def test_images_come_in_the_order_of_the_ids() -> None:
    found = find_images(NAMES, ["2", "11", "1"], folder="train")
    assert found == ["train/dogs/2.jpg", "train/cats/11.jpg", "train/cats/1.jpg"]


@pytest.mark.parametrize("folder", ["train", "train/", "/train", "data/train"])
def test_the_folder_may_lie_in_others(folder: str) -> None:
    assert find_images(["data/train/1.jpg"], ["1"], folder=folder) == ["data/train/1.jpg"]


@pytest.mark.parametrize("folder", ["", "/"])
def test_no_folder_is_the_whole_archive(folder: str) -> None:
    assert find_images(["1.jpg", "a/2.jpg"], ["2", "1"], folder=folder) == ["a/2.jpg", "1.jpg"]


def test_a_folder_whose_name_only_ends_alike_is_another() -> None:
    names = ["latest/1.jpg", "test/1.jpg", "test_old/1.jpg"]
    assert find_images(names, ["1"], folder="test") == ["test/1.jpg"]


def test_a_whole_name_goes_before_a_name_cut_short() -> None:
    names = ["train/a.jpg", "train/a.jpg.png"]
    assert find_images(names, ["a.jpg"], folder="train") == ["train/a.jpg"]


def test_missing_images_are_counted_and_the_first_few_named(tmp_path: Path) -> None:
    named = dict.fromkeys(NAMES, b"")
    ids = ["1", *(f"x{number}" for number in range(8))]
    with pytest.raises(
        UserError, match=r"8 of 9 training images .* train/: x0, x1, x2, x3, x4 and 3 more"
    ):
        build.match_images(archive(tmp_path, named), {"train": ids}, Prepare())


def test_only_images_in_the_folder_count(tmp_path: Path) -> None:
    opened = archive(tmp_path, dict.fromkeys(NAMES, b""))
    with pytest.raises(UserError, match=r"1 of 2 test images .* test/: 2\."):
        build.match_images(opened, {"test": ["1", "2"]}, Prepare())
    with pytest.raises(UserError, match=r"2 of 2 training images .* train/: notes, notes\.txt"):
        build.match_images(opened, {"train": ["notes", "notes.txt"]}, Prepare())


def test_an_id_that_several_files_match_is_an_error_with_their_names() -> None:
    with pytest.raises(UserError, match=r"1 id matches several .* 1: .*cats/1\.jpg, test/cats/1"):
        find_images(NAMES, ["1", "2"], folder="")
    with pytest.raises(UserError, match=r"2 ids match .* 1: .*Set prepare\.train_images"):
        find_images(["a/1.jpg", "b/1.jpg", "a/2.jpg", "b/2.jpg"], ["1", "2"], folder="")
    with pytest.raises(UserError, match=r"a/1\.jpg, a/1\.png\. Add the extension to the ids"):
        find_images(["a/1.jpg", "a/1.png"], ["1"], folder="a")


def test_many_files_with_the_same_name_are_resolved_fast() -> None:
    ids = [f"{number}/image" for number in range(20_000)]
    names = [f"train/{image}.png" for image in ids]
    assert find_images(names, ids, folder="train") == names


def test_a_folder_at_the_top_is_meant_rather_than_others_of_its_name() -> None:
    names = ["aug/train/a/1.png", "train/a/1.png", "train/a/2.png"]
    assert images_below(names, "train") == {"a/1.png": names[1], "a/2.png": names[2]}
    assert find_images(names, ["a/1"], folder="train") == ["train/a/1.png"]
    assert images_below(names[:1], "train") == {"a/1.png": names[0]}
    other = "old/train/a/2.png"
    assert images_below([names[0], other], "train") == {"a/1.png": names[0], "a/2.png": other}
    with pytest.raises(UserError, match=r"train is ambiguous: a/1\.png is in .*aug/.*old/.*full"):
        images_below([names[0], "old/train/a/1.png"], "train")
