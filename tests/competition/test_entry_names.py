import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from podium.competition import entry_names
from podium.competition.archive import Archive

NAMES = {
    "gbk": [
        "训练/猫/1.jpg",
        "训练/狗/2.jpg",
        "测试/3.jpg",
        "苹果/黑星病/1.jpg",
        "数据/图片001.png",
    ],
    "big5": ["訓練/貓/1.jpg", "測試/狗/3.jpg", "蘋果/1.jpg"],
    "cp932": ["訓練/猫/1.jpg", "テスト/3.jpg", "りんご/1.jpg", "データ.csv", "ソース/1.jpg"],
    "cp949": ["고양이/1.jpg", "훈련/강아지/3.jpg", "테스트.png"],
    "cp866": ["кошка/1.jpg", "собака/2.jpg", "Тест/Ёж.jpg"],
    "cp1251": ["кошка/1.jpg", "собака/2.jpg", "обучение/яблоко.png"],
    "cp437": ["café/1.jpg", "Äpfel/2.jpg", "niño/3.jpg", "straße/4.jpg"],
    "utf-8": ["训练/猫/1.jpg", "café/1.jpg", "кошка/1.jpg"],
}
ONE = [
    *[("gbk", name) for name in ("狗/1.jpg", "苹果.png", "图片.png", "T恤/1.jpg")],
    *[("cp932", "ネコ.png"), ("big5", "圖片.png"), ("cp866", "кот.jpg"), ("cp1251", "кот.jpg")],
    *[("cp437", name) for name in ("é.jpg", "père.jpg", "Löwe.jpg", "château.jpg")],
    *[("utf-8", name) for name in ("é.jpg", "àáâãäåæçèéêë.jpg", "Mädchen.png", "狗.jpg")],
]


class Entry(zipfile.ZipInfo):
    """An entry whose name is written in `encoding`, without a flag."""

    encoding = "cp437"

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
        return self.filename.encode(self.encoding), self.flag_bits


def write(path: Path, names: list[str], encoding: str, extra: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as output:
        for name in names:
            entry = Entry(name)
            entry.encoding, entry.extra = encoding, extra
            output.writestr(entry, name)
    return path


@pytest.mark.parametrize(
    ("encoding", "names"), [*NAMES.items(), *((encoding, [name]) for encoding, name in ONE)]
)
def test_names_in_old_encodings_are_read(encoding: str, names: list[str], tmp_path: Path) -> None:
    names = [*names, "train.csv"]
    path = write(tmp_path / "files.zip", names, encoding)
    opened = Archive(path)
    assert opened.names == names
    assert [opened.read(name).decode() for name in names] == names
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as output:
        output.write(path, "内.zip")
    assert Archive(outer).names == [f"内/{name}" for name in names]


@pytest.mark.parametrize("is_current", [True, False])
def test_the_name_in_the_unicode_path_field_is_used_if_it_belongs_to_the_other(
    is_current: bool, tmp_path: Path
) -> None:
    raw = "训练/?.jpg".encode("gbk")
    field = struct.pack("<BI", 1, zlib.crc32(raw if is_current else b"")) + "训练/😀.jpg".encode()
    extra = struct.pack("<HHBB", 0xCAFE, 2, 0, 0) + struct.pack("<HH", 0x7075, len(field)) + field
    path = write(tmp_path / "files.zip", ["训练/?.jpg"], "gbk", extra)
    assert Archive(path).names == ["训练/😀.jpg" if is_current else "训练/?.jpg"]


def test_damaged_extra_fields_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "files.zip", ["é.jpg"], "cp437", struct.pack("<HH", 0x7075, 0))
    assert Archive(path).names == ["é.jpg"]


def test_names_that_no_encoding_suits_are_read_all_the_same() -> None:
    """As in a damaged archive: cp437 gives each byte a character."""
    assert entry_names.decode_bytes([b"train\xb1.png", "a.png"]) == ["train▒.png", "a.png"]
