"""Programs of the fork server do what those of the system do, and ours need no server."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import fork_server
import pytest
from conftest import COMMANDS, ROOT

CODES = {
    "status": "import sys; sys.exit(3)",
    "message": "import sys; sys.exit('no luck')",
    "killed": f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})",
    "at exit": "import atexit; atexit.register(print, 'last'); print('first')",
    "context": "import os, sys; print(os.getcwd(), os.environ['NAME'], sys.argv, sys.path[0])",
    "standard error": "import sys; sys.stderr.write('an error')",
    "standard input": "import sys; print(sys.stdin.read())",
}


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_fork_behaves_like_an_interpreter(tmp_path: Path, code: str) -> None:
    def run(python: Path) -> tuple[int, str, str]:
        done = subprocess.run(
            [python, "-c", code, "a b", ""],
            cwd=tmp_path,
            env={**os.environ, "NAME": "value"},
            input="typed",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    assert run(fork_server.programs() / "python") == run(Path(sys.executable))


@pytest.mark.slow
def test_options_are_those_of_the_interpreter() -> None:
    code = "import sys; print(sys.flags.safe_path, sys.executable)"
    command = [fork_server.programs() / "python", "-P", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"True {sys.executable}\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="there is no server")
def test_a_fork_dies_with_the_program_that_asked_for_it() -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen(
        [fork_server.programs() / "python", "-c", code], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        assert process.stdout.read() == b""  # ends when the fork does


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", sorted(COMMANDS - {"__init__"}))
def test_a_command_imports_all_that_it_needs(name: str) -> None:
    """In tests of what commands do, much is imported before."""
    subprocess.run([sys.executable, "-c", f"import commands.{name}"], cwd=ROOT, check=True)
