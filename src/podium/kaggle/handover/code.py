"""Which files of a project are its code: what may be handed to others, and what may not."""

import re
import subprocess
from pathlib import Path

from podium.config.competition import Competition
from podium.core.errors import examples

CODE = ("src", "recipes", "tests", "benchmarks", "docs")  # where git cannot tell
CODE_FILES = ["Makefile", "README.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml"]
CODE_FILES += ["requirements.in", "requirements-dev.in", "requirements-dev.txt"]
# What the pipeline makes, of which the archive has its own choice, and the settings of tools: those
# of DVC may name a storage and how to get in.
NOT_CODE = {"data", "models", "metrics", "submissions", "reports", "handover", ".dvc", ".git"}
NOT_CODE |= {".venv", ".checkpoints", "pretrained"}
SECRET = re.compile(
    r"kaggle\.json|access_token|\.?netrc|\.env.*|credentials(\.json)?|id_(rsa|dsa|ecdsa|ed25519)"
    r"|config\.local|.*\.(pem|key|p12)",
    re.IGNORECASE,
)


def listing(competition: Competition) -> list[Path]:
    """The files that git tracks, or where it tracks none the known ones; and all our programs."""
    known = [path for top in CODE for kind in ("py", "md", "yaml") for path in _files(top, kind)]
    tracked = _tracked() or [*known, *map(Path, CODE_FILES)]
    given = [Path(p).expanduser() for p in (competition.source, competition.solution) if p]
    data = [path.resolve() for path in given if path.exists()]
    found = sorted(
        path
        for path in {*tracked, *_files("src", "py")}
        if path.is_file()
        and not path.is_symlink()
        and path.parts[0] not in NOT_CODE
        and not any(path.resolve().is_relative_to(folder) for folder in data)
    )
    secret = [path for path in found if any(SECRET.fullmatch(part) for part in path.parts)]
    if secret:
        print(f"warning: left out, since they look like credentials: {examples(secret)}")
    return [path for path in found if path not in secret]


def _files(top: str, kind: str) -> list[Path]:
    return [*Path(top).rglob(f"*.{kind}")]


def _tracked() -> list[Path]:
    command = ["git", "ls-files", "-z"]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [Path(name) for name in done.stdout.split("\0") if name]
