"""The token without which nobody can use a cluster: Ray runs whatever it is sent."""

import os
import secrets
from pathlib import Path

from podium.core.errors import UserError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"  # Ray's names


def path() -> Path:
    """The token's file: Ray's own default, outside of the project."""
    return Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")


def require(*, create: bool = False) -> None:
    """Make this process, and what it starts, use the token. `create` it if there is none.

    Raises:
        UserError: if there is none, or if others can read its file.
    """
    os.environ[MODE] = "token"
    if os.environ.get(TOKEN):
        return
    file = path()
    if create and not file.exists():
        _create(file)
    if not file.exists() or not file.read_text(encoding="utf-8").strip():
        raise UserError(
            f"{file} not found: a cluster needs a token. Copy that of the machine with the head "
            "(`make node` without HEAD creates it there), with mode 600."
        )
    if file.stat().st_mode & 0o077:
        raise UserError(f"Others can read {file}. Run `chmod 600 {file}`.")
    os.environ[TOKEN_PATH] = str(file)


def _create(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(32))
