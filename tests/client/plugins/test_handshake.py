"""The handshake line: the one that is right, and every way to get it wrong, by name."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_client.plugins.errors import PluginError, RefusedError
from km_client.plugins.handshake import LONGEST_LINE, Handshake, HandshakeReader, exited_early, parse

PLACE = Path("/tmp/km-x/s")
GOOD = b"1|1|unix|/tmp/km-x/s/plugin47|grpc|"


def code_of(line: bytes, *, mutual_tls: bool = False) -> str:
    with pytest.raises(RefusedError) as caught:
        parse(line, PLACE, mutual_tls=mutual_tls)
    return caught.value.code


@pytest.mark.parametrize("line", [GOOD, GOOD[:-1], GOOD + b"|", GOOD + b"|false", GOOD + b"\r"])
def test_the_lines_of_every_go_plugin_version_are_understood(line: bytes) -> None:
    assert parse(line, PLACE, mutual_tls=False) == Handshake(PLACE / "plugin47")


def test_a_certificate_is_decoded_without_its_padding() -> None:
    encoded = base64.b64encode(b"certificate").rstrip(b"=")
    assert parse(GOOD + encoded, PLACE, mutual_tls=True).certificate == b"certificate"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"loading config ...", "handshake_noise"),
        (b"", "handshake_noise"),
        (b"\xff\xfe|1|unix|x|grpc|", "handshake_noise"),
        (b"2|1|unix|/tmp/km-x/s/p|grpc|", "handshake_core_version"),
        (b"1|7|unix|/tmp/km-x/s/p|grpc|", "handshake_version"),
        (b"1|1|tcp|127.0.0.1:1234|grpc|", "handshake_network"),
        (b"1|1|unix|/tmp/km-x/s/p|netrpc|", "handshake_protocol"),
        (b"1|1|unix|/tmp/km-x/s/p", "handshake_protocol"),
        (b"1|1|unix|/run/docker.sock|grpc|", "handshake_address"),
        (b"1|1|unix|/tmp/km-x/s/../s2/p|grpc|", "handshake_address"),
        (b"1|1|unix|/tmp/km-x/s/..|grpc|", "handshake_address"),
        (b"1|1|unix||grpc|", "handshake_address"),
        (GOOD + b"AAAA", "handshake_certificate"),
        (GOOD + b"|true", "handshake_fields"),
        (GOOD + b"||more", "handshake_fields"),
    ],
)
def test_each_wrong_line_has_its_name(line: bytes, code: str) -> None:
    assert code_of(line) == code


def test_a_missing_or_broken_certificate_is_named() -> None:
    assert code_of(GOOD, mutual_tls=True) == "handshake_certificate"
    assert code_of(GOOD + b"not base64!", mutual_tls=True) == "handshake_certificate"


@given(st.binary(max_size=200), st.booleans())
def test_any_line_is_a_handshake_or_a_named_refusal(line: bytes, mutual_tls: bool) -> None:
    try:
        assert parse(line, PLACE, mutual_tls=mutual_tls).address.parent == PLACE
    except RefusedError as error:
        assert error.code.startswith("handshake_")


@given(st.integers(1, len(GOOD)))
def test_the_line_may_come_in_pieces_and_what_follows_is_kept(cut: int) -> None:
    reader = HandshakeReader(PLACE, mutual_tls=False)
    first = reader.feed(GOOD[:cut])
    assert first is None
    assert reader.feed(GOOD[cut:] + b"\nhello\n") == Handshake(PLACE / "plugin47")
    assert reader.rest == b"hello\n"


def test_output_without_end_is_noise_and_not_collected() -> None:
    reader = HandshakeReader(PLACE, mutual_tls=False)
    with pytest.raises(RefusedError, match="printed `xxxx"):
        for _ in range(LONGEST_LINE // 1024 + 1):
            reader.feed(b"x" * 1024)


@pytest.mark.parametrize(
    ("code", "stderr", "expected", "says"),
    [
        (1, b"This binary is a plugin. These are not meant to be executed directly.", "handshake_cookie", "cookie"),
        (3, b"one\nno licence\n", "exited_before_handshake", "`no licence`"),
        (-9, b"", "exited_before_handshake", "signal 9"),
    ],
)
def test_an_early_exit_says_what_it_was(code: int, stderr: bytes, expected: str, says: str) -> None:
    error: PluginError = exited_early(code, stderr)
    assert error.code == expected
    assert says in f"{error} {error.hint}"
