"""Export a finished project for a code competition -> kernels/<slug>/; with --push submit it."""

import argparse
from pathlib import Path

from podium.competition import kaggle_api
from podium.core import console, paths, program
from podium.core.errors import UserError
from podium.kaggle import check, history, scores, submit
from podium.kaggle.kernel import export, push
from podium.kaggle.kernel.export import ExportName
from podium.params import schema

KERNELS = Path("kernels")


def main() -> None:
    """Export the project; with --push run it on Kaggle and submit its output."""
    options = _options()
    params = schema.load()
    slug = params.competition.slug
    api = kaggle_api.login() if options.push else None
    owner = options.owner or push.default_owner(api)
    name = ExportName.create(slug, owner=owner, title=options.title)
    folder = KERNELS / slug
    export.export(params, folder, name=name, with_wheels=options.wheels)
    for path in sorted(folder.glob("*/*")):
        console.say(f"{path}: {path.stat().st_size:,} bytes")
    if api is None:
        return
    # Not checked against the history: the same public rows may come from different code.
    checked = check.check(paths.SUBMISSIONS / f"{slug}.csv", params)
    message = options.message or checked.message
    if scores.settle(api, slug, history.PATH):
        raise UserError("an earlier run was interrupted, see above. Run it again to submit.")
    client = push.KernelClient(api, name, slug)
    version = client.run(folder, wait_minutes=options.wait)
    file = f"{name.ref} version {version}"
    row = submit.send(
        api,
        submit.describe(checked, slug=slug, message=message, file=file),
        action=f"submit version {version} of {name.ref}",
        request=lambda: client.submit(version, message),
        allow_repeated=True,
    )
    console.say(f"submitted to {slug}: {file}, ref {row['ref']}")
    row = submit.add_score(api, row, wait_minutes=options.wait)
    console.say(submit.summary(row))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--push", action="store_true", help="run it on Kaggle, submit its output")
    parser.add_argument(
        "--wheels", action="store_true", help="include packages that Kaggle may lack"
    )
    parser.add_argument("--owner", help="your Kaggle user name (default: from the credentials)")
    parser.add_argument(
        "--title", help="title of data set and kernel (default: podium-<competition>)"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=60,
        metavar="MINUTES",
        help="maximum wait for the kernel, and again for the score (default: 60)",
    )
    parser.add_argument("--message", help="default: the out-of-fold score and the commit")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main)
