"""Which image files the values of a column name, and in which folder these lie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from podium.competition.names import nfc

LOOKED_AT = 2_000  # values of a column, to tell whether they name images
EXAMPLES = 8  # images


@dataclass
class Cover:
    """A folder with images that a column names."""

    folder: str
    ids: int = 0  # that it has an image of, in it or below
    ambiguous: int = 0  # that it has several images of
    examples: list[str] = field(default_factory=list)  # some of these images


class Names:
    """The images of an archive by what an id may call them: the end of their path, with or without
    the extension. Looking up all ids takes time in proportion to ids and images.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self.images = images
        self._by_depth: dict[int, dict[str, list[int]]] = {}

    def find(self, value: str) -> list[int]:
        """The numbers of the images that `value` can mean."""
        wanted = _path(value)
        found = self._tails(wanted.count("/")).get(wanted, [])
        if not found and wanted != wanted.strip():
            return self.find(wanted.strip())
        whole = [number for number in found if nfc(self.images[number]).endswith(wanted)]
        return whole or found

    def share(self, values: Sequence[str]) -> float:
        """Of a column's values, looking at some, those that name an image."""
        some = values[:: max(1, len(values) // LOOKED_AT)]
        return sum(bool(self.find(value)) for value in some) / max(1, len(some))

    def covers(self, values: Sequence[str]) -> list[Cover]:
        """The folders that hold images of the most values, the deepest of them first."""
        covers: dict[str, Cover] = {}
        for value in dict.fromkeys(values):
            parts = _path(value).count("/") + 1
            found: dict[str, list[str]] = {}
            for number in self.find(value):
                for folder in _above(self.images[number], parts):
                    found.setdefault(folder, []).append(self.images[number])
            for folder, images in found.items():
                cover = covers.setdefault(folder, Cover(folder))
                cover.ids += 1
                cover.ambiguous += len(images) > 1
                if cover.ids <= EXAMPLES:
                    cover.examples.append(images[0])
        most = max((cover.ids for cover in covers.values()), default=0)
        best = [cover for cover in covers.values() if cover.ids == most]
        return sorted(best, key=lambda cover: (-_depth(cover.folder), cover.folder))

    def missing(self, values: Sequence[str], folder: str) -> list[str]:
        """The values that name no image in `folder`."""
        inside = f"{folder}/" if folder else ""
        return [
            value
            for value in values
            if not any(self.images[number].startswith(inside) for number in self.find(value))
        ]

    def _tails(self, depth: int) -> dict[str, list[int]]:
        """By the last `depth` + 1 parts of their paths: made when first needed."""
        if depth not in self._by_depth:
            tails: dict[str, list[int]] = {}
            for number, name in enumerate(self.images):
                parts = nfc(name).split("/")
                if len(parts) > depth:
                    tail = "/".join(parts[-depth - 1 :])
                    for key in {tail, tail.rpartition(".")[0]}:
                        tails.setdefault(key, []).append(number)
            self._by_depth[depth] = tails
        return self._by_depth[depth]


def _path(value: str) -> str:
    """What an id says of the path, as `archive.find_images` takes it."""
    return nfc(value).replace("\\", "/").removeprefix("./").strip("/")


def _above(name: str, parts: int) -> Iterator[str]:
    """The folders above the last `parts` of a path: of a/b/c.jpg and 1 "a/b", "a", ""."""
    folders = name.split("/")[:-parts]
    for end in range(len(folders), -1, -1):
        yield "/".join(folders[:end])


def _depth(folder: str) -> int:
    return folder.count("/") + bool(folder)
