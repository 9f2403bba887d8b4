"""Refuse to overwrite uncommitted changes."""

from pathlib import Path

from podium.core.errors import UserError
from podium.submission import git


def check_committed(path: Path, *, command: str) -> None:
    """Check that git can restore the file at `path`, which `command` is about to overwrite.

    Raises:
        UserError: if there is no git repository, git fails, or the file is untracked or has
            uncommitted edits.
    """
    state = git.output("status", "--porcelain", "--ignored", "--", str(path))
    if state is None:
        raise UserError(
            f"{path}: not in a git repository, so {command} would overwrite it permanently. "
            f"Commit it first: `git init && git add {path} && git commit -m params`."
        )
    if state.startswith(("??", "!!")):
        raise UserError(
            f"{path}: not tracked by git, so {command} would overwrite it permanently. "
            f"Commit it first: `git add --force {path} && git commit -m params`."
        )
    if state:
        raise UserError(
            f"{path}: has uncommitted edits, which {command} would overwrite. Commit them "
            f"(`git commit -m params {path}`) or drop them (`git checkout {path}`)."
        )
