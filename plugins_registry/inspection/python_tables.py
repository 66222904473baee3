"""Which names of Python are which of a manifest's permissions, and which are none that a plugin has a use for.

capability_of("subprocess.run")     "system"
capability_of("urllib.parse")       None
"""

from __future__ import annotations

import re
from typing import Literal

Capability = Literal["network", "system"]

# A name stands for everything beneath it.
NETWORK = frozenset(
    [
        "_socket",
        "socket",
        "socketserver",
        "ssl",
        "http.client",
        "http.server",
        "urllib.request",
        "urllib.robotparser",
        "ftplib",
        "smtplib",
        "poplib",
        "imaplib",
        "nntplib",
        "telnetlib",
        "xmlrpc",
        "webbrowser",
        "asyncio.open_connection",
        "asyncio.start_server",
        "asyncio.open_unix_connection",
        "asyncio.start_unix_server",
        "logging.handlers.SocketHandler",
        "logging.handlers.DatagramHandler",
        "logging.handlers.SysLogHandler",
        "logging.handlers.HTTPHandler",
        "logging.handlers.SMTPHandler",
        "logging.config.listen",
        "multiprocessing.connection",
        "requests",
        "httpx",
        "aiohttp",
        "urllib3",
        "websocket",
        "websockets",
        "paramiko",
        "asyncssh",
        "grpc",
        "grpclib",
        "h2",
        "dns",
        "pycurl",
        "boto3",
        "botocore",
        "redis",
        "pymongo",
        "psycopg",
        "psycopg2",
        "mysql",
        "ldap3",
        "zmq",
        "pika",
        "kafka",
        "twisted",
        "tornado",
        "trio",
        "anyio",
        "sentry_sdk",
        "km_plugin_sdk.ApiClient",
        "km_plugin_sdk.api_client",
    ]
)
SYSTEM = frozenset(
    [
        "subprocess",
        "_posixsubprocess",
        "os.system",
        "os.popen",
        "os.execl",
        "os.execle",
        "os.execlp",
        "os.execlpe",
        "os.execv",
        "os.execve",
        "os.execvp",
        "os.execvpe",
        "os.spawnl",
        "os.spawnle",
        "os.spawnlp",
        "os.spawnlpe",
        "os.spawnv",
        "os.spawnve",
        "os.spawnvp",
        "os.spawnvpe",
        "os.posix_spawn",
        "os.posix_spawnp",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.killpg",
        "os.pidfd_open",
        "os.setuid",
        "os.setgid",
        "os.setsid",
        "os.setns",
        "os.unshare",
        "os.startfile",
        "os.mknod",
        "posix",
        "nt",
        "ctypes",
        "_ctypes",
        "cffi",
        "signal",
        "_signal",
        "multiprocessing",
        "_multiprocessing",
        "pty",
        "resource",
        "concurrent.futures.ProcessPoolExecutor",
        "concurrent.futures.process",
        "asyncio.create_subprocess_exec",
        "asyncio.create_subprocess_shell",
        "asyncio.subprocess",
        "psutil",
        "pexpect",
        "sh",
        "winreg",
        "msvcrt",
        "_winapi",
    ]
)
NETWORK_METHODS = frozenset(
    {"create_connection", "create_server", "create_datagram_endpoint", "create_unix_connection", "sock_connect"}
)
SYSTEM_METHODS = frozenset({"subprocess_exec", "subprocess_shell"})

