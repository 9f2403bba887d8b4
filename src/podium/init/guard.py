"""Refuse to overwrite uncommitted changes."""

import subprocess
from pathlib import Path

from podium.core.errors import UserError


def check_committed(path: Path, *, command: str) -> None:
    """Check that git can restore the file at `path`, which `command` is about to overwrite.

    Raises:
        UserError: if there is no git repository, or the file is untracked or has uncommitted edits.
    """
    status = ["git", "status", "--porcelain", "--ignored", "--", str(path)]
    try:
        state = subprocess.run(status, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise UserError(
            f"{path}: not in a git repository, so {command} would overwrite it permanently. "
            f"Commit it first: git init && git add {path} && git commit -m params"
        ) from None
    if state.startswith(("??", "!!")):
        raise UserError(
            f"{path}: not tracked by git, so {command} would overwrite it permanently. "
            f"Commit it first: git add --force {path} && git commit -m params"
        )
    if state:
        raise UserError(
            f"{path}: has uncommitted edits, which {command} would overwrite. Commit them "
            f"(git commit -m params {path}) or drop them (git checkout {path})"
        )
