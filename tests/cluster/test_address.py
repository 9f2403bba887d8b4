"""host:port of a head, as users write it; and what is said if nothing is there."""

import socket
import time

import pytest

from podium.cluster import address
from podium.cluster.address import Address
from podium.core.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("first:6379", Address("first", 6379)),
        (" 10.0.0.5:1 ", Address("10.0.0.5", 1)),
        ("a-b.example.com:65535", Address("a-b.example.com", 65535)),
        ("[fd00::1]:6379", Address("fd00::1", 6379)),
        ("[fe80::1%eth0]:6379", Address("fe80::1%eth0", 6379)),
    ],
)
def test_an_address(text: str, expected: Address) -> None:
    parsed = address.parse(text, setting="HEAD")
    assert parsed == expected and str(parsed) == text.strip()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("first", r"port is missing. Did you mean first:6379\?"),
        ("first:", r"port is missing. Did you mean first:6379\?"),
        ("10.0.0.5", r"Did you mean 10\.0\.0\.5:6379\?"),
        ("[::1]", r"Did you mean \[::1\]:6379\?"),
        ("first:abc", "the port must be a number from 1 to 65535, not abc"),
        ("first:0", "not 0"),
        ("first:-1", "not -1"),
        ("first:65536", "not 65536"),
        ("first:६३७९", "not ६३७९"),
        ("first:6379:6380", "not 6379:6380"),
        ("::1", r"in brackets, such as HEAD=\[fd00::1\]:6379"),
        ("fd00::1:6379", "in brackets"),
        ("", "is not host:port"),
        (":6379", "is not host:port"),
        ("a b:1", "is not host:port"),
        ("ray://first:10001", "is not host:port"),
        ("http://first:6379", "is not host:port"),
        ("me@first:6379", "is not host:port"),
        ("$(hostname):6379;", "must be a number"),
    ],
)
def test_what_is_no_address_is_explained(text: str, problem: str) -> None:
    with pytest.raises(UserError, match=f"^HEAD=.*({problem})"):
        address.parse(text, setting="HEAD")


def test_local_addresses_are_recognized() -> None:
    hosts = {"127.0.0.1": True, "127.0.0.9": True, "::1": True, "localhost": True,
             "10.0.0.5": False, "first": False, "fd00::1": False}  # fmt: skip
    assert {host: Address(host, 1).is_local for host in hosts} == hosts


def test_where_nothing_listens_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def message(host: str, port: int) -> str:
        with pytest.raises(UserError) as raised:
            address.require_listener(Address(host, port), setting="CLUSTER")
        assert "Errno" not in str(raised.value)
        return str(raised.value)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        address.require_listener(Address("127.0.0.1", port), setting="CLUSTER")
    assert message("127.0.0.1", port).startswith(
        f"CLUSTER=127.0.0.1:{port}: nothing listens on port {port} there."
    )
    for host in ("no-such-host.invalid", "a" * 64, "a..b"):
        assert f"this machine does not know the host {host}" in message(host, 6379)
    monkeypatch.setattr(address, "CONNECT_SECONDS", 0.2)
    with socket.socket() as full:  # a queue for connections that nobody accepts, as of a firewall
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        start = time.monotonic()
        assert "no answer within" in message(*full.getsockname())
        assert time.monotonic() - start < 5
        for client in waiting:
            client.close()
