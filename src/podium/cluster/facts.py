"""What a node is: versions and device. Runs there, so it imports nothing of Podium."""

import contextlib
import importlib.metadata
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple


class Facts(NamedTuple):
    """What must be equal on all nodes, and what should be."""

    versions: dict[str, str]  # of Python and of installed packages
    device: str  # model of the first GPU, else of the CPU


def facts() -> Facts:
    """Describe this machine."""
    packages = importlib.metadata.distributions()
    versions = {_normalized(package.metadata["Name"]): package.version for package in packages}
    return Facts({**versions, "python": platform.python_version()}, _device())


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _device() -> str:
    if shutil.which("nvidia-smi") is not None:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.splitlines()[0].strip()
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if model := re.search(r"model name\s*: (.+)", text):
            return model[1]
    return platform.machine()
