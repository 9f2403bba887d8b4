"""A finished project -> kernels/<slug>/: weights and code for a code competition, and to Kaggle."""

import argparse
from pathlib import Path

from podium import config, exporting, kernel_push, progress, stage

KERNELS = Path("kernels")


def main() -> None:
    """Export the project; with --push send it to Kaggle, wait for it and submit it."""
    chosen = _options()
    params = config.validate(config.read(config.PARAMS))
    slug = params.competition.slug
    kaggle = kernel_push.Kaggle() if chosen.push else None
    owner = chosen.owner or (kaggle.user if kaggle else kernel_push.default_owner())
    called = exporting.names(slug, owner=owner, title=chosen.title)
    folder = KERNELS / slug
    exporting.export(params, folder, called=called, with_wheels=chosen.wheels)
    for path in sorted(folder.glob("*/*")):
        progress.say(f"{path}: {path.stat().st_size:,} bytes")
    if kaggle:
        ref = kaggle.push(
            folder, called, competition=slug, minutes=chosen.wait, message=chosen.message
        )
        progress.say(f"submitted to {slug}: {ref}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--push", action="store_true", help="to Kaggle, and submit what it makes")
    parser.add_argument("--wheels", action="store_true", help="with wheels of what Kaggle may lack")
    parser.add_argument("--owner", help="your name on Kaggle (default: that of the credentials)")
    parser.add_argument("--title", help="of data set and kernel (default: podium-<competition>)")
    parser.add_argument("--wait", type=float, default=60, help="minutes at most (default: 60)")
    parser.add_argument("--message", default="", help="of the submission")
    return parser.parse_args()


if __name__ == "__main__":
    stage.run(main)
