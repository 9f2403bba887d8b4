"""Ask git about the project in the working directory."""

import os
import subprocess

from podium.core.errors import UserError


def output(*arguments: str) -> str | None:
    """Return what git prints; None if it is not installed or this is not a git repository.

    Raises:
        UserError: with git's message if it fails for another reason, such as "dubious ownership".
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            env={**os.environ, "LC_ALL": "C"},  # messages in English
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
        )
    except FileNotFoundError:
        return None
    if done.returncode == 0:
        return done.stdout
    if "not a git repository (or any" in done.stderr:
        return None
    reason = done.stderr.strip() or f"it exited with status {done.returncode}"
    raise UserError(f"`git {arguments[0]}` failed: {reason}")
