"""Competitions that hypothesis generates, in any layout, with or without faults."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from PIL import Image

KINDS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF", "JPG": "JPEG"}
CLASSES = ["ant", "bee", "wasp", "fly"]
SPACED = ["red ant", "bee", "digger wasp", "house fly"]
TASKS = ("names", "numbers", "two", "lists", "columns", "flags", "grades", "number")
SIDE = 8  # pixels


@dataclass
class Competition:
    """A competition's files, and the expected result of preparing them."""

    files: dict[str, bytes]
    labels: dict[str, str]  # id -> label of the training images, as in data/train.csv
    test: list[str]  # ids in the order of the submission; any without sample and test table
    colors: dict[str, tuple[int, int, int]]  # id -> color of the image
    header: list[str] | None  # the submission's, if there is a sample
    faults: list[str] = field(default_factory=list)
    archive: bytes | None = None  # if it is not simply a zip of the files


def color(number: int) -> tuple[int, int, int]:
    """Distinct colors that JPEG does not confuse."""
    return 16 + 32 * (number % 8), 16 + 32 * (number // 8 % 8), 200


def picture(number: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE + number % 3), color(number)).save(buffer, KINDS[kind])
    return buffer.getvalue()


def pack(files: dict[str, bytes]) -> bytes:
    """A zip of `files`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


@dataclass
class Style:
    """How the CSV files are written."""

    separator: str
    encoding: str
    terminator: str

    def write(self, table: pd.DataFrame) -> bytes:
        text = table.to_csv(index=False, sep=self.separator, lineterminator=self.terminator)
        return text.encode(self.encoding)


def _ids(draw: Callable[..., Any], count: int) -> list[str]:
    kind = draw(st.sampled_from(["padded", "plain", "hex", "unicode", "spaces", "dots", "paths"]))
    numbers = draw(st.permutations(range(count)))
    return [
        {
            "padded": f"{n:05d}",
            "plain": str(n + 1),
            "hex": f"{n * 2654435761 % 2**32:08x}",
            "unicode": f"Bild-ü{n}é",
            "spaces": f"img {n}",
            "dots": f"a.{n}.b",
            "paths": f"p{n % 2}/x{n}",
        }[kind]
        for n in numbers
    ]


def _labels(draw: Callable[..., Any], task: str, count: int) -> list[str]:
    """Labels as in data/train.csv."""
    if task == "number":
        numbers = st.lists(st.integers(-400, 400), min_size=count, max_size=count, unique=True)
        return [f"{number / 8 + 0.0625}" for number in draw(numbers)]
    if task in ("lists", "flags"):
        some = st.sets(st.sampled_from(CLASSES[:3]), min_size=task == "lists")
        chosen = draw(st.lists(some, min_size=count, max_size=count))
        # More different cells than labels: "bee" and "ant bee" alone could be two names.
        chosen[:4] = [{"ant", "bee"}, {"wasp"}, {"bee"}, {"ant"}]
        return ["|".join(sorted(names)) for names in chosen]
    names = {"numbers": ["3", "10", "7"], "two": ["0", "1"], "grades": ["0", "1", "2"]}
    spelled = draw(st.sampled_from([CLASSES, CLASSES, SPACED]))
    known = names.get(task, spelled[: draw(st.integers(2, 4))])
    rest = draw(st.lists(st.sampled_from(known), min_size=count, max_size=count))
    return [*known, *rest][:count]  # each at least once


def _columns(task: str, labels: list[str], label: str) -> pd.DataFrame:
    """The label's columns in the training table."""
    if task in ("columns", "flags"):
        names = sorted({name for text in labels for name in text.split("|") if name})
        return pd.DataFrame(
            {name: [int(name in text.split("|")) for text in labels] for name in names}
        )
    return pd.DataFrame({label: [text.replace("|", " ") for text in labels]})


@st.composite
def competitions(draw: Callable[..., Any]) -> Competition:
    """A competition with tables, class folders, labels in file names, or tables of pixels."""
    layout = draw(st.sampled_from(["table", "table", "table", "folders", "names", "pixels"]))
    task = draw(st.sampled_from(["names"] if layout in ("folders", "names") else TASKS))
    # Names that occur once each are not classes.
    train, test = draw(st.integers(8 if layout == "names" else 6, 14)), draw(st.integers(1, 5))
    ids = _ids(draw, train + test)
    labels = _labels(draw, task, train)
    style = Style(
        draw(st.sampled_from([",", ",", ";", "\t"])),
        draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])),
        draw(st.sampled_from(["\n", "\r\n"])),
    )
    if layout == "pixels":
        competition = _pixels(draw, task, labels, test, style)
    elif layout in ("folders", "names"):
        competition = _folders(draw, ids, labels, style, in_names=layout == "names")
    else:
        competition = _table(draw, task, ids, labels, style)
    for fault in draw(st.lists(st.sampled_from([*FAULTS]), max_size=2, unique=True)):
        if FAULTS[fault](draw, competition, style):
            competition.faults.append(fault)
    return competition


