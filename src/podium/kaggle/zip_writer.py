"""Write zip archives whose bytes depend only on their contents."""

import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from podium.core import files
from podium.core.errors import UserError

Content = Path | bytes
STORED = (".safetensors",)  # compression would save next to nothing


def write(target: Path, contents: Mapping[str, Content]) -> None:
    """Write files and bytes to a zip at `target`, sorted by name.

    Raises:
        UserError: if `target` is a folder or cannot be written.
    """
    if target.is_dir():
        raise UserError(f"{target} is a folder. Give the name of a zip file.")
    size = sum(c.stat().st_size if isinstance(c, Path) else len(c) for c in contents.values())
    with files.atomic(target, size=size) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name)  # dated 1980
            is_program = isinstance(content, Path) and os.access(content, os.X_OK)
            entry.external_attr = (0o755 if is_program else 0o644) << 16
            if not name.endswith(STORED):
                entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, file)
