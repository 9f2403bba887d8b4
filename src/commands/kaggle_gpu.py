"""Train and predict on Kaggle's GPUs: what `dvc status` reports as missing."""

import argparse
import re

from podium.cluster import session
from podium.competition import kaggle_api
from podium.core import console, params_file, program
from podium.core.errors import UserError, nearest
from podium.kaggle_gpu.client import Client
from podium.kaggle_gpu.runner import MACHINES, Request, Runner
from podium.params import schema

MAX_HOURS = 11.5  # Kaggle ends a notebook after 12


def main() -> None:
    """Bring every training run and prediction up to date; `dvc repro` does the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("on", help="kaggle")
    parser.add_argument("--gpu", default="T4x2", help=f"{' or '.join(MACHINES)} (default: T4x2)")
    parser.add_argument("--hours", type=float, default=8.5, help="per notebook (default: 8.5)")
    parser.add_argument("--models", default="", help="names, with commas (default: all)")
    parser.add_argument("--predict", action="store_true", help="predict only, with trained models")
    options = parser.parse_args()
    if options.on != "kaggle":
        raise UserError(
            f"ON must be kaggle, not {options.on!r}. On this machine, run `dvc repro` instead."
        )
    if options.gpu not in MACHINES:
        raise UserError(f"GPU must be {' or '.join(MACHINES)}, not {options.gpu!r}.")
    if not 0 < options.hours <= MAX_HOURS:
        raise UserError(f"HOURS must be at most {MAX_HOURS}, not {options.hours:g}.")
    params = schema.load()
    models = tuple(filter(None, re.split(r"[\s,]+", options.models)))
    if unknown := [name for name in models if name not in params.models]:
        hint = nearest(unknown[0], params.models) or f". Choose from {', '.join(params.models)}."
        raise UserError(f"MODELS: params.yaml has no model {unknown[0]}{hint}")
    client = Client(kaggle_api.login())
    client.check_version()
    with session.only_driver("make train ON=kaggle"):
        request = Request(MACHINES[options.gpu], options.hours, models, options.predict)
        runner = Runner(client, request)
        runner.resume()
        session.reproduce_folds()
        while runner.run(schema.load(), params_file.read(params_file.PARAMS)):
            session.reproduce_folds()  # params may have changed meanwhile
    console.say("all models are trained: run `dvc repro`")


if __name__ == "__main__":
    program.run(main)
