"""The README of the winner's archive: on what, with what, from what, how, and how well."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from podium.kaggle.handover.commands import Handover

PACKAGES = ["torch", "torchvision", "timm", "albumentations", "accelerate", "safetensors"]
PACKAGES += ["numpy", "pandas", "pyarrow", "scikit-learn", "opencv-python-headless", "pillow"]
GPUS = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]


def render(
    made: Handover,
    record: dict[str, Any],
    *,
    seconds: dict[str, float],
    scores: dict[str, Any],
    raw: dict[str, int],
) -> str:
    """The README: `record` is the submission's, `seconds` what commands took, `scores`
    metrics/ensemble.json, `raw` what the competition's archive holds at its top.
    """
    folds = ", ".join(map(str, made.folds))
    version = ".".join(record["python"].split(".")[:2])
    return f"""# {made.slug}

The solution behind `{made.submission}` (SHA-256 `{record["sha256"]}`): all code and params, and the
trained weights: of {", ".join(made.members)}, for each of the held-out folds {folds}.
`entry_points.md` has the commands, `SETTINGS.json` the paths, `params.yaml` all choices,
`directory_structure.txt` the list of files, `{made.record}` the hashes of all that the
submission was made of. The code is that of Podium; `PODIUM.md` and `docs/` describe it, where they
are here.

## Hardware

{_table([["", "this archive was packed on"], *hardware()])}

The models were trained on: {", ".join(record["devices"])}.

## Software

{_table([["", "with which the submission was made"], *_software(record)])}

`requirements.txt` locks every package with its hash. To install:

```sh
python{version} -m venv .venv
. .venv/bin/activate
pip install -r requirements.txt
```

No configuration files outside of this folder are needed.{_network(made)}

## Data

{_data(made, record, raw)}

## How to predict with the trained weights

Steps 1 and 3 of `entry_points.md`. On the same kind of device and system (a CPU: with as many
cores) the submission comes out byte for byte; elsewhere the last digits of the logits may differ.
Where `prepare.py` resizes images and rounds one byte differently, `ensemble.py` refuses the weights
(`images_sha256`): then train first.

For a new test set, put an archive at `data/raw/{made.slug}.zip` whose test table, sample submission
and test images are new, and whose training data are as they were; then run
{_again(made)} and step 3.

## How to train

Steps 1, 2 and 3 of `entry_points.md`. Everything random follows from `seed` in `params.yaml`.

## Scores

{_scores(scores)}

Metric: {scores["metric"]}; out of fold: each image by the model that was not trained on it.

## How long each step took

{_times(made, seconds)}

Trainings: their epochs, as recorded when they ran. {_other_times(made, seconds)}

## Side effects and assumptions

- The commands run in this folder, and write only into the folders of `SETTINGS.json`, over what is
  there; these need not be empty. `SETTINGS.json` is a list: the programs have the same paths as
  constants, so an edit of it moves nothing.
- The archive of the competition is only read{", but by `fetch.py`" if made.is_fetched else ""}.
- Neither git nor DVC is needed. `dvc.yaml` and `dvc.lock` say how the steps hang together, and what
  went in and came out, by hash.{_moved(made)}