def _table(
    draw: Callable[..., Any], task: str, ids: list[str], labels: list[str], style: Style
) -> Competition:
    count, kind = len(labels), draw(st.sampled_from([*KINDS]))
    has_extension = draw(st.booleans())
    named = [f"{image}.{kind}" for image in ids] if has_extension else ids
    train_dir, test_dir = draw(
        st.sampled_from(
            [("train", "test"), ("images", "images"), ("data/train", "data/test"), ("", "")]
        )
    )
    id_name = draw(st.sampled_from(["id", "image_id", "filename", "Image", "image"]))
    label = draw(st.sampled_from(["label", "class", "target", "Category", "diagnosis"]))
    files = {
        f"{folder}/{image}.{kind}".lstrip("/"): picture(number, kind)
        for number, image in enumerate(ids)
        for folder in [train_dir if number < count else test_dir]
    }
    columns = _columns(task, labels, label)
    table = pd.concat([pd.DataFrame({id_name: named[:count]}), columns], axis=1)
    if draw(st.booleans()):
        table["width"] = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    train_name = draw(
        st.sampled_from(["train.csv", "train_labels.csv", "labels.csv", "Training_set.csv"])
    )
    sample = draw(st.booleans())
    has_test = draw(st.booleans()) or (not sample and train_dir == test_dir)
    if draw(st.booleans()):
        table = table.sample(frac=1, random_state=0)
    files[train_name] = style.write(table)
    hidden = named[count:]
    header = None
    if has_test:
        files[draw(st.sampled_from(["test.csv", "Testing_set.csv"]))] = style.write(
            pd.DataFrame({id_name: hidden})
        )
    if sample:
        value: Any = {"number": 0.5, "lists": "ant"}.get(task, labels[0])
        shown = dict.fromkeys(columns.columns, 0 if len(columns.columns) > 1 else value)
        table = pd.DataFrame({id_name: hidden, **shown}).sample(frac=1, random_state=1)
        hidden = table[id_name].tolist()
        header = [str(name) for name in table.columns]
        files["sample_submission.csv"] = style.write(table)
    elif not has_test:
        hidden = [f"{image}.{kind}" for image in ids[count:]]
    colors = {image: color(number) for number, image in enumerate(named)}
    if not (sample or has_test):
        colors |= {image: color(count + n) for n, image in enumerate(hidden)}
    if train_dir == "train" and draw(st.booleans()):
        files = _nested(draw, files)
    return Competition(files, dict(zip(named[:count], labels, strict=True)), hidden, colors, header)


def _nested(draw: Callable[..., Any], files: dict[str, bytes]) -> dict[str, bytes]:
    """Pack the image folders into inner archives, with or without the folder itself."""
    keep = "" if draw(st.booleans()) else "{}/"
    outer = {name: data for name, data in files.items() if not name.startswith(("train/", "test/"))}
    for folder in ("train", "test"):
        inner = {
            keep.format(folder) + name.removeprefix(f"{folder}/"): data
            for name, data in files.items()
            if name.startswith(f"{folder}/")
        }
        outer[f"{folder}.zip"] = pack(inner)
    return outer


def _folders(
    draw: Callable[..., Any], ids: list[str], labels: list[str], style: Style, *, in_names: bool
) -> Competition:
    """Labels that are folder names or part of the file names."""
    count, kind = len(labels), draw(st.sampled_from([*KINDS]))
    between = draw(st.sampled_from([".", "_", "-", ""]))
    top = draw(st.sampled_from(["", "data/"]))
    files, colors, truth = {}, {}, {}
    for number, (image, label) in enumerate(zip(ids[:count], labels, strict=True)):
        name = f"{label}{between}{number}.{kind}" if in_names else f"{label}/{image}.{kind}"
        files[f"{top}train/{name}"] = picture(number, kind)
        colors[name], truth[name] = color(number), label
    hidden = []
    for number, image in enumerate(ids[count:], start=count):
        files[f"{top}test/{image}.{kind}"] = picture(number, kind)
        hidden.append(f"{image}.{kind}")
        colors[f"{image}.{kind}"] = color(number)
    header = None
    if draw(st.booleans()):
        header = ["id", "label"]
        files["sample_submission.csv"] = style.write(
            pd.DataFrame({"id": hidden, "label": labels[0]})
        )
    return Competition(files, truth, hidden, colors, header)


