"""Look at a competition's files and write params.yaml; then `dvc repro`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from podium.competition import fetch
from podium.competition.archive import Archive
from podium.config.competition import Competition
from podium.core import files, params_file, program
from podium.init import defaults, dry_run, guard, guesses, params_text, printout
from podium.init import layout as layouts
from podium.init import source as origin
from podium.init.guesses import Chooser
from podium.init.survey import survey
from podium.params import schema

RAW, SOLUTION = Path("data/raw"), Path("data/solution")


def main() -> None:
    """Fetch the files, tell how they are laid out, try that, and write params.yaml."""
    options = _options()
    if params_file.PARAMS.exists():
        guard.refuse_to_lose(params_file.PARAMS, what="make init")
    source, slug = origin.source_and_slug(options.source, options.slug)
    defaults.check_weights(options.pretrained)
    with origin.beside(RAW, slug) as raw:
        fetch.fetch(Competition(source=source, slug=slug), raw=raw, solution=SOLUTION)
        with Archive(raw / f"{slug}.zip") as archive:
            found = survey(archive)
            print(printout.of_files(found, slug))
            asks = sys.stdin.isatty() and sys.stdout.isatty() and not options.yes
            chooser = Chooser(_given(options), ask=guesses.on_terminal if asks else None)
            layout = layouts.understand(found, chooser)
            print(printout.of_guesses(chooser.chosen, layout.notes), flush=True)
            tables = dry_run.try_out(archive, layout)
        architecture = options.pretrained and defaults.architecture_of(options.pretrained)
        text = params_text.write(
            layout,
            tables,
            source=source,
            slug=slug,
            on=defaults.device(),
            pretrained=options.pretrained,
            architecture=architecture,
        )
        schema.validate(params_file.parse(text, source="make init"), source="make init")
    files.write_text(params_file.PARAMS, text)
    if options.pretrained and architecture is None:
        print(
            f"  {options.pretrained} is named after no architecture of timm: check `architecture`"
        )
    print(printout.of_next_steps(chooser.chosen))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a folder, a zip, or a competition's name on Kaggle")
    parser.add_argument("--slug", help="its name in the URL on Kaggle")
    parser.add_argument("--yes", action="store_true", help="ask nothing: take the best guesses")
    parser.add_argument("--task")
    parser.add_argument("--metric")
    parser.add_argument("--id-column")
    parser.add_argument("--label-column", help="or several with commas between, one a class")
    parser.add_argument("--label-pattern", help="a regular expression: the label in a file's name")
    parser.add_argument("--group-column", help="or none")
    parser.add_argument("--pretrained", help="a file of weights, instead of timm's from the hub")
    return parser.parse_args()


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line says, by key of params.yaml."""
    keys = (
        "task",
        "metric",
        "prepare.id_column",
        "prepare.label_column",
        "prepare.label_pattern",
        "prepare.group_column",
    )
    said = {key: getattr(options, key.rpartition(".")[2]) for key in keys}
    return {key: value for key, value in said.items() if value is not None}


if __name__ == "__main__":
    program.run(main)
