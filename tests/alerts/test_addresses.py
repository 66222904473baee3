"""What may be sent where: the public internet over https, and what the operator has named."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import Any

import pytest

from alerts import addresses
from alerts.addresses import ForbiddenAddress, Unresolved
from core.errors import InvalidRequest

OURS = [ip_network("10.1.0.0/16"), ip_network("fd00:7::/32")]
PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1"),
    *("64:ff9b::a00:1", "64:ff9b:1::1", "2001::1"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused(address: str) -> None:
    assert not addresses.is_allowed(address, [])


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_one_is_not_except_without_tls(address: str) -> None:
    assert addresses.is_allowed(address, [])
    assert not addresses.is_allowed(address, OURS, plain=True)


def test_a_network_of_the_operators_is_allowed_and_no_other() -> None:
    assert addresses.is_allowed("10.1.2.3", OURS)
    assert addresses.is_allowed("10.1.2.3", OURS, plain=True)
    assert addresses.is_allowed("::ffff:10.1.2.3", OURS)
    assert addresses.is_allowed("fd00:7::9", OURS)
    assert not addresses.is_allowed("10.2.2.3", OURS)
    assert not addresses.is_allowed("127.0.0.1", OURS)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f.1", "2130706433", "017700000001", "[::1]".strip("[]")])
def test_a_name_or_a_spelling_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises((ForbiddenAddress, Unresolved)):
        addresses.resolve(host, 443, [])


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def several(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    with pytest.raises(ForbiddenAddress, match=r"10\.0\.0\.1"):
        addresses.resolve("two-faced.example", 443, [])


def test_a_name_nobody_knows_says_so() -> None:
    with pytest.raises(Unresolved, match="no-such-name"):
        addresses.resolve("no-such-name.invalid", 443, [])


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example.org", "ftp://hooks.example.org/", "http://hooks.example.org/", "file:///etc/passwd",
     "https://", "https:///path", "https://ann:secret@hooks.example.org/", "https://hooks.example.org:0/",
     "https://hooks.example.org:99999/", "https://hooks.example.org/#part", "https://hooks.example.org/a b",
     "https://hooks.example.org/\r\nX: y", "https://höoks.example.org/", "https://[::1", "javascript:alert(1)",
     "https://hooks.example.org/" + "x" * 500, "https://a..b/", "https://" + "a" * 64 + ".example/"],
)  # fmt: skip
def test_what_is_no_address_of_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        addresses.check(url, [])


def test_an_address_is_taken_apart() -> None:
    parts = addresses.check("https://hooks.example.org:8443/km?team=a", [])
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("hooks.example.org", 8443, "/km", "team=a")
    assert addresses.check("http://receiver.internal/", OURS).scheme == "http"
