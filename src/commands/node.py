"""Start a node of a cluster in this process: join the head at HEAD, or be the head."""

import argparse
import os
import shlex

from podium.cluster import token
from podium.core import console, program
from podium.core.errors import UserError

PORT = 6379


def main() -> None:
    """Become `ray start --block`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("head", nargs="?", help="host:port of the head")
    head = parser.parse_args().head
    ray_options = shlex.split(os.environ.get("PODIUM_NODE_ARGS", ""))
    token.require(create=head is None)
    try:  # after the token: Ray reads the environment when it is imported
        from podium.cluster import ray_cluster
    except ImportError:
        raise UserError("Ray is not installed. Run this as `make node`.") from None
    if head is None:
        if not any(option.startswith("--port") for option in ray_options):
            ray_options.append(f"--port={PORT}")
        console.say(f"the token is in {token.path()}: copy it to the other machines, with mode 600")
    command = ray_cluster.start_command(head, *ray_options)
    os.execve(command[0], command, ray_cluster.environment())


if __name__ == "__main__":
    program.run(main)
