"""Which files of the project are code that may be handed over."""

import re
from pathlib import Path

from podium.config.competition import Competition
from podium.core import paths
from podium.core.errors import UserError, examples
from podium.submission import git

# Code that belongs in the archive even if git does not track it yet.
CODE = ("src", "custom", "recipes", "docs", "tests", "benchmarks", "Makefile", "requirements*")
# Outputs, of which the archive has its own selection, and DVC's settings: they may contain the
# address and the credentials of a remote storage.
OUTPUTS = (paths.DATA, paths.MODELS, paths.METRICS, paths.SUBMISSIONS, paths.REPORTS)
EXCLUDED = {".dvc", *map(str, OUTPUTS)}
SECRET = re.compile(
    r"kaggle\.json|access_token|\.?netrc|\.env.*|credentials(\.json)?|id_(rsa|dsa|ecdsa|ed25519)"
    r"|config\.local|.*\.(pem|key|p12)",
    re.IGNORECASE,
)


def list_files(competition: Competition) -> list[Path]:
    """List the files that git tracks and untracked code, without data, outputs and credentials."""
    names = _git_files() | _git_files("--others", "--exclude-standard", "--", *CODE)
    sources = [Path(p).expanduser() for p in (competition.source, competition.solution) if p]
    data = [path.resolve() for path in sources if path.exists()]
    code = [
        path
        for path in map(Path, sorted(names))
        if path.is_file()
        and not path.is_symlink()
        and path.parts[0] not in EXCLUDED
        and not any(path.resolve().is_relative_to(source) for source in data)
    ]
    secrets = [path for path in code if any(SECRET.fullmatch(part) for part in path.parts)]
    if secrets:
        print(f"warning: skipping files that look like credentials: {examples(secrets)}")
    return [path for path in code if path not in secrets]


def _git_files(*options: str) -> set[str]:
    listing = git.output("ls-files", "-z", *options)
    if listing is None:
        raise UserError("not in a git repository, which says which files to pack. Run `git init`.")
    return set(listing.split("\0")) - {""}
