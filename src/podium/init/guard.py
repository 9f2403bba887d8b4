"""Not overwriting what a person has written and git has not."""

import subprocess
from pathlib import Path

from podium.core.errors import UserError


def refuse_to_lose(path: Path, *, what: str) -> None:
    """Check that git could bring back the file at `path` as it now is; `what` would overwrite it.

    Raises:
        UserError: if there is no git, if it does not know the file, or if there are edits that are
            not committed.
    """
    command = ["git", "status", "--porcelain", "--ignored", "--", str(path)]
    try:
        state = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise UserError(
            f"git does not know {path}, so {what} would overwrite it for good: "
            f"`git init && git add {path} && git commit -m params` first"
        ) from None
    if state.startswith(("??", "!!")):
        raise UserError(
            f"git does not know {path}, so {what} would overwrite it for good: "
            f"`git add --force {path} && git commit -m params` first"
        )
    if state:
        raise UserError(
            f"{path} has edits that are not committed, and {what} would lose them: "
            f"`git commit {path}` keeps them, `git checkout {path}` drops them"
        )
