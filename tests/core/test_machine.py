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
