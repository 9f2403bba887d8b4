"""Images of an id that are stacked as channels: `prepare.stack`."""

import re
from collections.abc import Iterable, Mapping, Sequence

from podium.competition.text.names import nfc
from podium.config import images_pattern
from podium.config.prepare import Prepare
from podium.core.errors import UserError, examples
from podium.dataset.image_files import normalize_path

Files = str | tuple[str | None, ...] | None
"""The image file of an id, or those that are stacked; None for one that is missing."""
MISSING, NO_IMAGES = "not in the archive", "no images"  # of one image; of an id with several


def find(paths: Mapping[str, str], ids: Sequence[str], layout: Prepare) -> list[Files]:
    """The files of each id, in the order of `layout.stack`; None for an id without any.

    `paths`: the names of the files in the archive, by their path below the folder of the part.

    Raises:
        UserError: if several files have the same path but for their extension.
    """
    names: dict[str, list[str]] = {}
    for path, name in paths.items():
        for key in {nfc(path), nfc(path).rpartition(".")[0]}:
            names.setdefault(key, []).append(name)
    found = list[Files]()
    for image in ids:
        wanted = [_path(normalize_path(image), part, layout) for part in layout.stack or ()]
        files = [names.get(path, []) for path in wanted]
        if ambiguous := next((several for several in files if len(several) > 1), None):
            raise UserError(
                f"prepare.images: {image} has several files that differ in their extension only: "
                f"{examples(ambiguous)}. Add the extension to the pattern."
            )
        found.append(tuple(f[0] if f else None for f in files) if any(files) else None)
    return found


def ids(paths: Iterable[str], layout: Prepare) -> list[str]:
    """The ids of the files at `paths`, in the order of their first files."""
    parts = "|".join(re.escape(nfc(part)) for part in layout.stack or ())
    of_names = images_pattern.of_names(nfc(layout.images or ""))
    pattern = re.escape(of_names).replace(r"\*", f"(?:{parts})")
    regex = re.compile(pattern.replace(r"\{id\}", "(.+)"))
    matches = (
        regex.fullmatch(nfc(path)) or regex.fullmatch(nfc(path).rpartition(".")[0])
        for path in paths
    )
    return list(dict.fromkeys(match[1] for match in matches if match))


def names(files: Files) -> list[str]:
    """The names of an image's files that are not missing."""
    return [name for name in ([files] if isinstance(files, str) else files or ()) if name]


def missing(files: Files, layout: Prepare) -> str | None:
    """Why an image, or all images of an id, are missing; None if they are not."""
    if files is None:
        return MISSING if layout.images is None else NO_IMAGES
    if isinstance(files, str) or None not in files:
        return None
    parts = zip(layout.stack or (), files, strict=True)
    return f"no {examples([part for part, name in parts if name is None])}"


def _path(image: str, part: str, layout: Prepare) -> str:
    pattern = images_pattern.of_names(nfc(layout.images or "")).replace("*", nfc(part))
    return pattern.replace("{id}", image)
