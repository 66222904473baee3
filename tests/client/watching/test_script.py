"""Scripts: the format of the original, and errors that name the line."""

from __future__ import annotations

import pytest
from km_client.errors import ClientError
from km_client.watching.replaying.script import duration, parse

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
PONG = b'{"jsonrpc":"2.0","id":1,"result":{}}'


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("500ms", 0.5), ("1s", 1.0), ("1.5s", 1.5), (" .5s ", 0.5), ("1m30s", 90.0), ("2h", 7200.0)),
        *(("100us", 1e-4), ("100µs", 1e-4), ("3540.001s", 3540.001), ("0", 0.0), ("1h2m3s4ms", 3723.004)),
    ],
)
def test_delays_are_durations_with_their_units(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "ms", "1 s", "-1s", "1sx", "1,5s", "NaN", "1e3s", "٣s"])
def test_anything_else_is_no_delay_and_is_said_with_its_line(text: str) -> None:
    with pytest.raises(ClientError, match=r"^a\.txt, line 2: .* is no delay"):
        parse(f"# first\nDELAY: {text}\n".encode(), "a.txt")


def test_comments_and_blank_lines_are_passed_over_and_delays_add_up() -> None:
    script = b"\xef\xbb\xbf# a comment\r\n\r\n// another\r\n DELAY: 1s\r\ndelay: 500ms\r\n  " + PING + b"\r\n\n" + PING
    first, second = parse(script, "a.txt")
    assert (first.number, first.delay, first.line, first.from_client) == (6, 1.5, PING, True)
    assert (second.number, second.delay) == (8, 0.0)


def test_without_a_word_an_answer_to_the_client_is_the_servers() -> None:
    sampling = b'{"jsonrpc":"2.0","id":9,"result":{"content":{}}}'
    steps = parse(b"\n".join([PING, PONG, sampling]), "a.txt")
    assert [step.from_client for step in steps] == [True, False, True]


def test_a_comment_says_which_way_the_next_message_goes_and_only_that_one() -> None:
    notice = b'{"jsonrpc":"2.0","method":"notifications/message"}'
    script = (
        b"# +0.250 server to client\nDELAY: 2ms\n"
        + notice
        + b"\n"
        + notice
        + b"\n# +1:02.003 client to server\n"
        + PONG
    )
    assert [step.from_client for step in parse(script, "a.txt")] == [False, True, True]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"a":', "no JSON at column 6"),
        (b"hello", "no JSON at column 1"),
        (b'"text"', "no JSON-RPC message"),
        (b"17", "no JSON-RPC message"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 5000 + b"]" * 5000, "nested too deeply|no JSON"),
        (b'{"a":"\x1b[2J', r"\\x1b\[2J"),
    ],
)
def test_what_is_no_message_is_named_by_its_line_and_never_shown_raw(line: bytes, words: str) -> None:
    with pytest.raises(ClientError, match=words) as error:
        parse(PING + b"\n\n" + line + b"\n", "a.txt")
    assert error.value.message.startswith("a.txt, line 3: ")
    assert "\x1b" not in error.value.message and len(error.value.message) < 200
