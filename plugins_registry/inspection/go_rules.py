"""What the words of Go source say: packages that need a permission, ways round the compiler, code that is not Go.

Whatever the build constraints: a file for another system is read as well. Tests are never compiled into a plugin. The
copy of the Go SDK that `km-client plugin new` makes is left out where it is byte for byte ours; vendored modules are
judged by `vendored.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.go_words import GoFile, Import
from plugins_registry.inspection.python_tables import CREDENTIAL
from plugins_registry.inspection.source_tree import SourceFile, SourceTree, line_of

CHECK = "go_rules"
# Packages of the standard library's `net` that only read and write text.
_PURE_NET = frozenset({"net/url", "net/netip", "net/mail", "net/textproto"})
_NETWORK = ("net", "crypto/tls", "log/syslog", "golang.org/x/net", "google.golang.org/grpc", "golang.org/x/crypto/ssh")
_SYSTEM = ("os/exec", "os/signal", "os/user", "syscall", "golang.org/x/sys", "runtime/debug")
_NEVER = {
    "C": "cgo compiles C, which no published build does",
    "unsafe": "`unsafe` goes round Go's types",
    "plugin": "`plugin` loads code while it runs",
    "runtime/cgo": "cgo compiles C, which no published build does",
    "reflect/internal": "reaches into the runtime",
}
_DIRECTIVES: dict[str, tuple[Severity, str]] = {
    "linkname": ("high", "`//go:linkname` reaches into other packages"),
    "cgo_import_dynamic": ("critical", "links a library that is not in the source"),
    "cgo_import_static": ("critical", "links a library that is not in the source"),
    "generate": ("medium", "`//go:generate` is never run here: what it makes must be in the source"),
    "nosplit": ("medium", "goes round the runtime's stack checks"),
    "noescape": ("high", "goes round the compiler's checks"),
}
_WRITES = frozenset(
    [
        "WriteFile",
        "Create",
        "CreateTemp",
        "OpenFile",
        "Remove",
        "RemoveAll",
        "Rename",
        "Mkdir",
        "MkdirAll",
        "MkdirTemp",
        "Chmod",
        "Chown",
        "Lchown",
        "Link",
        "Symlink",
        "Truncate",
        "Chtimes",
        "Chdir",
        "OpenRoot",
        "CopyFS",
    ]
)
_RUNS = frozenset({"StartProcess", "FindProcess"})
_READS = frozenset({"Open", "ReadFile", "ReadDir", "DirFS", "Readlink"})
_HOMES = frozenset({"UserHomeDir", "UserConfigDir", "UserCacheDir"})
_NOT_GO = (
    ".c",
    ".cc",
    ".cpp",
    ".cxx",
    ".h",
    ".hh",
    ".hpp",
    ".m",
    ".s",
    ".S",
    ".sx",
    ".syso",
    ".f",
    ".swig",
    ".swigcxx",
)


def check(tree: SourceTree, permissions: Mapping[str, bool], known: Collection[str] = ()) -> Iterator[Finding]:
    """`known`: files that were proved to be the SDK's."""
    for file in tree.named(".go"):
        if not file.is_test and file.name not in known:
            yield from _in_file(GoFile.read(file.name, tree.text(file.name)), permissions)
    for file in tree.named(*_NOT_GO):
        hint = "write it in Go: published builds have `CGO_ENABLED=0`"
        yield finding(CHECK, "not-go", "high", "is code that is not Go", hint, file=file.name)


def in_vendored(file: SourceFile, tree: SourceTree) -> Iterator[Import]:
    """What a file of another module imports that a plugin may not."""
    for each in GoFile.read(file.name, tree.text(file.name)).imports:
        if each.path in _NEVER or needed(each.path):
            yield each


def _in_file(file: GoFile, permissions: Mapping[str, bool]) -> Iterator[Finding]:
    for each in file.imports:
        yield from _import(file, each, permissions)
    for line, text in file.directives:
        yield from _directive(file, line, text)
    yield from _calls(file, permissions)


