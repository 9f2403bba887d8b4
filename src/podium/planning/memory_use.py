"""The peak memory of a piece of work."""

import resource
import sys
from pathlib import Path

import psutil
import torch

from podium.core import machine

PEAK = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")  # 5: forget the peak (Linux, proc(5))


class PeakMemory:
    """The most memory in use since it was created: the device's, or this process's on a CPU."""

    def __init__(self, device: torch.device) -> None:
        """Start measuring. What earlier work freed does not count."""
        self._device = device
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            return
        machine.release_freed_memory()
        if RESET.exists():
            RESET.write_text("5", encoding="ascii")

    def bytes(self) -> int:
        """The peak so far."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_reserved(self._device))
        if PEAK.exists():
            for line in PEAK.read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        if sys.platform == "win32":
            return int(psutil.Process().memory_info().peak_wset)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
