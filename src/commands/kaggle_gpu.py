"""Train and predict on Kaggle's GPUs: what `dvc status` reports as missing."""

import argparse
import contextlib
import re
from pathlib import Path

from podium.cluster import session, snapshot
from podium.competition import kaggle_api
from podium.core import console, params_file, program
from podium.core.errors import UserError, nearest
from podium.kaggle_gpu import work
from podium.kaggle_gpu.client import Client
from podium.kaggle_gpu.runner import MACHINES, Request, Runner
from podium.params import schema

MAX_HOURS = 11.5  # Kaggle ends a notebook after 12


def main() -> None:
    """Bring every training run and prediction up to date; `dvc repro` does the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("on", help="kaggle")
    parser.add_argument("--gpu", default="T4x2", help=f"{' or '.join(MACHINES)} (default: T4x2)")
    parser.add_argument("--hours", default="8.5", help="per notebook (default: 8.5)")
    parser.add_argument("--models", help="names, with commas (default: all)")
    parser.add_argument("--predict", action="store_true", help="predict only, with trained models")
    options = parser.parse_args()
    if not options.on:
        raise UserError("ON is not set. Set ON=kaggle, or run `dvc repro` on this machine.")
    if options.on != "kaggle":
        raise UserError(
            f"ON must be kaggle, not {options.on!r}. On this machine, run `dvc repro` instead."
        )
    if options.gpu not in MACHINES:
        raise UserError(f"GPU must be {' or '.join(MACHINES)}, not {options.gpu!r}.")
    hours, params = _hours(options.hours), schema.load()
    models = () if options.models is None else _models(options.models, [*params.models])
    work.check(params)
    command = f"make {'predict' if options.predict else 'train'} ON=kaggle"
    client = Client(kaggle_api.login())
    client.check_version()
    with session.only_driver(command):
        request = Request(MACHINES[options.gpu], hours, models, options.predict)
        runner = Runner(client, request)
        runner.resume()
        client.check_competition(params.competition.slug)
        snapshot.files(Path.cwd(), params_file.read(params_file.PARAMS))  # or fail now
        session.reproduce_folds()
        while runner.run(schema.load(), params_file.read(params_file.PARAMS)):
            session.reproduce_folds()  # params may have changed in the meantime
    done = "have predicted" if options.predict else "are trained"
    console.say(f"{', '.join(models) or 'all models'} {done}: run `dvc repro`")


def _hours(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (hours := float(text)) <= MAX_HOURS:
            return hours
    raise UserError(f"HOURS must be a number above 0 and at most {MAX_HOURS}, not {text!r}.")


def _models(text: str, known: list[str]) -> tuple[str, ...]:
    models = tuple(filter(None, re.split(r"[\s,]+", text)))
    if not models:
        raise UserError(f"MODELS has no names. Choose from {', '.join(known)}.")
    if unknown := [name for name in models if name not in known]:
        hint = nearest(unknown[0], known) or f". Choose from {', '.join(known)}."
        raise UserError(f"MODELS: params.yaml has no model {unknown[0]}{hint}")
    return models


if __name__ == "__main__":
    program.run(main)
