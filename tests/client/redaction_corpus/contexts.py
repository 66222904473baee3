"""Where secrets stand in what tools are told and answer: frames of text, and the ways a text gets into a message.

There are two sets. The patterns were written with the first in view; the second, of other forms and made from another
seed, says how they do where nobody looked.
"""

# ruff: noqa: E501 - a form a line, to be read as a table
from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import NamedTuple

from tests.client.redaction_corpus.values import Maker


class Carrier(NamedTuple):
    """A text with a secret of its own: what it is, and (text, secret)."""

    provider: str
    make: Callable[[Maker], tuple[str, str]]


def _basic(make: Maker) -> tuple[str, str]:
    value = base64.b64encode(f"{make.b62(8)}:{make.password()}".encode()).decode()
    return f"GET / HTTP/1.1\r\nAuthorization: Basic {value}\r\nAccept: */*", value


def _in(template: str, value: Callable[[Maker], str]) -> Callable[[Maker], tuple[str, str]]:
    def make(maker: Maker) -> tuple[str, str]:
        secret = value(maker)
        return template.replace("{}", secret), secret

    return make


def _of(alphabet: str, length: int) -> Callable[[Maker], str]:
    return lambda maker: maker.of(alphabet, length)


def _safe(maker: Maker) -> str:
    """A password that needs no escape in an address."""
    return maker.b62(maker.randint(8, 20)) + maker.choice(("", "-", "_", "!", "~")) + maker.digits(2)


def _b64(size: int) -> Callable[[Maker], str]:
    return lambda maker: maker.b64(size)


def _hex(length: int) -> Callable[[Maker], str]:
    return lambda maker: maker.hex(length)


def _url(length: int) -> Callable[[Maker], str]:
    return lambda maker: maker.url(length)


def _aws_pair(maker: Maker) -> tuple[str, str]:
    secret = maker.b62(40)
    return f"User,Access key ID,Secret access key\nme,AKIA{maker.of('ABCDEFGH234567', 16)},{secret}\n", secret


