"""Compare Podium, as `make init` leaves it, with other ways to the same competitions' scores.

    python benchmarks/score.py data/weather.zip:data/weather-solution.csv digits \
        --weights mobilenetv2_100.safetensors --others score-env/bin/python

A competition is ARCHIVE:SOLUTION, a zip or a folder and a CSV with the test labels, which no system
gets to see. ARCHIVE:SOLUTION:COLUMN keeps only one of several label columns. `digits` are 1,000 of
scikit-learn's digits. The task must have one label per image. `--per-class 7` keeps only seven
training images of each class, the same for all systems and seeds.

- podium: `make init SOURCE=… YES=1` in a new project folder with `--pretrained` weights and as many
  `--minutes` as keep within `--seconds`, another seed in params.yaml, and `dvc repro`.
- logistic: logistic regression on the frozen backbone's features (score_logistic.py).
- fastai: `fine_tune` with TTA (score_fastai.py).
- autogluon: MultiModalPredictor (score_autogluon.py).

All start from the weights in `--weights`, a .safetensors file named after its timm architecture,
and get `--seconds` of CPU time, of all their processes and threads together. A run that takes more
has failed. Other processes slow a run down but don't use up its time. OMP_NUM_THREADS limits the
number of threads.

fastai and AutoGluon need an environment of their own, whose Python `--others` names:

    python -m venv score-env
    score-env/bin/pip install --require-hashes -r benchmarks/requirements-score.txt

The table has means and standard errors over the seeds. A system's rank is 1 + the number of systems
whose mean is better by more than the standard error of the difference.

Finished runs are appended to `--results` and not repeated when the program is started again. After
a change to Podium, delete its lines or the file.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from common import table
from score_competition import Competition
from score_runs import Run, Settings, run
from score_table import HEADER, rows

from podium.init.weights import architecture_of

SYSTEMS = ("podium", "logistic", "fastai", "autogluon")
MODULES = {"fastai": "fastai", "autogluon": "autogluon"}  # of systems in another environment


def main() -> None:
    """Run what is missing, and print the table."""
    options = _options()
    # Not resolved: an environment's Python is a link to one outside.
    others = options.others and options.others.absolute()
    systems = [name for name in options.systems.split(",") if is_available(name, others)]
    settings = Settings(
        weights=options.weights.resolve(),
        architecture=_architecture(options.weights),
        others=others,
        size=options.size,
        seconds=options.seconds,
    )
    known = _read(options.results)
    runs: list[Run] = []
    for entry in options.competitions:
        with tempfile.TemporaryDirectory(prefix="score-") as folder:
            competition = Competition(entry, Path(folder), per_class=options.per_class)
            for seed in options.seeds:
                for system in systems:
                    key = (competition.name, system, seed, settings.seconds, settings.size)
                    if key not in known:
                        known[key] = run(system, competition, settings, seed)
                        with options.results.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(known[key]._asdict()) + "\n")
                    runs.append(known[key])
    table(HEADER, rows(runs))


def _read(path: Path) -> dict[tuple[object, ...], Run]:
    """The finished runs by competition, system, seed, time and size."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {finished.key: finished for finished in (Run(**json.loads(line)) for line in lines)}


def _architecture(weights: Path) -> str:
    name = architecture_of(str(weights))
    if not weights.is_file() or name is None:
        sys.exit(f"error: {weights} is not a file that is named after a timm architecture")
    return name


def is_available(system: str, others: Path | None) -> bool:
    """Whether a system can run; if not, say why."""
    if system not in SYSTEMS:
        sys.exit(f"error: --systems: choose from {','.join(SYSTEMS)}, not {system}")
    if (module := MODULES.get(system)) is None:
        return True
    reason = "--others is not given"
    if others is not None:
        find = (
            f"import importlib.util; raise SystemExit(importlib.util.find_spec({module!r}) is None)"
        )
        if others.is_file() and subprocess.run([others, "-c", find], check=False).returncode == 0:
            return True
        reason = f"{others} does not have it"
    print(f"{system} is skipped: {reason}", file=sys.stderr)
    return False


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("competitions", nargs="+", metavar="ARCHIVE:SOLUTION")
    parser.add_argument("--weights", type=Path, required=True, help="of the backbone")
    parser.add_argument("--others", type=Path, help="the Python that has fastai and AutoGluon")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--per-class", type=int, help="keep so many training images per class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2])
    parser.add_argument("--seconds", type=float, default=300, help="of CPU time, per run")
    parser.add_argument("--size", type=int, default=160, help="of the other systems' images")
    parser.add_argument("--results", type=Path, default=Path("scores.jsonl"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
