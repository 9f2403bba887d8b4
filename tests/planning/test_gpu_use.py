"""The share of the time in which a GPU computes."""

import os
import stat
import time
from pathlib import Path

import pytest

from podium.planning import gpu_use
from podium.planning.gpu_use import GpuUse

# Says 7 at first, as in a warm-up, then 31.
COUNTING = """#!/bin/sh
case "$*" in *utilization.gpu*--id=GPU-5) ;; *) exit 1;; esac
if test -e {log}; then echo 31; else echo 7; fi
echo >>{log}
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path for an nvidia-smi, which comes first."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5,GPU-6")
    monkeypatch.setattr(gpu_use, "PAUSE_SECONDS", 0.01)
    return tmp_path / "nvidia-smi"


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def test_the_highest_reading_counts(smi: Path) -> None:
    log = smi.with_name("log")
    write(smi, COUNTING.format(log=log))
    with GpuUse() as use:
        while not log.exists() or log.stat().st_size < 3:
            time.sleep(0.01)
    assert use.share == 0.31


@pytest.mark.parametrize("text", ["#!/bin/sh\necho '[N/A]'", "#!/bin/sh\nexit 9"])
def test_what_nvidia_smi_does_not_say_is_not_known(smi: Path, text: str) -> None:
    write(smi, text)
    with GpuUse() as use:
        time.sleep(0.1)
    assert use.share is None


def test_without_a_gpu_nothing_is_asked(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(smi, f"#!/bin/sh\necho asked >{smi.with_name('log')}; echo 31")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with GpuUse() as use:
        time.sleep(0.1)
    assert use.share is None and not smi.with_name("log").exists()
