"""`make init` and the stages up to folds, in this process and the working directory."""

import contextlib
import io
import sys
from pathlib import Path

import folds
import prepare
from commands import init
from podium.core import files


def init_project(archive: bytes, *options: str) -> str:
    """Run `make init` on an archive, without asking. Returns what it prints.

    Raises:
        UserError: if it fails.
    """
    for name in ("data", "submissions", "params.yaml", "made.zip"):
        files.remove(Path(name))
    Path("made.zip").write_bytes(archive)
    sys.argv = ["init.py", "made.zip", "--yes", "--quick", *options]
    return _printed(init.main)


def prepare_project() -> str:
    """Run the stages prepare and folds. Returns what they print.

    Raises:
        UserError: if one fails.
    """
    return _printed(prepare.main) + _printed(folds.main)


def _printed(main: object) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        main()  # type: ignore[operator]
    return output.getvalue()
