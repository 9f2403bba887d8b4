"""What is known of a head before Ray joins it: whether it is one, and takes only its token."""

import json
import os
import platform
import socket
import subprocess
import sys
import time
from importlib.metadata import version

from podium.cluster import address, ray_node, token
from podium.cluster.address import Address
from podium.core.errors import UserError

PROBE_SECONDS = 20.0
# Ray reads its settings when it is imported, so each question is a process of its own.
PROBE = """
import json, sys
from ray import exceptions
import ray._raylet
from ray._common.usage import usage_lib
try:
    client = ray._raylet.GcsClient(sys.argv[1])
    nodes = client.get_all_node_info(10).values()
    heads = [node.node_manager_address for node in nodes if node.is_head_node]
    found = {"heads": heads, **(usage_lib.get_cluster_metadata(client) or {})}
except exceptions.AuthenticationError:
    found = {"error": "token"}
print(json.dumps({key: found[key] for key in found if key in KEYS}))
""".replace("KEYS", '("error", "heads", "ray_version", "python_version")')


def of_cluster(text: str, *, command: str) -> Address | None:
    """The head that CLUSTER names, None for `auto`. `command` is what installs Ray.

    Raises:
        UserError: if there is no token or no Ray; see `require`.
    """
    is_new = text.strip() == "auto"
    token.require(create=is_new)
    ray_node.require_ray(command)
    return None if is_new else require(text, setting="CLUSTER")


def require(text: str, *, setting: str) -> Address:
    """The head at the address `text`, if possible as all other machines know it.

    Raises:
        UserError: naming the `setting`, if there is no head, if it has another token or Python or
            Ray version, or if it answers clients without a token.
    """
    given = address.parse(text, setting=setting)
    address.require_listener(given, setting=setting)
    asked, deadline = _ask(given, "token"), time.monotonic() + PROBE_SECONDS
    asked_without = _ask(given, "disabled")
    found, without_token = _answer(asked, deadline), _answer(asked_without, deadline)
    if found is None:
        raise UserError(
            f"{setting}={given}: a program that is not a cluster's head listens there. Is the port "
            f"right? {address.FIX}"
        )
    if found.get("error"):
        raise UserError(
            f"{setting}={given} has another token than this machine ({token.where()}). Copy that "
            "of the machine with the head."
        )
    if without_token and not without_token.get("error"):
        raise UserError(
            f"The cluster at {given} runs what anyone sends it. Start its head with `make node`."
        )
    for name, here in (("python", platform.python_version()), ("ray", version("ray"))):
        there = found.get(f"{name}_version", here)
        if there != here:
            raise UserError(
                f"{setting}={given} has {name.title()} {there}, this machine {here}. All machines "
                "need the same version."
            )
    own = Address(found["heads"][0], given.port) if found.get("heads") else given
    return own if (given.is_local or not own.is_local) and answers(own) else given


def answers(head: Address) -> bool:
    """Whether something listens where the head was."""
    try:
        address.require_listener(head, setting="")
    except UserError:
        return False
    return True


def _ask(given: Address, mode: str) -> "subprocess.Popen[str]":
    inherited = {
        name: text
        for name, text in os.environ.items()
        if mode == "token" or not name.startswith("RAY_")
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROBE, str(given)],
        env={**inherited, token.MODE: mode},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )


def _answer(process: "subprocess.Popen[str]", deadline: float) -> dict[str, list[str] | str] | None:
    """None if there was none."""
    try:
        output, _ = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    lines = output.splitlines()
    return json.loads(lines[-1]) if process.returncode == 0 and lines else None


def require_free(port: int) -> None:
    """Raises: UserError: if no head can be started on this port."""
    if port == 0:
        return
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that ended
        try:
            server.bind(("", port))
        except PermissionError:
            raise UserError(f"port {port} needs privileges. Set a higher ARGS=--port=….") from None
        except OSError:
            pass
        else:
            return
    local = Address("127.0.0.1", port)
    head = _answer(_ask(local, "token"), time.monotonic() + PROBE_SECONDS)
    other = f"start another one with ARGS=--port={min(port + 1, address.MAX_PORT)}"
    if head is None:
        raise UserError(f"port {port} is taken by another program. Free it, or {other}.")
    where = f"{socket.gethostname()}:{port}"
    ips = head.get("heads")
    if ips:
        where = str(Address(ips[0], port))
    raise UserError(
        f"port {port} is taken: a head runs already. Join it with `make node HEAD={where}`, or "
        f"{other}."
    )
