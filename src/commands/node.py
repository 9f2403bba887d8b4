"""Run a node of a cluster until a signal: join the head at HEAD, or be the head."""

import argparse
import os
import shlex
import signal
import time

from podium.cluster import head, ray_node, token
from podium.cluster.address import PORT, Address
from podium.cluster.ray_node import RayNode
from podium.core import console, program, signals
from podium.core.errors import UserError

POLL_SECONDS = 0.2
OURS = ("--head", "--address", "--block")


def main() -> None:
    """Run `ray start`, and end with it all that it has started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("head", nargs="?", help="host:port of the head")
    joins = parser.parse_args().head
    options = _options(os.environ.get("PODIUM_NODE_ARGS", ""))
    # A make that is killed does not tell its children.
    signals.die_with_parent(signal.SIGTERM)
    token.require(create=joins is None)
    ray_node.require_ray("make node")
    if joins is None:
        port = _port(options)
        head.require_free(port)
        options.append(f"--port={port}")
        address = None
    else:
        address = head.require(joins, setting="HEAD")
    command = ray_node.start_command(address, *options)
    with (
        signals.deferred(before_death=ray_node.kill_all),
        ray_node.started(command, console.say) as node,
    ):
        if not signals.stop_requested():
            _explain(node, address)
        while node.process.poll() is None and not signals.stop_requested():
            time.sleep(POLL_SECONDS)
        if not signals.stop_requested():
            raise UserError(_why_it_ended(address))
    console.say("the node has stopped")


def _options(text: str) -> list[str]:
    """The options for `ray start` in ARGS."""
    try:
        options = shlex.split(text)
    except ValueError as error:
        raise UserError(f"ARGS={text}: {error}.") from None
    if ours := [option for option in options if option.partition("=")[0] in OURS]:
        raise UserError(
            f"ARGS: {ours[0]} is set by `make node`. Use HEAD=host:port to join a head."
        )
    return options


def _port(options: list[str]) -> int:
    """The port of a head, which is removed from the options."""
    for number, option in enumerate(options):
        name, _, text = option.partition("=")
        if name == "--port":
            value = text or "".join(options[number + 1 : number + 2])
            del options[number : number + (1 if text else 2)]
            if not value.isdecimal() or int(value) >= 2**16:
                raise UserError(f"ARGS=--port={value}: give a number below {2**16}.")
            return int(value)
    return PORT


def _explain(node: RayNode, joined: Address | None) -> None:
    """Say what the cluster is used with."""
    if joined is not None:
        console.say(f"joined the cluster at {joined} as {node.ip}; Ctrl-C leaves it")
        return
    address = node.address
    console.say(
        f"the cluster runs at {address}; Ctrl-C ends it\n"
        f"  the token is in {token.where()}: copy it to the other machines, with mode 600\n"
        f"  on other machines:     make node HEAD={address}\n"
        f"  to train, for example: make train CLUSTER={address}"
    )
    if address.is_local:
        console.say(
            f"warning: other machines cannot reach {address.host}. To let them join, start with "
            "ARGS=--node-ip-address=…, an address of this machine in their network."
        )


def _why_it_ended(joined: Address | None) -> str:
    if joined is not None and not head.answers(joined):
        return f"the head at {joined} is gone. Start it again, then rerun."
    return "Ray has ended. Rerun; the lines above may say why."


if __name__ == "__main__":
    program.run(main)
