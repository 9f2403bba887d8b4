"""The names of a zip archive's files, which old programs write in an encoding not stated."""

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress

UTF8_NAME = 0x800  # a flag of an entry
UNICODE_PATH = 0x7075  # an extra field: version 1, the CRC-32 of the other name, the name in UTF-8
STATED = "cp437"  # the encoding of names without the flag, by the standard
CHINESE = "gb18030"  # which includes GBK
COMMON = {  # the bytes of common letters in each encoding; of equal ones, the first is used
    "utf-8": rb"[\xc3-\xc5\xce-\xd1\xd7-\xd9].|\xcc.|\xcd[\x80-\xaf]|[\xe0-\xef]..|\xf0...",
    STATED: rb"[\x80-\x9a\xa0-\xa5\xe1]",  # with accents
    "cp866": rb"[\x80-\xaf\xe0-\xf1]",  # Cyrillic
    CHINESE: rb"[\xb0-\xd7][\xa1-\xfe]",  # simplified Chinese: the more common characters
    "cp932": rb"\x81[\x5b\xf4]|\x82[\x9f-\xf1]|\x83[\x40-\x96]|[\x88-\x97].",  # Japanese
    "big5": rb"[\xa4-\xc6].",  # traditional Chinese
    "cp1251": rb"[\xc0-\xff\xa8\xb8]",  # Cyrillic
}
MIXED = re.compile(r"[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]")
KOREAN, HANGUL = "cp949", rb"[\xb0-\xc8][\xa1-\xfe]"
MIN_SYLLABLES = 6  # distinct ones without any other character, which Chinese text would have


def decode(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    r"""The entries' names as on Linux: `/` between folders, for which Windows may write `\`."""
    return [name.replace("\\", "/") for name in decode_bytes([_raw(entry) for entry in entries])]


def decode_bytes(names: Sequence[str | bytes]) -> list[str]:
    """The names, those that are bytes decoded from the encoding that suits all of them."""
    encoding = _guess_encoding(b"\n".join(name for name in names if isinstance(name, bytes)))
    return [name.decode(encoding) if isinstance(name, bytes) else name for name in names]


def _raw(entry: zipfile.ZipInfo) -> str | bytes:
    """The name, or its bytes if their encoding is unknown: also macOS does not set the flag."""
    name = entry.filename
    if entry.flag_bits & UTF8_NAME or name.isascii():
        return name
    try:
        raw = name.encode(STATED)  # as which zipfile has decoded it
    except UnicodeError:
        return name
    if (unicode_path := _unicode_path(entry.extra, raw)) is not None:
        return unicode_path
    return raw


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in an entry's extra fields, if it belongs to the name `raw`."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        is_current = field[1:5] == zlib.crc32(raw).to_bytes(4, "little")
        if kind == UNICODE_PATH and field[:1] == b"\x01" and is_current:
            with suppress(UnicodeError):
                return field[5:].decode()
    return None


def _guess_encoding(raw: bytes) -> str:
    """The encoding in which most letters of the names `raw` are common ones."""
    scores = {encoding: _score(raw, encoding, pattern) for encoding, pattern in COMMON.items()}
    best = max(scores, key=scores.__getitem__)
    if not scores[best][0]:
        return STATED  # which can decode any bytes
    is_korean = _score(raw, KOREAN, HANGUL)[0] == 1 and len(_letters(raw, KOREAN)) >= MIN_SYLLABLES
    return KOREAN if best == CHINESE and is_korean else best


def _score(raw: bytes, encoding: str, common: bytes) -> tuple[float, bool]:
    """The fraction of distinct non-ASCII characters that are common, 0 if decoding fails; and
    whether none is next to an ASCII letter.
    """
    letters = _letters(raw, encoding)
    matches = [re.fullmatch(common, letter.encode(encoding), re.DOTALL) for letter in letters]
    share = sum(match is not None for match in matches) / max(1, len(letters))
    return share, share > 0 and MIXED.search(raw.decode(encoding)) is None


def _letters(raw: bytes, encoding: str) -> set[str]:
    with suppress(UnicodeError):
        return {letter for letter in raw.decode(encoding) if not letter.isascii()}
    return set()
