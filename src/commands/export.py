"""A finished project -> kernels/<slug>/: weights and code for a code competition, and to Kaggle."""

import argparse
from pathlib import Path

from podium.core import console, program
from podium.core.manifest import Manifest
from podium.kaggle import check, history, submit
from podium.kaggle.kernel import export, push
from podium.params import schema
from podium.params.schema import Params

DATA, KERNELS, SUBMISSIONS = Path("data"), Path("kernels"), Path("submissions")


def main() -> None:
    """Export the project; with --push send it to Kaggle, wait for it and submit it."""
    chosen = _options()
    params = schema.load()
    slug = params.competition.slug
    kaggle = push.Kaggle() if chosen.push else None
    owner = chosen.owner or (kaggle.user if kaggle else push.default_owner())
    called = export.names(slug, owner=owner, title=chosen.title)
    folder = KERNELS / slug
    export.export(params, folder, called=called, with_wheels=chosen.wheels)
    for path in sorted(folder.glob("*/*")):
        console.say(f"{path}: {path.stat().st_size:,} bytes")
    if kaggle:
        _push(kaggle, params, folder, called, chosen)


def _push(
    kaggle: push.Kaggle,
    params: Params,
    folder: Path,
    called: export.Names,
    chosen: argparse.Namespace,
) -> None:
    """Send and submit what was exported, and remember it as the submission that it was made of."""
    slug, past = params.competition.slug, SUBMISSIONS / "history.csv"
    checked = check.check_made(
        SUBMISSIONS / f"{slug}.csv",
        Manifest(DATA / "prepared.json"),
        params.metric,
        params.submission,
        slug=slug,
        past=history.read(past).head(0),  # other code may have made the same public rows
    )
    message = chosen.message or checked.message
    ref, version = kaggle.push(
        folder, called, competition=slug, minutes=chosen.wait, message=message
    )
    file = f"{called.ref} version {version}"
    console.say(f"submitted to {slug}: {file}, ref {ref}")
    row = submit.row_of(checked, ref, slug=slug, message=message, file=file)
    row = submit.settle(kaggle.api, row, minutes=chosen.wait, past=past)
    console.say(submit.outcome(row))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--push", action="store_true", help="to Kaggle, and submit what it makes")
    parser.add_argument("--wheels", action="store_true", help="with wheels of what Kaggle may lack")
    parser.add_argument("--owner", help="your name on Kaggle (default: that of the credentials)")
    parser.add_argument("--title", help="of data set and kernel (default: podium-<competition>)")
    parser.add_argument(
        "--wait",
        type=float,
        default=60,
        help="minutes at most for the kernel, then for the score (default: 60)",
    )
    parser.add_argument("--message", help="default: the out-of-fold score and the commit")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main)