def _import(file: GoFile, each: Import, permissions: Mapping[str, bool]) -> Iterator[Finding]:
    capability = needed(each.path)
    if each.path in _NEVER:
        yield _at(file, each.line, f"imports-{each.path.replace('/', '-')}", "high", _NEVER[each.path])
    elif capability and permissions.get(capability):
        yield _at(file, each.line, f"uses-{capability}", "info", f"`{each.path}` uses the declared `{capability}`")
    elif capability:
        message = f"`{each.path}` needs the permission `{capability}`, which the manifest does not ask for"
        hint = f"ask for `{capability}` in the manifest's permissions and say why, or leave it out"
        yield _at(file, each.line, f"undeclared-{capability}", "high", message, hint)
    if each.name == "." and (capability or each.path == "os"):
        yield _at(file, each.line, "dot-import", "high", f"`import . {each.path!r}` hides what is used")


def needed(path: str) -> str:
    if path in _PURE_NET:
        return ""
    if any(path == each or path.startswith(f"{each}/") for each in _NETWORK):
        return "network"
    return "system" if any(path == each or path.startswith(f"{each}/") for each in _SYSTEM) else ""


def _directive(file: GoFile, line: int, text: str) -> Iterator[Finding]:
    word, _, rest = text.removeprefix("//go:").partition(" ")
    if word in _DIRECTIVES:
        severity, message = _DIRECTIVES[word]
        yield _at(file, line, f"directive-{word}".replace("_", "-"), severity, message)
    elif word == "embed":
        for pattern in rest.split():
            if ".." in pattern.split("/") or pattern.strip('"`').startswith(("/", "~")):
                yield _at(file, line, "embeds-outside", "high", f"embeds `{pattern}`, which is outside its directory")


def _calls(file: GoFile, permissions: Mapping[str, bool]) -> Iterator[Finding]:
    packages = [("os", _WRITES | _RUNS | _READS | _HOMES | {"Environ"}), ("io/ioutil", _WRITES | _READS | {"TempFile"})]
    for path, functions in packages:
        for line, name, argument in file.uses(path, functions):
            yield from _call(file, line, name, argument.text if argument else "", permissions)
    for line, name, argument in file.uses("os", {"Getenv", "LookupEnv"}):
        variable = argument.text.strip('"`') if argument and argument.kind in {"text", "raw"} else ""
        if CREDENTIAL.search(variable):
            message = f"`{name}` reads `{variable}` from the environment, which looks like a credential"
            yield _at(file, line, "environment-credential", "high", message, "a plugin's own token is `config.JWT`")


def _call(file: GoFile, line: int, name: str, argument: str, permissions: Mapping[str, bool]) -> Iterator[Finding]:
    function = name.rpartition(".")[2]
    if function in _RUNS and not permissions.get("system"):
        yield _at(file, line, "undeclared-system", "high", f"`{name}` needs the permission `system`")
    elif function == "Environ":
        yield _at(file, line, "whole-environment", "high", "takes the environment as a whole", "name the variable")
    elif permissions.get("filesystem"):
        return
    elif function in _HOMES:
        yield _at(file, line, "home-directory", "high", f"`{name}` finds the user's own directory")
    elif function in _WRITES or function == "TempFile":
        hint = "the state directory is open to it; reviewers look at where this writes"
        is_fixed = argument.startswith(('"/', "`/", '"~', '"..'))
        yield _at(file, line, "writes-files", "high" if is_fixed else "medium", f"`{name}` changes files", hint)
    elif function in _READS and argument.startswith(('"/', "`/", '"~', '"..')):
        yield _at(file, line, "undeclared-filesystem", "high", f"`{name}` reads {argument}, which is not its own")


def _at(file: GoFile, line: int, rule: str, severity: Severity, message: str, hint: str = "") -> Finding:
    text = line_of(file.text, line)
    return finding(CHECK, rule, severity, message, hint, file=file.name, line=line, text=text)
