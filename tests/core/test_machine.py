"""Cores and memory of the machine."""

import subprocess
import sys
from pathlib import Path

import pytest
from trainings import WITH_SRC

from podium.core import machine
from podium.core.errors import UserError

FAULTS = """
import resource, sys
import numpy as np
from podium.core import machine
if sys.argv[1] == "keep":
    machine.keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        several = [np.ones(number * 1_000_000, np.uint8) for number in range(1, 9)]
        del several
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's setting")
def test_memory_that_was_freed_is_used_again_without_page_faults() -> None:
    def faults(what: str) -> int:
        command = [sys.executable, "-c", FAULTS, what]
        return int(subprocess.run(command, env=WITH_SRC, capture_output=True, check=True).stdout)

    assert faults("hand back") > 5_000  # out of 44,000 pages
    assert faults("keep") < 500


def test_the_budget_is_a_share_of_what_the_machine_and_its_container_leave_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PODIUM_CACHE_MIB", raising=False)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "membership")
    assert machine.free_memory() > 2**26
    (tmp_path / "memory.current").write_text(f"{2**21}\n")
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {2**20}\nslab 8\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.free_memory() > 2**26
    (tmp_path / "memory.max").write_text(f"{65 * 2**20}\n")
    assert machine.free_memory() == 2**26
    assert machine.cache_bytes() == 2**24
    monkeypatch.setenv("PODIUM_CACHE_MIB", "3")
    assert machine.cache_bytes() == 3 * 2**20
    monkeypatch.setenv("PODIUM_CACHE_MIB", "all")
    with pytest.raises(UserError, match=r"PODIUM_CACHE_MIB .* not 'all'"):
        machine.cache_bytes()


MIB = 2**20
V2 = "0::/slurm.slice/job_7/step\n"
V1 = "9:name=systemd:/\n4:memory,hugetlb:/slurm/job_7/step\n1:cpuacct,cpu:/slurm/job_7/step\n"


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (machine.CORES_VARIABLE, machine.WORKERS_VARIABLE, machine.CACHE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "level", ["", "slurm.slice", "slurm.slice/job_7", "slurm.slice/job_7/step"]
)
def test_limits_of_nested_cgroups_v2_apply(cgroups: Path, level: str) -> None:
    (cgroups / "membership").write_text(V2)
    unlimited = {"memory__max": "max", "memory__current": "7", "cpu__max": "max 100000"}
    for path in ("", "slurm.slice", "slurm.slice/job_7", "slurm.slice/job_7/step"):
        write(cgroups / path, **unlimited, memory__stat="inactive_file 0")
    assert machine.cores() == 64 and machine.free_memory() > 64 * MIB
    limits = {"memory__max": str(9 * MIB), "memory__current": str(2 * MIB)}
    write(cgroups / level, **limits, cpu__max="250000 100000", memory__stat=f"inactive_file {MIB}")
    assert machine.free_memory() == 8 * MIB
    assert machine.cores() == machine.worker_count() == machine.loader_workers("cuda") == 3
    write(cgroups / "other", cpu__max="100000 100000")
    assert machine.cores() == 3
    write(cgroups / level, cpu__max="20000 100000")
    assert machine.cores() == 1


@pytest.mark.parametrize("level", ["", "slurm", "slurm/job_7", "slurm/job_7/step"])
def test_limits_of_nested_cgroups_v1_apply(cgroups: Path, level: str) -> None:
    (cgroups / "membership").write_text(V1)
    memory, cpu = cgroups / "memory" / level, cgroups / "cpu" / level
    write(cgroups / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert machine.cores() == 64
    write(memory, memory__limit_in_bytes=str(9 * MIB), memory__usage_in_bytes=str(2 * MIB))
    write(memory, memory__stat=f"cache 5\ntotal_inactive_file {MIB}")
    write(cpu, cpu__cfs_quota_us="400000", cpu__cfs_period_us="100000")
    assert machine.free_memory() == 8 * MIB
    assert machine.cores() == 4


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, machine.SPIN_COUNT), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, "")],
)
def test_the_threads_of_openmp_spin_for_a_short_time(given: dict[str, str], expected: str) -> None:
    ours = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    environment = {name: text for name, text in WITH_SRC.items() if name not in ours} | given
    code = "import os; import podium.core.machine; print(os.environ.get('GOMP_SPINCOUNT', ''))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
