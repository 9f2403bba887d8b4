"""Render the archive's documents from the templates next to this file."""

import contextlib
import os
import platform
import re
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import jinja2
import psutil

from podium.core import files, paths
from podium.core.paths import Fold
from podium.params.schema import Params
from podium.submission import text_tables

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {"md": text_tables.escape, "code": text_tables.code}
GPU_QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


def render(params: Params, seconds: dict[str, float]) -> dict[str, bytes]:
    """Render all documents, by name. `seconds` are the measured times of `steps` other than train;
    empty if they were not measured.
    """
    slug, commands = params.competition.slug, steps(params)
    training_seconds = Counter[str]()  # by command
    for run in list_runs(params):
        record = files.read_json(paths.metrics(*run))
        training_seconds[command(params, "train", *run)] += record["seconds"]
    with zipfile.ZipFile(paths.RAW / f"{slug}.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    values = {
        "params": params,
        "paths": paths,
        "steps": commands,
        "embeddings": params.used_embeddings(),
        "record": files.read_json(paths.SUBMISSIONS / f"{slug}.json"),
        "scores": files.read_json(paths.METRICS / "ensemble.json"),
        "hardware": _hardware(),
        "data": sorted(Counter(re.sub("/.*", "/", name) for name in names).items()),
        "measured": bool(seconds),
        "seconds": {**training_seconds, **seconds},
    }
    return {
        name.removesuffix(".j2"): TEMPLATES.get_template(name).render(values).encode()
        for name in TEMPLATES.list_templates(extensions=["j2"])
    }


def list_runs(params: Params) -> list[tuple[str, Fold]]:
    """The ensemble's pairs of member and fold."""
    return [(name, fold) for name in params.ensemble.members for fold in params.folds.of(name)]


def command(params: Params, stage: str, member: str, fold: Fold) -> str:
    """The command of the stage train or predict; a probe does both, for all folds."""
    if member in params.probes:
        return f"python src/probe.py --probe {member}"
    if fold == "all":
        return f"python src/{stage}_all.py --model {member}"
    return f"python src/{stage}.py --model {member} --fold {fold}"


def steps(params: Params) -> dict[str, list[str]]:
    """The commands of Kaggle's three steps: prepare, train, predict."""
    runs = list_runs(params)
    prepare = ["python src/prepare.py", "python src/folds.py"]
    prepare += [f"python src/embed.py --embedding {name}" for name in params.used_embeddings()]
    source, solution = params.competition.source, params.competition.solution
    if source in ("builtin", "kaggle") and not solution:  # can be fetched on another machine
        prepare.insert(0, "python src/fetch.py")

    def commands(stage: str) -> list[str]:
        return list(dict.fromkeys(command(params, stage, *run) for run in runs))

    return {
        "prepare": prepare,
        "train": commands("train"),
        "predict": [*commands("predict"), "python src/ensemble.py", "python src/submission.py"],
    }


def _hardware() -> dict[str, str]:
    """Describe this machine."""
    cpu, system, gpus = platform.processor() or "unknown", platform.platform(), "none"
    with contextlib.suppress(OSError, StopIteration):  # Linux only
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    with contextlib.suppress(OSError):
        system = f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({system})"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        query = subprocess.run(GPU_QUERY, capture_output=True, encoding="utf-8", check=True)
        gpus = "; ".join(query.stdout.splitlines())
    return {
        "CPU": f"{cpu}, {platform.machine()}",
        "Cores": f"{psutil.cpu_count(logical=False) or 'unknown'} ({os.cpu_count()} logical)",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "GPU (name, memory, driver)": gpus,
        "Operating system": system,
    }
