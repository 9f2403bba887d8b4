"""Render the archive's README.md and entry_points.md."""

import contextlib
import os
import platform
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
import psutil

from podium.core import files, paths
from podium.kaggle.handover.solution import Solution

PACKAGES = ["torch", "torchvision", "timm", "albumentations", "accelerate", "safetensors", "numpy"]
PACKAGES += ["pandas", "pyarrow", "scikit-learn", "opencv-python-headless", "pillow"]
GPU_QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


def render(template: str, solution: Solution, **values: Any) -> bytes:
    """Render one of the templates next to this file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(template).render(solution=solution, **values)
    return text.encode()


def render_readme(solution: Solution, seconds: dict[str, float]) -> bytes:
    """Render README.md; `seconds` are the measured times of commands other than training."""
    record = files.read_json(solution.record)
    versions = {name: record["packages"].get(name) for name in PACKAGES}
    return render(
        "README.md.j2",
        solution,
        record=record,
        versions={name: version for name, version in versions.items() if version},
        hardware=_hardware(),
        scores=files.read_json(paths.METRICS / "ensemble.json"),
        data=_top_level(solution.archive),
        measured=bool(seconds),
        seconds={**solution.training_seconds(), **seconds},
    )


def _top_level(archive: Path) -> dict[str, int]:
    """Count the files in each top-level folder or file of a zip."""
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/")]
    tops = Counter(name.partition("/")[0] + "/" * ("/" in name) for name in names)
    return dict(sorted(tops.items()))


def _hardware() -> dict[str, str]:
    """Describe this machine."""
    cpu, system, gpus = platform.processor() or "unknown", platform.platform(), ""
    with contextlib.suppress(OSError, StopIteration):  # Linux only
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    with contextlib.suppress(OSError, KeyError):
        system = f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({system})"
    if shutil.which(GPU_QUERY[0]):
        query = subprocess.run(GPU_QUERY, capture_output=True, text=True, check=False)
        gpus = "; ".join(query.stdout.strip().splitlines()) if query.returncode == 0 else ""
    return {
        "CPU": f"{cpu}, {platform.machine()}",
        "Cores": f"{psutil.cpu_count(logical=False) or 'unknown'} ({os.cpu_count()} logical)",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "GPU (name, memory, driver)": gpus or "none",
        "Operating system": system,
    }
