"""What leaves the driver: the files of the tree that a training run reads, and nothing else."""

import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from podium.core.errors import UserError, examples

# Of these, what git does not ignore.
SENT = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", "src", "custom", "data/pseudo")
# Files with credentials, whatever .gitignore says.
SECRETS = ("kaggle.json", "access_token", "auth_token", ".env*", ".netrc", "*.pem", "*.key",
           "id_rsa*", "id_ed25519*", "credentials*")  # fmt: skip
# Params that training and prediction read.
SECTIONS = ("metric", "models", "predict")


def files(root: Path, params: dict[str, Any]) -> dict[str, bytes]:
    """The snapshot of the tree at `root`: paths and contents.

    Raises:
        UserError: if it is not in git, or params name files outside of it.
    """
    weights = _pretrained(root, params)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SENT]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if done.returncode != 0:
        raise UserError("Only files that git does not ignore are sent. Run `git init`.")
    names = [*dict.fromkeys(done.stdout.decode(errors="surrogateescape").split("\0")), *weights]
    return {name: (root / name).read_bytes() for name in names if name and _is_sent(root, name)}


def _is_sent(root: Path, name: str) -> bool:
    path = root / name
    is_secret = any(PurePath(part).match(p) for part in PurePath(name).parts for p in SECRETS)
    return path.is_file() and path.resolve() == root.resolve() / name and not is_secret


def _pretrained(root: Path, params: dict[str, Any]) -> list[str]:
    """The weights files in the tree that models start from."""
    absolute = [
        f"{key}: {text}"
        for section in SECTIONS
        for key, text in _strings(params.get(section), section)
        if text.startswith("~") or PurePath(text).is_absolute() or PureWindowsPath(text).drive
    ]
    if absolute:
        raise UserError(
            f"{examples(absolute)}: a node does not have the files of this machine. Copy them into "
            "the project's folder, and use relative paths."
        )
    models = params.get("models") or {}
    names = [model.get("pretrained") for model in models.values()]
    weights = sorted({name for name in names if isinstance(name, str)})
    outside = [name for name in weights if not _is_sent(root, name)]
    if outside:
        raise UserError(
            f"pretrained: {examples(outside)}: no file in the project's folder. Copy it there."
        )
    return weights


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """All strings in a section of the params, with their keys."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _strings(inner, f"{key}.{number}")
