"""host:port of a cluster's head, as users give it."""

import ipaddress
import re
import socket
from typing import NamedTuple

from podium.core.errors import UserError

PORT = 6379  # Ray's default
MAX_PORT = 2**16 - 1
CONNECT_SECONDS = 8.0
FIX = "Start a head with `make node`; it prints its address."


class Address(NamedTuple):
    """Where a head listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse(text: str, *, setting: str) -> Address:
    """Parse host:port or [IPv6 address]:port.

    Raises:
        UserError: naming the `setting`, HEAD or CLUSTER.
    """
    given = f"{setting}={text}"
    if re.fullmatch(r"[0-9A-Fa-f.]*(:[0-9A-Fa-f.]*){2,}(%\w+)?", text.strip()):
        raise UserError(
            f"{given}: write an IPv6 address in brackets, such as {setting}=[fd00::1]:{PORT}."
        )
    match = re.fullmatch(r"(?:\[([\w:.%]+)\]|([^\s:/\[\]@]+))(?::([^\s/]*))?", text.strip())
    if match is None:
        raise UserError(f"{given} is not host:port, such as {setting}=first:{PORT}. {FIX}")
    host, port = match[1] or match[2], match[3]
    if not port:
        raise UserError(f"{given}: the port is missing. Did you mean {Address(host, PORT)}?")
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= MAX_PORT:
        raise UserError(f"{given}: the port must be a number from 1 to {MAX_PORT}, not {port}.")
    return Address(host, int(port))


def require_listener(address: Address, *, setting: str) -> None:
    """Raises: UserError: saying why nothing can be reached at the address."""
    given = f"{setting}={address}"
    try:
        socket.create_connection(address, timeout=CONNECT_SECONDS).close()
    except (socket.gaierror, UnicodeError):  # a label of a name may be too long
        raise UserError(
            f"{given}: this machine does not know the host {address.host}. Use the IP address that "
            "`make node` printed there."
        ) from None
    except TimeoutError:
        raise UserError(
            f"{given}: no answer within {CONNECT_SECONDS:.0f} s. Is the machine running, and does "
            f"a firewall block port {address.port}?"
        ) from None
    except ConnectionRefusedError:
        raise UserError(f"{given}: nothing listens on port {address.port} there. {FIX}") from None
    except OSError as error:
        raise UserError(f"{given} cannot be reached: {error.strerror or error}. {FIX}") from None
