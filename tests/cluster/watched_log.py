"""A driver's log, and when each of its lines was written."""

import re
import subprocess
import threading
import time
from pathlib import Path

EPOCH = re.compile(r"(\S+-\w+) \| epoch +(\d+) ")


class WatchedLog:
    """The lines of one driver after another, with the faults between them."""

    def __init__(self, path: Path) -> None:
        """`path` is appended to."""
        self.path = path
        path.touch()
        self.lines = list[tuple[float, str]]()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        with self.path.open(encoding="utf-8") as file:
            line = ""
            while True:
                line += file.readline()
                if line.endswith("\n"):
                    self.lines.append((time.monotonic(), line.rstrip()))
                    line = ""
                else:
                    time.sleep(0.02)

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    def note(self, fault: str) -> None:
        """Add a line about a fault that is about to happen."""
        self.lines.append((time.monotonic(), f"FAULT {fault}"))

    def _since_the_last_fault(self) -> list[str]:
        lines = [line for _, line in [*self.lines]]
        faults = [number for number, line in enumerate(lines) if line.startswith("FAULT")]
        return lines[faults[-1] if faults else 0 :]

    def wait_for(self, text: str, process: "subprocess.Popen[bytes]") -> None:
        """Wait for a line that contains `text`, after the last fault."""
        self._wait(lambda lines: any(text in line for line in lines), process)

    def wait_for_epochs(self, count: int, process: "subprocess.Popen[bytes]") -> None:
        """Wait until several epochs have ended after the last fault."""
        self._wait(lambda lines: sum(map(bool, map(EPOCH.match, lines))) >= count, process)

    def _wait(self, condition: object, process: "subprocess.Popen[bytes]") -> None:
        assert callable(condition)
        deadline = time.monotonic() + 240
        while not condition(self._since_the_last_fault()):
            assert process.poll() is None and time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def lost_seconds(self) -> dict[str, float]:
        """For each fault and each training run that was lost with it: the time from the end of the
        epoch with which it resumed (or its start) to the fault.
        """
        lost = dict[str, float]()
        for job in {match[1] for _, line in self.lines if (match := EPOCH.match(line))}:
            at = dict[int, float]()  # epoch: when it ended, at last
            fault, newest = "", 0
            struck = 0.0
            for moment, line in self.lines:
                if line.startswith("FAULT"):
                    fault, struck = line, moment
                elif (match := EPOCH.match(line)) and match[1] == job:
                    epoch = int(match[2])
                    if epoch <= newest:  # this one is repeated: the first is what was lost
                        since = at.get(epoch - 1, min(at.values()))
                        lost[f"{fault} {job}"] = round(struck - since, 1)
                    at[epoch], newest = moment, epoch
        return lost
