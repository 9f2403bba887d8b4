"""The token without which nobody can use a cluster: Ray runs whatever it is sent."""

import contextlib
import os
import secrets
from pathlib import Path

from podium.core.errors import UserError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"  # Ray's names
COPY = (
    "Copy that of the machine with the head (`make node` without HEAD creates it there), with mode "
    "600."
)


def path() -> Path:
    """The token's file: Ray's own default, outside of the project.

    Raises:
        UserError: if there is no home folder.
    """
    try:
        return Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
    except RuntimeError:
        raise UserError(f"This user has no home folder for the token. Set {TOKEN_PATH}.") from None


def where() -> str:
    """Where this process has the token from."""
    return f"the variable {TOKEN}" if os.environ.get(TOKEN, "").strip() else str(path())


def require(*, create: bool = False) -> None:
    """Make this process, and what it starts, use the token. `create` it if there is none.

    Raises:
        UserError: if there is none, or if others can read its file.
    """
    os.environ[MODE] = "token"
    if os.environ.get(TOKEN, "").strip():
        return
    file = path()
    if create and not file.exists():
        _create(file)
    try:
        words = file.read_text(encoding="ascii").split()
    except FileNotFoundError:
        raise UserError(f"{file} not found: a cluster needs a token. {COPY}") from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}. {COPY}") from None
    except UnicodeDecodeError:
        words = []
    if len(words) != 1:
        problem = "is empty" if file.stat().st_size == 0 else "does not contain one token"
        raise UserError(f"{file} {problem}. {COPY} Or delete it to create another token there.")
    if file.stat().st_mode & 0o077:
        raise UserError(f"Others can read {file}. Run `chmod 600 {file}`.")
    os.environ[TOKEN_PATH] = str(file)


def _create(file: Path) -> None:
    """Write it before it gets its name, which another process may do at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()
