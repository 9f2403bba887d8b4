"""Search hyper-parameters: make search MODEL=resnet SET="phases.0.lr=log:1e-4:3e-2" TRIALS=20."""

import argparse

from podium.cluster import head, session
from podium.core import params_file, program
from podium.core.errors import UserError
from podium.params import schema

TRIALS = 20


def main() -> None:
    """Search, or show or use what a search has found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--set", default="", help="keys of the model and their ranges")
    parser.add_argument("--trials", type=int, default=TRIALS, help="with those before")
    parser.add_argument("--folds", default="", help="such as 0,1 (default: the first)")
    parser.add_argument("--jobs", type=int, help="trials at a time on this machine")
    parser.add_argument("--cluster", default="", help="host:port of the head, or auto")
    parser.add_argument("--gpus", type=int, help="per trial (default: 1 if a node has any)")
    parser.add_argument("--cpus", type=int, help="per trial (default: an equal share)")
    parser.add_argument("--list", action="store_true", help="list the trials")
    parser.add_argument("--plot", action="store_true", help="save Optuna's plots")
    parser.add_argument("--write", action="store_true", help="write the best values to params.yaml")
    options = parser.parse_args()
    for name in ("trials", "jobs", "gpus", "cpus"):
        value, minimum = getattr(options, name), 0 if name == "gpus" else 1
        if value is not None and value < minimum:
            raise UserError(f"{name.upper()} must be at least {minimum}, not {value}.")
    address = None
    if options.cluster:
        address = head.of_cluster(options.cluster, command="make search CLUSTER=…")
    try:
        from podium.search import results, search
    except ImportError as error:
        raise UserError(f"{error.name} is not installed. Run this as `make search`.") from None
    if options.list:
        results.show(options.model)
    elif options.plot:
        results.plot(options.model)
    else:
        params, text = schema.load(), params_file.PARAMS.read_text(encoding="utf-8")
        with session.only_driver("make search"):
            if options.write:
                results.write(options.model, params, text)
            else:
                search.run(options, params, text, address)


if __name__ == "__main__":
    program.run(main)