# Text that becomes code.
EVALUATORS = frozenset({"eval", "exec", "compile", "__import__", "breakpoint", "__builtins__"})
CODE_MAKERS = frozenset(
    [
        "builtins.eval",
        "builtins.exec",
        "builtins.compile",
        "builtins.__import__",
        "types.CodeType",
        "types.FunctionType",
        "code",
        "codeop",
        "runpy",
        "imp",
        "zipimport",
        "pkgutil.ImpImporter",
        "importlib.util.spec_from_file_location",
        "importlib.util.module_from_spec",
        "importlib.util.spec_from_loader",
        "importlib.machinery",
        "importlib.abc",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "pdb",
        "bdb",
        "doctest",
        "timeit",
        "ensurepip",
        "pip",
        "venv",
        "lib2to3",
        "sitecustomize",
        "usercustomize",
    ]
)
# Data that becomes code.
UNPICKLERS = frozenset(
    [
        "pickle",
        "_pickle",
        "cPickle",
        "marshal",
        "shelve",
        "dill",
        "cloudpickle",
        "joblib",
        "jsonpickle",
        "copyreg",
        "pandas.read_pickle",
        "torch.load",
    ]
)
# The interpreter's own parts: ways round whatever the rules look for.
INTERNALS = frozenset(
    [
        "sys.modules",
        "sys._getframe",
        "sys._current_frames",
        "sys.meta_path",
        "sys.path_hooks",
        "sys.path_importer_cache",
        "sys.path",
        "sys.settrace",
        "sys.setprofile",
        "threading.settrace",
        "threading.setprofile",
        "gc.get_objects",
        "gc.get_referrers",
        "gc.get_referents",
        "inspect.currentframe",
        "inspect.stack",
        "inspect.getouterframes",
        "site.addsitedir",
        "atexit._run_exitfuncs",
        "_imp",
        "_frozen_importlib",
        "_frozen_importlib_external",
    ]
)
INNER_ATTRIBUTES = frozenset(
    [
        "__subclasses__",
        "__globals__",
        "__builtins__",
        "__code__",
        "__closure__",
        "__mro__",
        "__bases__",
        "__base__",
        "__getattribute__",
        "__loader__",
        "f_globals",
        "f_locals",
        "f_builtins",
        "f_back",
        "f_code",
        "gi_frame",
        "gi_code",
        "cr_frame",
        "cr_code",
        "ag_frame",
        "tb_frame",
        "tb_next",
        "co_code",
        "co_consts",
        "func_globals",
    ]
)
DECODERS = frozenset(
    [
        "base64",
        "binascii",
        "codecs.decode",
        "zlib.decompress",
        "gzip.decompress",
        "bz2.decompress",
        "lzma.decompress",
        "bytes.fromhex",
        "bytearray.fromhex",
        "marshal",
        "quopri",
        "uu",
        "rot13",
    ]
)
CREDENTIAL = re.compile(
    r"(?i)(?:^|_)(?:key|token|secret|password|passwd|passphrase|credentials?|auth|cookie|session|private)(?:_|$)"
    r"|^(?:aws|gcp|azure|github|gitlab|slack|npm|pypi|km|kilometers|ssh|gpg|vault)_"
)

WRITING_FUNCTIONS = frozenset(
    [
        "os.remove",
        "os.unlink",
        "os.rename",
        "os.renames",
        "os.replace",
        "os.makedirs",
        "os.mkdir",
        "os.rmdir",
        "os.removedirs",
        "os.chmod",
        "os.chown",
        "os.lchown",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.utime",
        "os.mkfifo",
        "os.open",
        "os.chdir",
        "os.chroot",
        "os.setxattr",
        "shutil.copy",
        "shutil.copy2",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.copymode",
        "shutil.copystat",
        "shutil.move",
        "shutil.rmtree",
        "shutil.chown",
        "shutil.make_archive",
        "shutil.unpack_archive",
        "sqlite3.connect",
        "dbm.open",
        "logging.FileHandler",
        "logging.handlers.RotatingFileHandler",
        "logging.handlers.TimedRotatingFileHandler",
        "logging.handlers.WatchedFileHandler",
    ]
)
WRITING_METHODS = frozenset(
    [
        "write_text",
        "write_bytes",
        "unlink",
        "mkdir",
        "touch",
        "rmdir",
        "symlink_to",
        "hardlink_to",
        "link_to",
        "lchmod",
        "extractall",
    ]
)
READING_FUNCTIONS = frozenset(
    [
        "os.listdir",
        "os.scandir",
        "os.walk",
        "os.fwalk",
        "glob.glob",
        "glob.iglob",
        "os.readlink",
        "os.getxattr",
        "fileinput.input",
    ]
)
READING_METHODS = frozenset({"read_text", "read_bytes", "iterdir", "rglob"})
HOME_FUNCTIONS = frozenset(
    [
        "os.path.expanduser",
        "pathlib.Path.home",
        "pathlib.Path().expanduser",
        "os.getlogin",
        "pwd",
        "grp",
        "getpass.getuser",
        "spwd",
    ]
)
OPENERS = frozenset(
    ["open", "builtins.open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "tokenize.open"]
)


def capability_of(name: str) -> Capability | None:
    """The permission that `name`, or what it belongs to, needs."""
    if is_within(name, NETWORK):
        return "network"
    return "system" if is_within(name, SYSTEM) else None


def is_within(name: str, table: frozenset[str]) -> bool:
    """Whether `name`, or any dotted beginning of it, is in `table`."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in table for length in range(1, len(parts) + 1))