"""


def hardware() -> list[list[str]]:
    """What this machine is, as rows of name and value."""
    memory = psutil.virtual_memory().total / 2**30
    rows = [
        ["CPU", f"{_cpu()}, {platform.machine()}"],
        ["cores", f"{psutil.cpu_count(logical=False) or '?'}, {os.cpu_count()} logical"],
        ["memory", f"{memory:.0f} GiB"],
        ["GPU (name, memory, driver)", "; ".join(_gpus()) or "none"],
    ]
    return [*rows, ["operating system", _system()]]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or "CPU"


def _gpus() -> list[str]:
    if shutil.which(GPUS[0]) is None:
        return []
    done = subprocess.run(GPUS, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _system() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({platform.platform()})"
    except (OSError, KeyError):
        return platform.platform()


def _software(record: dict[str, Any]) -> list[list[str]]:
    """Versions by name, as they were recorded; with those that are here, where they differ."""
    rows = [["system", record["platform"]], ["Python", record["python"]]]
    for name in PACKAGES:
        if (version := record["packages"].get(name)) is not None:
            here = _installed(name)
            rows.append([name, version if here == version else f"{version} (here now: {here})"])
    git = record["git"]
    if git is not None:
        edited = f", {len(git['changed'])} files edited since" if git["changed"] else ""
        rows.append(["commit", f"{git['commit']}{edited}"])
    return rows


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _network(made: Handover) -> str:
    if not any(model.pretrained is True for model in made.members.values()):
        return ""
    return (
        " Training starts from timm's weights and downloads them\nfrom the Hugging Face hub at its "
        "first run; predicting does not."
    )


def _data(made: Handover, record: dict[str, Any], raw: dict[str, int]) -> str:
    slug, source, archive = made.slug, made.competition.source, record["data"]
    place = f"`data/raw/{slug}.zip`"
    if source == "builtin":
        return f"`python src/fetch.py` writes it to {place}: it comes with scikit-learn."
    ours = f"{archive['bytes']:,} bytes, SHA-256 `{archive['sha256']}`"
    if made.is_fetched:
        text = f"""Not here: Kaggle's rules keep it to those who accept them. `python src/fetch.py`
downloads it to {place}, with a token of Kaggle's. One that is there already is
kept if it is the one that was used: {ours}."""
    else:
        packed = (
            ", packed from a folder: Kaggle's has other bytes"
            if Path(source).expanduser().is_dir()
            else ""
        )
        text = f"""Not here: Kaggle's rules keep it to those who accept them. Put the competition's
zip at {place}, for instance with `kaggle competitions download -c {slug} -p data/raw`.
The one that was used had {ours}{packed}."""
    rows = [[f"`{name}`", f"{count:,}"] for name, count in raw.items()]
    return text + "\n\nIt holds:\n\n" + _table([["", "files"], *rows])


def _again(made: Handover) -> str:
    return " and ".join(f"`{command}`" for command in made.prepare() if "fetch" not in command)


def _scores(scores: dict[str, Any]) -> str:
    """A row a model and one of the ensemble: each fold, their mean ± std, all folds together."""
    folds = list(scores["ensemble"]["folds"])
    rows = [["model", "weight", *(f"fold {k}" for k in folds), "mean ± std", "out of fold"]]
    for name, found in [*scores["members"].items(), ("**ensemble**", scores["ensemble"])]:
        spread = "" if found["std"] is None else f" ± {found['std']:.4f}"
        weight = f"{found['weight']:.3f}" if "weight" in found else ""
        each = [f"{value:.4f}" for value in found["folds"].values()]
        rows.append([name, weight, *each, f"{found['mean']:.4f}{spread}", f"{found['oof']:.4f}"])
    return _table(rows)


def _times(made: Handover, seconds: dict[str, float]) -> str:
    commands = [*made.prepare(), *made.train(), *made.predict()]
    rows = [
        [f"`{command}`", f"{seconds[command]:.1f}" if command in seconds else "not recorded"]
        for command in commands
    ]
    return _table([["command", "seconds"], *rows])


def _other_times(made: Handover, seconds: dict[str, float]) -> str:
    if made.predict()[-1] not in seconds:
        return "Those of the other commands were not."
    download = ", but without a download" if made.is_fetched else ""
    return (
        "The others: measured in a copy\nof this archive on the hardware above, from start to end"
        f"{download}; the same submission came out."
    )


def _moved(made: Handover) -> str:
    if not any(isinstance(model.pretrained, str) for model in made.members.values()):
        return ""
    return (
        "\n- Trainings start from weights that are here too. Where those lay outside of the "
        "project, `pretrained`\n  in `params.yaml` leads to `pretrained/`; all else is as it was."
    )


def _table(rows: list[list[str]]) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])