def _pixels(
    draw: Callable[..., Any], task: str, labels: list[str], test: int, style: Style
) -> Competition:
    count, rgb = len(labels), draw(st.booleans())
    prefix = draw(st.sampled_from(["pixel", "px_"]))
    everything = []
    for number in range(count + test):
        shade = np.array(color(number) if rgb else [16 + 12 * number], np.uint8)
        noise = (np.arange(SIDE * SIDE) % 2 + 1)[:, None].astype(
            np.uint8
        )  # must be stored losslessly
        everything.append((shade + noise).ravel())
    names = [f"{prefix}{number}" for number in range(SIDE * SIDE * (3 if rgb else 1))]
    pixels = pd.DataFrame(everything, columns=names)
    written = pixels
    if draw(st.booleans()):  # all pixels of an image in one cell
        written = pd.DataFrame({prefix: [" ".join(map(str, row)) for row in everything]})
    has_id = draw(st.booleans())
    named = [f"r{number}" for number in range(count + test)] if has_id else []
    columns = _columns(task, labels, "label")
    parts = [columns, written[:count]]
    hidden_parts = [written[count:].reset_index(drop=True)]
    if has_id:
        parts.insert(0, pd.DataFrame({"id": named[:count]}))
        hidden_parts.insert(0, pd.DataFrame({"id": named[count:]}))
    files = {
        "train.csv": style.write(pd.concat(parts, axis=1)),
        "test.csv": style.write(pd.concat(hidden_parts, axis=1)),
    }
    known = named[:count] if has_id else [str(number + 1) for number in range(count)]
    hidden = named[count:] if has_id else [str(number + 1) for number in range(test)]
    header = None
    if draw(st.booleans()):
        header = ["id" if has_id else "ImageId", *map(str, columns.columns)]
        value: Any = {"number": 0.5, "lists": "ant"}.get(task, labels[0])
        shown = dict.fromkeys(columns.columns, 0 if len(columns.columns) > 1 else value)
        table = pd.DataFrame({header[0]: hidden, **shown})
        files["sample_submission.csv"] = style.write(table)
    # Training and test rows may have the same numbers: colors are looked up by part.
    colors = {f"train {image}": tuple(map(int, pixels.iloc[n, : 3 if rgb else 1])) for n, image in
               enumerate(known)}  # fmt: skip
    colors |= {f"test {image}": tuple(map(int, pixels.iloc[count + n, : 3 if rgb else 1])) for
                n, image in enumerate(hidden)}  # fmt: skip
    return Competition(files, dict(zip(known, labels, strict=True)), hidden, colors, header)


def _some_image(draw: Callable[..., Any], competition: Competition) -> str | None:
    names = [name for name in competition.files if name.endswith(tuple(KINDS))]
    return draw(st.sampled_from(names)) if names else None


def _train_csv(competition: Competition) -> str | None:
    return next((n for n in competition.files if n.lower().startswith(("train", "labels")) and
                 n.endswith(".csv")), None)  # fmt: skip


