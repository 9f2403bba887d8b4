"""A node of a cluster: `ray start` as a process that this one watches, and ends with all that it
has started.
"""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil

from podium.cluster import address
from podium.cluster.address import Address
from podium.core import signals
from podium.core.errors import UserError

START_SECONDS = 60.0
STOP_SECONDS = 10.0  # for Ray to end by itself
KILL_SECONDS = 5.0
READY = "This command will now block forever"
# A node that does not answer is dead after about ten seconds; Ray's own settings take 65. Tasks run
# with the priority of other processes, which Ray lowers. A node that is asked to stop does not wait
# for its tasks.
SETTINGS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_worker_niceness": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
}
OPTIONS = ("--block", "--disable-usage-stats", "--include-log-monitor=false")
# Lines of Ray that do not matter here, and the ends of logs, which are thousands of lines.
ADVICE = ("Running subprocesses are monitored", "Process exit logs will be saved")
BEGIN, END = "----- BEGIN", "----- END"
# Ray's prefix of a line, without which it is as plain as ours.
PREFIX = re.compile(r"^(\d{4}-\d\d-\d\d [\d:,]+\s+[A-Z]+ \S+ -- |\[[^\]]+\] )")


def require_ray(command: str) -> None:
    """Raises: UserError: naming the `command` that installs Ray, if it is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"Ray is not installed. Run this as `{command}`.")


def start_command(head: Address | None, *options: str) -> list[str]:
    """The command that starts a node, as a process that ends with it: a head if `head` is None."""
    role = ["--head", "--include-dashboard=false"] if head is None else [f"--address={head}"]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", *role, *OPTIONS, *options]


def environment() -> dict[str, str]:
    """The environment of a node. It must not import this project's code, but the driver's."""
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return {**SETTINGS, **inherited}


class RayNode:
    """A node that runs. Its first lines are in `output`."""

    def __init__(self, process: "subprocess.Popen[str]", say: Callable[[str], None]) -> None:
        """`say` gets the lines that Ray prints after it has started."""
        self.process, self.say = process, say
        self.output, self._is_ready = list[str](), threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        is_shown = True
        for line in self.process.stdout:
            text = PREFIX.sub("", line.rstrip())
            is_shown = (is_shown and not text.startswith(BEGIN)) or text.startswith(END)
            if not self._is_ready.is_set():
                self.output.append(text)
            elif is_shown and text and not text.startswith((END, *ADVICE)):
                self.say(text)
            if READY in text:
                self._is_ready.set()

    def wait_until_ready(self) -> None:
        """Raises: UserError: with Ray's message, if it does not start."""
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready.wait(timeout=0.1):
            if signals.stop_requested():
                return
            if self.process.poll() is not None:
                self._reader.join(timeout=1)
                raise UserError(f"Ray did not start: {_reason(self.output)}")
            if time.monotonic() > deadline:
                raise UserError(
                    f"Ray did not start within {START_SECONDS:.0f} s. Its last line: "
                    f"{_reason(self.output)}"
                )

    @property
    def address(self) -> Address:
        """Where other machines reach this head."""
        (text,) = re.findall(r"--address='(\S+?)'", "\n".join(self.output))
        return address.parse(text, setting="--address")

    @property
    def ip(self) -> str:
        """The IP address by which other machines know this one."""
        return re.findall(r"Local node IP: (\S+)", "\n".join(self.output))[0]


def _reason(output: list[str]) -> str:
    """The message of the exception that ended `ray start`, else its last lines."""
    lines = [line.strip() for line in output if line.strip()]
    errors = [re.sub(r"^(\w+\.)*\w*(Error|Exception): ", "", line) for line in lines
              if re.match(r"(\w+\.)*\w*(Error|Exception): ", line)]  # fmt: skip
    return errors[-1] if errors else " ".join(lines[-3:]) or "it printed nothing"


@contextlib.contextmanager
def started(command: list[str], say: Callable[[str], None]) -> Iterator[RayNode]:
    """Run a node while the block runs; `say` gets the lines that Ray prints after the start.

    Raises:
        UserError: if it does not start.
    """
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        preexec_fn=signals.die_with_parent,  # noqa: PLW1509
        start_new_session=True,  # Ctrl-C is for this process
    )
    try:
        node = RayNode(process, say)
        node.wait_until_ready()
        yield node
    finally:
        stop(process)


def stop(process: "subprocess.Popen[str]") -> None:
    """End `ray start` and all processes below it, whatever they do."""
    below = _below(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_SECONDS)
    _, alive = psutil.wait_procs(below, timeout=KILL_SECONDS)
    _kill(alive)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what has been started in the meantime
    process.wait()
    psutil.wait_procs(alive, timeout=KILL_SECONDS)


def kill_all() -> None:
    """End all processes below this one at once."""
    _kill(_below(os.getpid()))


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