SHAPED: dict[str, list[str]] = {
    "fitted": [
        "{}", "the key is {} today", "export KEY={}\nexport B=2", "value: {}\n", '{"k": "{}"}', "see `{}`, please",
        "https://api.example.com/v1?key={}&page=2", "2026-11-23 04:50:01 INFO using {} for upload", "curl -H 'X-Key: {}' https://h/",
        "-  old\n+  {}\n", "KEY='{}'", "\tconst key = \"{}\";\n",
    ],
    "held out": [
        "({})", "key={};", "| name | {} |", "<key>{}</key>", "ENV FOO={}\nRUN make", "\x1b[32m{}\x1b[0m", "a={}&b=c",
        "set -x FOO {}", "https://h/cb#access={}", "[\"{}\", 1]", "machine:\n  - key: '{}'\n", "found 1 key:{}", "%3D{}",
    ],
}  # fmt: skip
NAMED: dict[str, list[str]] = {
    "fitted": [
        '{"n": "v"}', '{"env": {"N": "v"}, "x": 1}', "A=1\nN=v\nB=2", "export N=v\n", "n: v\n", 'n = "v"\n', "n='v'\n",
        "run --n=v now", "run --n v", '["run", "--n", "v"]', "https://h/p?n=v&x=1", "os.environ['N'] = 'v'", "Environment=N=v\n",
        "n: \"v\"\nother: 1\n",
        "setx N v\nset N=v\r\n", "<n>v</n>", '{"name": "N", "value": "v"}', "- name: N\n  value: v\n", "| n | v |\n", "N ?= v\n",
    ],
    "held out": [
        '{"a": [{"n": "v"}]}', "docker run -e N=v image", "ENV N=v\n", "n = v\n", "  n: v\n  host: h\n", "N=v cmd --flag",
        "config.n = 'v'", '"n" => "v",', 'n := "v"', "{n: 'v'}", "POST body: a=b&n=v", "$env:N = \"v\"",
        "--n='v' --x", "spring.n=v\n", "java -Dn=v -jar a.jar",
        "helm install --set n=v x", '["N=v", "B=1"]', "set_secret('n', 'v')", "putenv('N=v');", "echo N=v >> .env",
    ],
}  # fmt: skip
CARRIERS: dict[str, list[Carrier]] = {
    "fitted": [
        Carrier("Basic", _basic),
        Carrier("Bearer", _in("Authorization: Bearer {}\n", _url(40))),
        Carrier("Bearer", _in('{"headers": {"Authorization": "Bearer {}"}}', _hex(40))),
        Carrier("Cookie", _in("Cookie: theme=dark; sessionid={}\r\n", _url(32))),
        Carrier("Cookie", _in("Set-Cookie: sid={}; Path=/; HttpOnly\r\n", _hex(32))),
        Carrier("connection string", _in("postgres://app:{}@db.example.com:5432/app", _safe)),
        Carrier("connection string", _in("mongodb+srv://me:{}@c0.mongodb.example/x?w=majority", _safe)),
        Carrier("connection string", _in("Server=db;User Id=sa;Password={};Encrypt=true", _safe)),
        Carrier("Azure", _in("DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=core", _b64(64))),
        Carrier("Slack", _in("https://hooks.slack.com/services/T0ABCDEF1/B0ABCDEF2/{}", lambda m: m.b62(24))),
        Carrier("Discord", _in("https://discord.com/api/webhooks/123456789012345678/{}", _url(68))),
        Carrier("netrc", _in("machine api.example.com\n  login me\n  password {}\n", _safe)),
        Carrier("npmrc", _in("//registry.example.com/:_authToken={}\n", lambda m: m.uuid())),
        Carrier("AWS", _aws_pair),
        Carrier("curl", _in("curl -u admin:{} https://h/x", _safe)),
        Carrier("URL", _in("git clone https://me:{}@git.example.com/a/b.git", _hex(40))),
    ],
    "held out": [
        Carrier("Basic", _in("curl --header \"Authorization: Basic {}\"", lambda m: base64.b64encode(f"u:{m.b62(12)}".encode()).decode())),
        Carrier("Bearer", _in("-H 'authorization: bearer {}' -d @x", _url(64))),
        Carrier("Bearer", _in("headers={'Authorization': 'Bearer {}'}", lambda m: m.b62(30))),
        Carrier("Bearer", _in("> Authorization: token {}\n", _hex(40))),
        Carrier("Cookie", _in("curl -b x -H 'Cookie: connect.sid={}' h", _url(60))),
        Carrier("connection string", _in("DATABASE_URL=mysql://root:{}@127.0.0.1/db\n", _safe)),
        Carrier("connection string", _in("redis://:{}@cache:6379/0", _safe)),
        Carrier("connection string", _in("amqps://u:{}@mq.example.com/vhost", _safe)),
        Carrier("connection string", _in("Endpoint=sb://x/;SharedAccessKeyName=R;SharedAccessKey={}", _b64(32))),
        Carrier("Azure", _in("https://a.blob.example.net/c?sv=2022-11-02&sr=c&sig={}&se=1", lambda m: m.b62(40) + "%3D")),
        Carrier("netrc", _in("machine h login u password {}", _safe)),
        Carrier("Docker", _in('{"auths": {"h": {"auth": "{}"}}}', lambda m: base64.b64encode(f"me:{m.b62(16)}".encode()).decode())),
        Carrier("curl", _in("curl --user 'me:{}' https://h", _safe)),
        Carrier("URL", _in("https://oauth2:{}@gitlab.example.com/x.git", _url(20))),
        Carrier("Teams", _in("https://x.webhook.office.com/webhookb2/{}", lambda m: f"{m.uuid()}@{m.uuid()}/IncomingWebhook/{m.hex(32)}/{m.uuid()}")),
    ],
}  # fmt: skip


def _result(text: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": text}]}})


def _call(text: str) -> str:
    arguments = {"path": "a.txt", "content": text}
    message = {
        "jsonrpc": "2.0",
        "id": 8,
        "method": "tools/call",
        "params": {"name": "write_file", "arguments": arguments},
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _nested(text: str) -> str:
    return _result(json.dumps({"stdout": text, "code": 0}, indent=2))


def _twice_nested(text: str) -> str:
    return _call(json.dumps({"body": json.dumps({"log": text})}))


def _slashes(text: str) -> str:
    return _result(text).replace("/", "\\/")


def _html_safe(text: str) -> str:
    """As Go's encoder writes."""
    return _call(text).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _cautious(text: str) -> str:
    """As .NET's encoder writes."""
    quoted = json.dumps(text)[1:-1].replace('\\"', "\\u0022")
    for sign in "&<>+'`":
        quoted = quoted.replace(sign, f"\\u{ord(sign):04X}")
    return f'{{"jsonrpc":"2.0","id":9,"result":{{"content":[{{"type":"text","text":"{quoted}"}}]}}}}'


WRAPPERS: dict[str, list[Callable[[str], str]]] = {
    "fitted": [_result, _call, _nested, _slashes],
    "held out": [_result, _twice_nested, _html_safe, _cautious],
}
