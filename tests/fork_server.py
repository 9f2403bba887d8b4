"""Stages and DVC without the three to five seconds that importing torch and the like takes.

A server process imports them once. Its `python` and `dvc`, to be put into PATH, ask it to fork. The
fork runs the script or module as the interpreter would: with the caller's arguments, environment,
working directory and open streams. The caller exits with the fork's status. Our own code is
imported in the fork, from the project's folder. With other options, it is the interpreter itself.
"""

import array
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn

IMPORTS = ("accelerate", "albumentations", "cleanlab.filter", "dvc.api", "dvc.cli.parser",
           "dvc.commands.commit", "dvc.commands.repro", "dvc.commands.status", "dvc.repo.graph",
           "dvc.repo.index", "dvc.repo.reproduce", "dvc.stage.run", "filelock", "jinja2",
           "kagglesdk", "matplotlib.figure", "multiprocessing.spawn", "networkx", "pandas",
           "psutil", "pyarrow.dataset", "pyarrow.parquet", "pydantic", "rich.progress",
           "ruamel.yaml", "safetensors.torch", "scipy.optimize", "sklearn.calibration",
           "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection", "sklearn.svm",
           "timm.optim")  # fmt: skip
START_SECONDS = 120.0
_processes: list["subprocess.Popen[bytes]"] = []  # kept, with their streams
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
program, option = os.path.basename(sys.argv[0]), sys.argv[1:2]
if program == "python" and option and option[0][0] == "-" and option[0] not in ("-m", "-c"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
request = {{"argv": [os.path.basename(sys.argv[0]), *sys.argv[1:]], "cwd": os.getcwd(),
           "environ": dict(os.environ)}}
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
data = json.dumps(request).encode()
server.sendmsg([b"%08d" % len(data)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                        array.array("i", [0, 1, 2]))])
server.sendall(data)
status = server.recv(8)
if not status:
    os.kill(os.getpid(), 9)
status = int(status)
if status < 0:
    os.kill(os.getpid(), -status)
os._exit(status)
"""


SHARED = "PODIUM_TEST_PROGRAMS"  # the folder of those that all test processes share


@functools.cache
def programs() -> Path:
    """The folder of `python` and `dvc`. If the test processes do not share a server, it starts with
    the first call and ends with this process. Only Linux can do it: elsewhere they are the usual
    ones.
    """
    if sys.platform != "linux":
        return Path(sys.executable).parent
    folder = Path(os.environ[SHARED]) if SHARED in os.environ else start()
    deadline = time.monotonic() + START_SECONDS
    while not (folder / "socket").exists():
        assert time.monotonic() < deadline, "the fork server does not start"
        time.sleep(0.1)
    return folder


def share() -> None:
    """Start a server for all test processes that this one starts."""
    if sys.platform == "linux":
        os.environ[SHARED] = str(start())


@functools.cache
def start() -> Path:
    """Start a server that ends with this process."""
    folder = Path(_temporary_folder().name)
    for name in ("python", "dvc"):
        (folder / name).write_text(CLIENT.format(python=sys.executable, address=f"{folder}/socket"))
        (folder / name).chmod(0o755)
    _processes.append(
        subprocess.Popen([sys.executable, __file__, folder / "socket"], stdin=subprocess.PIPE)
    )
    return folder


@functools.cache
def _temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="podium-tests-")


def _write_locks_faster() -> None:
    """DVC reads and writes dvc.lock once per stage, with classes of ruamel.yaml that keep comments:
    more than half of the time that it takes. Those in C have the same content.
    """
    from dvc.utils.serialize import _yaml
    from ruamel.yaml import YAML, CommentedMap, SafeRepresenter

    SafeRepresenter.add_representer(OrderedDict, SafeRepresenter.represent_dict)
    parse_slowly, dump_slowly = _yaml.parse_yaml_for_update, _yaml._dump

    def parse(text: str, path: Any) -> Any:
        is_lock = Path(path).name == "dvc.lock"
        return _yaml.parse_yaml(text, path) if is_lock else parse_slowly(text, path)

    def dump(data: Any, stream: Any) -> None:
        if isinstance(data, CommentedMap):
            dump_slowly(data, stream)
            return
        yaml = YAML(typ="safe")
        yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
        yaml.dump(data, stream)

    _yaml.parse_yaml_for_update = parse
    _yaml._dump = dump


def _serve(address: str) -> tuple[dict[str, Any], list[int]]:
    """Return in a fork for each request, with the request and its three file descriptors."""
    signal.signal(signal.SIGCHLD, _reap)
    if not Path(address).parent.exists():
        sys.exit()  # the tests have ended
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        while True:
            ready, _, _ = select.select([listener, 0], [], [])
            if 0 in ready:
                sys.exit()  # the tests have ended
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return _start(connection)
            connection.close()


def _reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _start(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return in a fork, and wait for it here. It is killed if the client dies."""
    descriptors = array.array("i", bytes(3 * array.array("i").itemsize))
    size, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(len(descriptors.tobytes())))
    descriptors = array.array("i", ancillary[0][2])
    with connection.makefile("rb") as stream:
        request = json.loads(stream.read(int(size)))
    if (child := os.fork()) == 0:
        connection.close()
        return request, [*descriptors]
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(b"%d" % status)
    os._exit(0)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Run what the client's command line says, as the interpreter would."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    program, *arguments = request["argv"]
    path = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:1] = [str(Path(p).resolve()) for p in path]
    sys.executable = str(Path(sys.argv[1]).with_name("python"))
    if program == "dvc":
        sys.argv = ["dvc", *arguments]
        sys.exit(importlib.import_module("dvc.cli").main())
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        sys.path.insert(0, "")
        exec(arguments[1], {"__name__": "__main__"})
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(sys.argv[0], run_name="__main__")


def _exit(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Run it, and exit as the interpreter would, except that it does not free what is imported."""
    status: object = 0
    try:
        _become(request, descriptors)
    except SystemExit as error:
        status = error.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    if not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 255)


if __name__ == "__main__":
    for name in IMPORTS:
        importlib.import_module(name)
    _write_locks_faster()
    gc.freeze()  # or a collection in a fork would copy all of it
    _exit(*_serve(sys.argv[1]))
