"""Ordinary tool traffic without a secret in it: what real MCP servers and their clients say, as lines of the wire.

The servers are those of the suite: filesystem (it reads this project's sources, installed packages, lock files, minified
programs, images and certificates), git, time, everything, and fetch from a web server of this machine. What no server
here says is made from a seed: documents that talk about secrets, identifiers and hashes.
"""

# ruff: noqa: E501 - a form a line, to be read as a table
from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.client.redaction_corpus.values import Maker

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
NODE_MODULES = ROOT / "tests" / "mcp_servers" / "node_modules"
SITE = Path(subprocess.__file__).parent  # the standard library's sources
PACKAGES = Path(json.__file__).parent
MAX_FILE_BYTES = 150_000  # a tool's answer is seldom longer

Call = tuple[str, dict[str, Any]]


class Talk:
    """One server process, spoken to in raw JSON-RPC; `lines` is everything both sides said."""

    def __init__(self, command: list[str]) -> None:
        self.lines: list[bytes] = []
        self._next = 0
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
        )
        info = {"name": "traffic", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info})
        self._say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.ask("tools/list", {})

    def call(self, tool: str, arguments: dict[str, Any]) -> None:
        self.ask("tools/call", {"name": tool, "arguments": arguments})

    def ask(self, method: str, params: dict[str, Any]) -> None:
        self._next += 1
        self._say({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        assert self._process.stdout
        while line := self._process.stdout.readline():
            self.lines.append(line.rstrip(b"\n"))
            said = json.loads(line)
            if said.get("id") == self._next and "method" not in said:
                return
            if "method" in said and "id" in said:  # the server asks; this client offers nothing
                self._say({"jsonrpc": "2.0", "id": said["id"], "error": {"code": -32601, "message": "not offered"}})
        raise RuntimeError(f"the server ended before it answered {method}")

    def _say(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, separators=(",", ":")).encode()
        self.lines.append(line)
        assert self._process.stdin
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def end(self) -> list[bytes]:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        return self.lines


def _talk(command: list[str], calls: Iterable[Call]) -> list[bytes]:
    talk = Talk(command)
    try:
        for tool, arguments in calls:
            talk.call(tool, arguments)
    finally:
        lines = talk.end()
    return lines


def _files(count: int, seed: int) -> list[Path]:
    """Sources of this project but its tests, of installed packages and of the standard library; locks, docs, web pages."""
    ours = [path for room in ("client/src", "core", "customers", "events", "dashboard", "plugins_registry", "protocol/src")
            for path in (ROOT / room).rglob("*.py")]  # fmt: skip
    theirs = [path for path in [*SITE.rglob("*.py"), *PACKAGES.rglob("*.py")] if "test" not in str(path)]
    ours = [path for path in ours if "redaction" not in str(path)]  # whose examples are secrets
    site = Path(next(path for path in sys.path if path.endswith("site-packages")))
    installed = [path for name in ("django", "requests", "urllib3", "rich", "pydantic", "httpx", "starlette", "mcp")
                 for path in (site / name).rglob("*.py")]  # fmt: skip
    web = [path for ending in ("js", "mjs", "ts", "json", "md", "map") for path in NODE_MODULES.rglob(f"*.{ending}")]
    locks = [*ROOT.glob("requirements/*.txt"), ROOT / "uv.lock", NODE_MODULES.parent / "package-lock.json"]
    documents = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]
    chosen = Maker(seed)
    groups = [ours, theirs, installed, web]
    picked = [path for group in groups for path in chosen.sample(sorted(set(group)), min(len(set(group)), count // 4))]
    return [path for path in [*locks, *documents, *picked] if path.is_file() and path.stat().st_size < MAX_FILE_BYTES]


def filesystem(count: int, seed: int) -> list[bytes]:
    files = _files(count, seed)
    roots = sorted({str(ROOT), str(SITE), *(path for path in sys.path if path.endswith("site-packages"))})
    calls: list[Call] = [("read_text_file", {"path": str(path)}) for path in files]
    calls += [("list_directory", {"path": str(path)}) for path in sorted({path.parent for path in files})[: count // 4]]
    return _talk([str(NODE_MODULES / ".bin" / "mcp-server-filesystem"), *roots], calls)


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _shows_tests(commit: str) -> bool:
    """Whether it changes tests, whose examples of secrets are secrets to any reader; a merge as the server shows it."""
    paths = _git("show", "--name-only", "--format=", "--diff-merges=first-parent", commit).split()
    return any("test" in path or "redaction" in path for path in paths)


def git(count: int) -> list[bytes]:
    repository = str(ROOT)
    commits = [commit for commit in _git("log", "--format=%H").split() if not _shows_tests(commit)][:count]
    calls: list[Call] = [("git_log", {"repo_path": repository, "max_count": 30})]
    calls += [("git_show", {"repo_path": repository, "revision": commit}) for commit in commits]
    return _talk([str(BIN / "mcp-server-git"), "--repository", repository], calls)


def time(count: int) -> list[bytes]:
    zones = ("Europe/Rome", "Asia/Tokyo", "America/New_York", "UTC")
    calls: list[Call] = [("get_current_time", {"timezone": zones[number % 4]}) for number in range(count)]
    return _talk([str(BIN / "mcp-server-time")], calls)


def everything(count: int) -> list[bytes]:
    calls: list[Call] = [("get-tiny-image", {}), ("get-structured-content", {"location": "New York"})]
    calls += [("echo", {"message": f"message {number}: what is in the token bucket?"}) for number in range(count)]
    return _talk([str(NODE_MODULES / ".bin" / "mcp-server-everything"), "stdio"], calls)


def fetch(count: int) -> list[bytes]:
    """Pages of documentation, over HTTP from this machine."""
    pages = [path for path in sorted(NODE_MODULES.rglob("*.md")) if path.stat().st_size < MAX_FILE_BYTES][:count]
    with _web_server(NODE_MODULES) as address:
        calls: list[Call] = [
            ("fetch", {"url": f"{address}/{path.relative_to(NODE_MODULES)}", "max_length": 100_000, "raw": True})
            for path in pages
        ]
        return _talk([str(BIN / "mcp-server-fetch"), "--ignore-robots-txt"], calls)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def _web_server(directory: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


_TALK_OF_SECRETS = (
    "Please enter your password: it must have eight letters", "def login(user: str, password: str, token: str | None = None):",
    'config = {"password": "<your-password>", "api_key": "YOUR_API_KEY", "secret": "${SECRET}"}', "token=None, secret=os.environ['SECRET']",
    "export GITHUB_TOKEN=<token>", "Authorization: Bearer <token>", "Authorization: Bearer ${TOKEN}", "password = getpass()",
    "postgres://user:password@localhost/db", "postgres://${DB_USER}:${DB_PASSWORD}@db/app", "curl -H \"Authorization: Bearer $TOKEN\" https://h",
    '{"type": "object", "properties": {"token": {"type": "string"}, "password": {"type": "string", "format": "password"}}}',
    '"dependencies": {"cookie": "^0.7.2", "jsonwebtoken": "~9.0.2", "js-tokens": "4.0.0"}', "The secret of Basic authentication is patience",
    'tokenizer: {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "[PAD]"}', '{"usage": {"input_tokens": 1043, "output_tokens": 12}}',
    '{"nextPageToken": "CAoQAA8f3d", "next_token": "e30K9a8b7c6d5e4f"}', "if (!token) throw new Error('missing token');",
    "password: Optional[str] = None  # never logged", "const { token, secret } = await getCredentials();", "secrets:\n  - source: db_password\n",
    "-----BEGIN PRIVATE KEY----- is the first line of such a file", "password_hash = hashlib.sha256(data).hexdigest()",
    "token: ${{ secrets.GITHUB_TOKEN }}", "password: '{{ vault_password }}'", "ssh-keygen -t ed25519 -f ~/.ssh/id_ed25519",
    "api_key_header = 'X-API-Key'", "Set-Cookie headers are parsed by `cookie.parse`", '{"private_key": "~/.ssh/id_rsa", "secret": "/run/secrets/db"}',
    "task-force-one-is-a-long-name and sk-learn-like-names", "hf_transformers, npm_config_registry, ghp_ prefixes, AKIA… ids",
)  # fmt: skip


def made(count: int, seed: int) -> list[bytes]:
    """Identifiers, hashes, public keys, images, and text about secrets."""
    make = Maker(seed)
    forms = (
        lambda: json.dumps({"id": make.uuid(), "etag": make.hex(32), "sha256": make.hex(64)}),
        lambda: f"commit {make.hex(40)}\nAuthor: A <a@example.com>\n\n    Fix #{make.digits(4)}\n",
        lambda: f'"node_modules/cookie": {{"version": "0.7.2", "integrity": "sha512-{make.b64(64)}"}}',
        lambda: f"data:image/png;base64,{make.b64(make.randint(200, 6000))}",
        lambda: (
            f"-----BEGIN CERTIFICATE-----\n{make.b64(600)}\n-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n{make.b64(90)}\n-----END PUBLIC KEY-----"
        ),
        lambda: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{make.b62(43)} me@host",
        lambda: (
            f"{make.digits(4)}-11-23T04:50:01Z INFO request_id={make.uuid()} trace={make.hex(32)} took={make.digits(3)}ms"
        ),
        lambda: "\n".join(make.sample(_TALK_OF_SECRETS, 4)),
        lambda: f"docker.io/library/redis@sha256:{make.hex(64)}",
        lambda: base64.b64encode(make.randbytes(make.randint(30, 3000))).decode(),
    )
    texts = [make.choice(forms)() for _ in range(count)]
    results = [{"content": [{"type": "text", "text": text}], "isError": False} for text in texts]
    return [
        json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode() for number, result in enumerate(results)
    ]


def record(count: int, seed: int) -> dict[str, list[bytes]]:
    """Server → its lines: about `count` calls of the first and the last, an eighth of that of the slower ones."""
    some = count // 8
    return {
        "filesystem": filesystem(count, seed),
        "git": git(some),
        "time": time(some),
        "everything": everything(some),
        "fetch": fetch(some),
        "made": made(count, seed),
    }
