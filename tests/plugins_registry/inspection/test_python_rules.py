"""Each rule about Python: what must be seen, however it is spelt, and its innocent twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plugins_registry.inspection.sources import grave, python, rules

NETWORK = "undeclared-network"
SYSTEM = "undeclared-system"
FILES = "undeclared-filesystem"
CODE = "evaluates-code"
HOSTILE = {
    "a socket": ("import socket\ns = socket.socket()", NETWORK),
    "a client of HTTP": ("from urllib.request import urlopen\nurlopen('http://x')", NETWORK),
    "another's client": ("import requests as r\nr.get('http://x')", NETWORK),
    "a connection of asyncio": ("import asyncio\nasync def f():\n    await asyncio.open_connection('x', 1)", NETWORK),
    "a loop's connection": ("async def f(loop):\n    await loop.create_connection(None, 'x', 1)", NETWORK),
    "the SDK's client": ("from km_plugin_sdk import ApiClient", NETWORK),
    "a logging handler": ("import logging.handlers\nlogging.handlers.HTTPHandler('x', 'y')", NETWORK),
    "an import by a call": ("__import__('socket').create_connection(('x', 1))", NETWORK),
    "importlib": ("import importlib\nimportlib.import_module('subprocess').run(['id'])", SYSTEM),
    "pieces of a name": ("import importlib\nimportlib.import_module('sub' + 'process')", SYSTEM),
    "a process": ("import subprocess\nsubprocess.run(['id'])", SYSTEM),
    "a shell": ("import os\nos.system('id')", SYSTEM),
    "a shell by another name": ("import os as o\nrun = o.system\nrun('id')", SYSTEM),
    "a shell kept in an object": (
        "import os\nclass A:\n    def f(self):\n        self.o = os\n        self.o.popen('id')",
        SYSTEM,
    ),
    "a shell by getattr": ("import os\ngetattr(os, 'system')('id')", SYSTEM),
    "exec": ("import os\nos.execv('/bin/sh', ['sh'])", SYSTEM),
    "a fork": ("from os import fork\nfork()", SYSTEM),
    "C": ("import ctypes\nctypes.CDLL(None)", SYSTEM),
    "a signal": ("import signal\nsignal.signal(15, print)", SYSTEM),
    "processes of a pool": ("from concurrent.futures import ProcessPoolExecutor", SYSTEM),
    "a written file": ("open('/tmp/x', 'w')", FILES),
    "a mode by name": ("open('x', mode='ab')", FILES),
    "a computed mode": ("open('x', m)", FILES),
    "a path that writes": ("from pathlib import Path\nPath('x').write_text('y')", FILES),
    "a path that opens": ("from pathlib import Path\nPath('x').open('w')", FILES),
    "a removal": ("import shutil\nshutil.rmtree('x')", FILES),
    "another's file": ("open('/etc/passwd').read()", FILES),
    "a way out of the state directory": ("def f(c):\n    open(c.state_dir / '..' / 'x', 'w')", FILES),
    "a path that a file in the state says": (
        "import json\ndef f(c):\n    p = json.loads((c.state_dir / 'a').read_text())\n    open(p, 'w')",
        FILES,
    ),
    "the same in one go": ("import json\ndef f(c):\n    open(json.load(open(c.state_dir / 'a')), 'w')", FILES),
    "a database": ("import sqlite3\nsqlite3.connect('x.db')", FILES),
    "the home": ("from pathlib import Path\nPath.home()", "home-directory"),
    "eval": ("eval('1')", CODE),
    "exec of text": ("exec('x = 1')", CODE),
    "compile": ("compile('x', 'y', 'exec')", CODE),
    "eval by another name": ("e = eval\ne('1')", CODE),
    "builtins": ("import builtins\nbuiltins.eval('1')", CODE),
    "a code object": ("import types\ntypes.CodeType", CODE),
    "base64 that is run": ("import base64\nexec(base64.b64decode('eD0x'))", "decoded-code"),
    "base64 in steps": (
        "import base64, zlib\na = base64.b64decode('x')\nb = zlib.decompress(a)\nexec(b)",
        "decoded-code",
    ),
    "pickle": ("import pickle\npickle.loads(b'')", "unpickles"),
    "marshal": ("from marshal import loads\nloads(b'')", "unpickles"),
    "a computed import": ("import importlib\nimportlib.import_module(name)", "computed-import"),
    "a computed __import__": ("__import__(''.join(['o', 's']))", "computed-import"),
    "getattr of a module": ("import os\ngetattr(os, name)('id')", "computed-attribute"),
    "getattr of what says it all": ("getattr(x, '__globals__')", "computed-attribute"),
    "subclasses": ("().__class__.__base__.__subclasses__()", "interpreter-internals"),
    "a frame": ("import sys\nsys._getframe(1).f_globals", "interpreter-internals"),
    "modules": ("import sys\nsys.modules['os']", "interpreter-internals"),
    "the import path": ("import sys\nsys.path.insert(0, '/tmp')", "interpreter-internals"),
    "globals": ("globals()['__builtins__']", "namespace-access"),
    "setattr of builtins": ("import builtins\nsetattr(builtins, 'open', print)", "patches-module"),
    "a builtin replaced": ("import builtins\nbuiltins.open = print", "patches-module"),
    "the SDK replaced": ("from km_plugin_sdk import Plugin\nPlugin.initialize = print", "patches-module"),
    "a credential": ("import os\nos.environ['AWS_SECRET_ACCESS_KEY']", "environment-credential"),
    "a credential by getenv": ("from os import getenv\ngetenv('GITHUB_TOKEN')", "environment-credential"),
    "the whole environment": ("import os\ndict(os.environ)", "whole-environment"),
    "a star": ("from os import *\nsystem('id')", "star-import"),
    "another encoding": ("# -*- coding: utf-7 -*-\nx = 1", "source-encoding"),
    "what is no Python": ("def (:", "unreadable-python"),
    "what nests too deeply": ("(" * 5000, "unreadable-python"),
}
INNOCENT = {
    "a URL is parsed": "from urllib.parse import urlsplit\nurlsplit('http://x')",
    "a pattern is compiled": "import re\nre.compile('x')",
    "a method is called eval": "class A:\n    def eval(self): return 1\nA().eval()",
    "a file in the state directory": "def f(c):\n    p = c.state_dir / 'x'\n    p.write_text('y')\n    open(p, 'w')",
    "a path kept in an object": (
        "from pathlib import Path\nclass A:\n    def initialize(self, config):\n"
        "        self.path = Path(config.state_dir) / 'x'\n"
        "    def save(self):\n        self.path.with_suffix('.new').write_bytes(b'')"
    ),
    "its own file": "from pathlib import Path\n(Path(__file__).parent / 'words.txt').read_text()",
    "a database in memory": "import sqlite3\nsqlite3.connect(':memory:')",
    "base64 of a message": "import base64\nbase64.b64decode('eA==')",
    "dispatch by name": "class A:\n    def f(self, name):\n        return getattr(self, 'on_' + name, None)",
    "its own attribute": "class A:\n    def f(self):\n        self.x = 1\n        setattr(self, 'y', 2)",
    "os.path": "import os\nos.path.join('a', 'b')\nos.getpid()",
    "logging": "import logging\nlogging.getLogger('x').info('y')",
    "threads": "import threading, queue\nthreading.Thread(target=print).start()",
    "JSON": "import json\njson.loads('{}')",
    "a latin letter": "# -*- coding: utf-8 -*-\nx = 'é'",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_python_is_seen(tmp_path: Path, case: str) -> None:
    code, rule = HOSTILE[case]
    assert rule in grave(python(tmp_path, code))


@pytest.mark.parametrize("case", INNOCENT)
def test_its_innocent_twin_is_not(tmp_path: Path, case: str) -> None:
    assert grave(python(tmp_path, INNOCENT[case])) == set()


@pytest.mark.parametrize(
    ("code", "permission", "rule"),
    [
        ("import socket", "network", "uses-network"),
        ("import subprocess", "system", "uses-system"),
        ("open('/tmp/x', 'w')", "filesystem", None),
    ],
)
def test_what_the_manifest_asks_for_stands_in_nobodys_way(
    tmp_path: Path, code: str, permission: str, rule: str | None
) -> None:
    permissions: dict[str, Any] = {permission: True}
    found = python(tmp_path, code, **permissions)
    assert grave(found) == set()
    assert rule is None or rule in rules(found)


def test_a_permission_is_no_leave_for_another(tmp_path: Path) -> None:
    assert "undeclared-system" in grave(python(tmp_path, "import subprocess", network=True, filesystem=True))


def test_what_is_only_in_tests_is_shown_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    found = python(tmp_path, "import subprocess\neval('1')", file="tests/test_it.py")
    assert {"undeclared-system", "evaluates-code"} <= rules(found)
    assert grave(found) == set()


def test_a_directory_called_otherwise_is_no_hiding_place(tmp_path: Path) -> None:
    for file in ("build/x.py", "venv/x.py", "vendor/x.py", "site/x.py", "lib/tests/x.py", "a.pyw"):
        assert "evaluates-code" in grave(python(tmp_path, "eval('1')", file=file)), file


def test_a_fingerprint_outlives_moved_lines_and_not_a_changed_one(tmp_path: Path) -> None:
    (first,) = python(tmp_path / "a", "eval('1')")
    (moved,) = python(tmp_path / "b", "\n\nif True:\n    eval('1')")
    (changed,) = python(tmp_path / "c", "eval('2')")
    (elsewhere,) = python(tmp_path / "d", "eval('1')", file="other.py")
    assert first.fingerprint == moved.fingerprint
    assert (first.line, moved.line) == (1, 4)
    assert len({first.fingerprint, changed.fingerprint, elsewhere.fingerprint}) == 3