def _broken_image(draw: Callable[..., Any], competition: Competition, _: Style) -> bool:
    if (name := _some_image(draw, competition)) is None:
        return False
    data = competition.files[name]
    competition.files[name] = draw(
        st.sampled_from([b"", data[: len(data) // 2], b"not an image", b"\0" * 50])
    )
    return True


def _missing_image(draw: Callable[..., Any], competition: Competition, _: Style) -> bool:
    if (name := _some_image(draw, competition)) is None:
        return False
    del competition.files[name]
    tables = [other for other in competition.files if other.endswith(".csv")]
    if not any("sample" in other or other.lower().startswith("test") for other in tables):
        competition.test = [image for image in competition.test if not name.endswith(f"/{image}")]
    return True


def _lines(competition: Competition, name: str, style: Style) -> list[str]:
    """The lines of a table; none if another fault has made it binary."""
    try:
        return competition.files[name].decode(style.encoding).split(style.terminator)
    except UnicodeError:
        return []


def _edit(
    change: Callable[[Callable[..., Any], list[str]], list[str]],
) -> Callable[[Callable[..., Any], Competition, Style], bool]:
    """A fault in the lines of the training table."""

    def fault(draw: Callable[..., Any], competition: Competition, style: Style) -> bool:
        name = _train_csv(competition)
        lines = _lines(competition, name, style) if name else []
        if name is None or len(lines) < 4:  # no table, or emptied by another fault
            return False
        lines = change(draw, lines)
        competition.files[name] = style.terminator.join(lines).encode(style.encoding)
        return True

    return fault


def _is_of_pixels(lines: list[str]) -> bool:
    return lines[0].endswith(("63", "191", "pixel", "px_"))


def _empty_label(draw: Callable[..., Any], lines: list[str]) -> list[str]:
    row = draw(st.integers(1, len(lines) - 2))
    for separator in ",;\t":
        if separator in lines[0]:
            lines[row] = separator.join(
                [lines[row].split(separator)[0]] + [""] * lines[0].count(separator)
            )
    return lines


def _twice(draw: Callable[..., Any], lines: list[str]) -> list[str]:
    row, other = draw(st.integers(1, len(lines) - 2)), draw(st.integers(1, len(lines) - 2))
    for separator in ",;\t":
        if separator in lines[0] and not _is_of_pixels(lines):
            first = lines[row].split(separator)[0]
            lines.insert(other, separator.join([first, *lines[other].split(separator)[1:]]))
            break
    return lines


def _odd_label(draw: Callable[..., Any], lines: list[str]) -> list[str]:
    """In the last column, so that the ids stay."""
    row = draw(st.integers(1, len(lines) - 2))
    head, last = lines[row][:-1], lines[row][-1:]
    lines[row] = head + draw(st.sampled_from([last.upper(), f"{last} ", f"{last}nan"]))
    return lines


def _one_class(_: Callable[..., Any], lines: list[str]) -> list[str]:
    for separator in ",;\t":
        if separator in lines[0] and not _is_of_pixels(lines):
            rest = lines[1].split(separator)[1:]
            names = [line.split(separator)[0] for line in lines[1:-1]]
            return [lines[0], *(separator.join([name, *rest]) for name in names), ""]
    return lines


def _latin(_: Callable[..., Any], competition: Competition, style: Style) -> bool:
    name = _train_csv(competition)
    if name is None or not (lines := _lines(competition, name, style)):
        return False
    competition.files[name] = "\n".join([*lines, "é,é", ""]).encode("latin-1", errors="replace")
    return True


def _replace(pattern: str, new: bytes) -> Callable[[Callable[..., Any], Competition, Style], bool]:
    def fault(_: Callable[..., Any], competition: Competition, __: Style) -> bool:
        name = _train_csv(competition) if pattern == "train" else next(
            (name for name in competition.files if pattern in name.lower()), None)  # fmt: skip
        if name is None:
            return False
        competition.files[name] = new
        return True

    return fault


def _outside(draw: Callable[..., Any], competition: Competition, _: Style) -> bool:
    competition.files[draw(st.sampled_from(["../evil.png", "/etc/evil.png", "C:\\evil.png"]))] = (
        b"x"
    )
    return True


def _other_sample(_: Callable[..., Any], competition: Competition, style: Style) -> bool:
    name = "sample_submission.csv"
    if name not in competition.files or len(lines := _lines(competition, name, style)) < 2:
        return False
    if lines[0].startswith("ImageId"):  # the test table has no id column: any text is an id
        return False
    lines[1] = "zzz" + lines[1]
    competition.files[name] = style.terminator.join(lines).encode(style.encoding)
    return True


def _cut_archive(draw: Callable[..., Any], competition: Competition, _: Style) -> bool:
    whole = pack(competition.files)
    competition.archive = draw(
        st.sampled_from([b"", b"<html>404</html>", whole[: len(whole) // 2]])
    )
    return True


def _flipped(draw: Callable[..., Any], competition: Competition, _: Style) -> bool:
    whole = bytearray(competition.archive or pack(competition.files))
    if not whole:
        return False
    place = draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 0xFF
    competition.archive = bytes(whole)
    return True


FAULTS: dict[str, Callable[[Callable[..., Any], Competition, Style], bool]] = {
    "a broken image": _broken_image,
    "a missing image": _missing_image,
    "an empty label": _edit(_empty_label),
    "an id twice": _edit(_twice),
    "an odd label": _edit(_odd_label),
    "one class": _edit(_one_class),
    "not UTF-8": _latin,
    "an empty table": _replace("train", b""),
    "a table of a header": _replace("train", b"id,label\n"),
    "no train table": _replace("train", b"\xff\xfe\x00\x01"),
    "an empty sample": _replace("sample", b""),
    "an empty test table": _replace("test.csv", b"id\n"),
    "an entry outside": _outside,
    "another sample": _other_sample,
    "no archive": _cut_archive,
    "a flipped byte": _flipped,
}
