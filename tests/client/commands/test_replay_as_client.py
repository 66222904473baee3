"""A recording plays its client against a server of today, and says where the answers differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.client.agent.conftest import Record
from tests.client.commands.replaying import ECHO, run, talk
from tests.client.monitored import is_alive


def test_a_server_that_answers_as_it_did_passes(record: Record) -> None:
    talk(record)
    done = run("run-1", "--as", "client", "--", *ECHO)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-1] == "3 compared: 3 the same, 0 different"


def test_a_server_that_answers_otherwise_fails_at_the_place_that_differs(record: Record, machine: Path) -> None:
    """A secret in what it says now is not in the report, which a build may publish."""
    talk(record)
    secret = "ghp_" + "a1B2" * 9
    changed = machine / "changed.py"
    said, says = 'str(arguments.get("text", ""))', f'arguments.get("text", "").replace("a", "b {secret}")'
    changed.write_text(Path(ECHO[1]).read_text().replace(said, says))
    server = [sys.executable, str(changed)]
    done = run("run-1", "--as", "client", "--", *server)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["same", "DIFFERENT", "same", "3"]
    assert '    /result/content/0/text: recorded "a", now "b [redacted:github_token]"' in lines
    assert "--ignore /result/content/0/text" in lines[-1]
    assert run("run-1", "--as", "client", "--ignore", "/result/content/*/text", "--", *server).returncode == 0
    told = json.loads(run("run-1", "--as", "client", "--json", "--", *server).stdout)
    assert (told["compared"], told["different"]) == (3, 1)
    (found,) = told["calls"][1]["differences"]
    assert found == {"pointer": "/result/content/0/text", "recorded": "a", "now": "b [redacted:github_token]"}


def test_a_server_that_ends_or_says_nothing_is_a_difference_and_not_a_hang(record: Record) -> None:
    talk(record)
    program = "import sys; sys.stdin.readline(); sys.exit(7)"
    done = run("run-1", "--as", "client", "--", sys.executable, "-c", program)
    assert done.returncode == 1 and b"the server ended: exit code 7" in done.stdout
    done = run(
        "run-1", "--as", "client", "--timeout", "0.2", "--", sys.executable, "-c", "import sys; sys.stdin.read()"
    )
    assert done.returncode == 1 and done.stdout.count(b"no answer within 0.2 s") == 3
    done = run("run-1", "--as", "client", "--", "/no/such/server")
    assert done.returncode == 127 and b"cannot start `/no/such/server`" in done.stderr


ASKING = """
import json, sys
def say(**members): print(json.dumps({"jsonrpc": "2.0", **members}), flush=True)
def hear(): return json.loads(sys.stdin.readline())
asked = hear()
say(id=77, method="sampling/createMessage", params={})
heard = hear()
assert heard["id"] == 77, heard
if len(sys.argv) > 1:
    say(id="more", method="roots/list", params={})
    assert hear()["error"]["code"] == -32601
say(id=asked["id"], result={"heard": heard["result"]["text"]})
sys.stdin.read()
"""


def test_what_the_server_asks_is_answered_as_it_was_then_under_its_id_of_now(record: Record) -> None:
    session = record()
    session.request(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"plan"}}\n')
    session.response(b'{"jsonrpc":"2.0","id":50,"method":"sampling/createMessage","params":{}}\n')
    session.request(b'{"jsonrpc":"2.0","id":50,"result":{"text":"yes"}}\n')
    session.response(b'{"jsonrpc":"2.0","id":1,"result":{"heard":"yes"}}\n')
    session.end()
    server = [sys.executable, "-c", ASKING]
    done = run("run-1", "--as", "client", "--", *server)
    assert (done.returncode, done.stderr) == (0, b""), done.stdout
    done = run("run-1", "--as", "client", "--", *server, "and more")
    assert done.returncode == 1 and b"DIFFERENT  roots/list of the server\n    it was not asked then" in done.stdout
    done = run(
        "run-1", "--as", "client", "--timeout", "0.2", "--", sys.executable, "-c", "import sys; sys.stdin.read()"
    )
    assert done.returncode == 1 and b"it was asked then, and is not now" in done.stdout


def test_nothing_is_said_before_what_had_been_answered_by_then(record: Record) -> None:
    """The server looks whether the next message is there already, as it would be of a client that does not wait."""
    session = record()
    for number in (1, 2, 3):
        session.request(b'{"jsonrpc":"2.0","id":%d,"method":"look"}\n' % number)
        session.response(b'{"jsonrpc":"2.0","id":%d,"result":{"more":false}}\n' % number)
    session.end()
    look = (
        "import json, os, select\n"
        "while line := os.read(0, 65536):\n"
        "    more = bool(select.select([0], [], [], 0.2)[0]) and line.count(b'\\n') > 0 or line.count(b'\\n') > 1\n"
        "    for one in line.splitlines():\n"
        "        answer = {'jsonrpc': '2.0', 'id': json.loads(one)['id'], 'result': {'more': more}}\n"
        "        os.write(1, json.dumps(answer).encode() + b'\\n')\n"
    )
    done = run("run-1", "--as", "client", "--", sys.executable, "-c", look)
    assert done.returncode == 0, done.stdout


def test_nothing_that_the_server_started_is_left(record: Record, machine: Path) -> None:
    talk(record)
    pids = machine / "pids"
    server = f"(trap '' TERM HUP; echo $BASHPID >{pids}; exec sleep 600) & exec {ECHO[0]} {ECHO[1]}"
    assert run("run-1", "--as", "client", "--", "bash", "-c", server).returncode == 0
    assert not is_alive(int(pids.read_text()))
