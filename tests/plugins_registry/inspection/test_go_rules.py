"""Each rule about Go source, pins and vendored modules, with its innocent twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins_registry.inspection import go_rules, pin_rules, vendored
from plugins_registry.inspection.source_tree import SourceTree
from tests.plugins_registry.inspection.sources import go, grave, rules, source

HOSTILE = {
    "a network": ('package main\nimport "net/http"', "undeclared-network"),
    "a network in a group": ('package main\nimport (\n\t"fmt"\n\tn "net"\n)', "undeclared-network"),
    "an import in raw quotes": ("package main\nimport `net`", "undeclared-network"),
    "a process": ('package main\nimport "os/exec"', "undeclared-system"),
    "system calls": ('package main\nimport "syscall"', "undeclared-system"),
    "unsafe": ('package main\nimport _ "unsafe"', "imports-unsafe"),
    "plugin": ('package main\nimport "plugin"', "imports-plugin"),
    "cgo": ('package main\n// #include <stdio.h>\nimport "C"', "imports-C"),
    "linkname": ("package main\n//go:linkname a runtime.b\nfunc a()", "directive-linkname"),
    "an embed from outside": ('package main\nimport _ "embed"\n//go:embed ../secret\nvar a []byte', "embeds-outside"),
    "a dot": ('package main\nimport . "os"', "dot-import"),
    "a fixed path": ('package main\nimport "os"\nfunc f() { os.WriteFile("/etc/x", nil, 0) }', "writes-files"),
    "another's file": ('package main\nimport o "os"\nfunc f() { o.ReadFile("/etc/passwd") }', "undeclared-filesystem"),
    "a credential": ('package main\nimport "os"\nvar a = os.Getenv("GITHUB_TOKEN")', "environment-credential"),
    "the environment": ('package main\nimport "os"\nvar a = os.Environ()', "whole-environment"),
    "a started process": (
        'package main\nimport "os"\nfunc f() { os.StartProcess("x", nil, nil) }',
        "undeclared-system",
    ),
    "another system's file": ('//go:build windows\n\npackage main\nimport "net"', "undeclared-network"),
}
INNOCENT = {
    "a comment": 'package main\n// import "net/http"\n/* import "os/exec" */\nimport "fmt"',
    "a string": 'package main\nimport "fmt"\nvar a = `import "net/http"` + "os/exec"',
    "a URL": 'package main\nimport ("net/url"; "net/netip")',
    "an embed of its own": 'package main\nimport _ "embed"\n//go:embed manifest.json\nvar a []byte',
    "a method of that name": "package main\nfunc f(db DB) { db.Create(1); db.Remove(2) }",
    "the arguments": 'package main\nimport "os"\nvar a = os.Args',
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_go_is_seen(tmp_path: Path, case: str) -> None:
    code, rule = HOSTILE[case]
    assert rule in grave(go(tmp_path, code))


@pytest.mark.parametrize("case", INNOCENT)
def test_its_innocent_twin_is_not(tmp_path: Path, case: str) -> None:
    assert rules(go(tmp_path, INNOCENT[case])) == set()


def test_declared_capabilities_of_go_are_only_shown(tmp_path: Path) -> None:
    found = go(tmp_path, 'package main\nimport ("net/http"; "os/exec")', network=True, system=True)
    assert {each.severity for each in found} == {"info"}


def test_a_test_of_go_may_do_what_it_likes(tmp_path: Path) -> None:
    assert go(tmp_path, 'package main\nimport "os/exec"', file="main_test.go") == []
    assert grave(go(tmp_path / "b", 'package tests\nimport "os/exec"', file="tests/evil.go")) == {"undeclared-system"}


def test_code_that_is_not_go_is_seen(tmp_path: Path) -> None:
    found = go_rules.check(SourceTree(source(tmp_path, {"a.s": "TEXT", "b.c": "int x;"}, "go")), {})
    assert [each.rule for each in found] == ["not-go", "not-go"]


MODULE = "module example.com/x\n\ngo 1.24\n\nrequire (\n\texample.com/y v1.2.0 // indirect\n)\n"
SUMS = "example.com/y v1.2.0 h1:x=\nexample.com/y v1.2.0/go.mod h1:x=\n"
VENDORED = "# example.com/y v1.2.0\n## explicit\nexample.com/y\n"


def pins(place: Path, files: dict[str, str]) -> set[str]:
    return grave(pin_rules.check(SourceTree(source(place, files, "go")), "go"))


def test_modules_that_are_not_vendored_are_a_finding(tmp_path: Path) -> None:
    assert pins(tmp_path / "a", {"go.mod": MODULE, "go.sum": SUMS}) == {"not-vendored"}
    assert pins(tmp_path / "b", {"go.mod": MODULE, "go.sum": SUMS, "vendor/modules.txt": VENDORED}) == set()


def test_a_module_without_its_hash_is_a_finding(tmp_path: Path) -> None:
    assert pins(tmp_path, {"go.mod": MODULE, "go.sum": "", "vendor/modules.txt": VENDORED}) == {"no-sum"}


def test_a_replacement_from_outside_is_a_finding_unless_it_is_vendored(tmp_path: Path) -> None:
    module = MODULE + "\nreplace example.com/y => ../y\n"
    assert "replaced-outside" in pins(tmp_path / "a", {"go.mod": module})
    assert pins(tmp_path / "b", {"go.mod": module, "vendor/modules.txt": VENDORED}) == set()


def released(place: Path) -> Path:
    """A module cache with `example.com/y` in it."""
    source(place, {"example.com/y@v1.2.0/y.go": "package y\n"})
    return place


def test_a_vendored_file_that_differs_from_its_release_is_critical(tmp_path: Path) -> None:
    cache = released(tmp_path / "cache")
    changed = 'package y\nimport "net"\n'
    files = {"vendor/modules.txt": VENDORED, "vendor/example.com/y/y.go": changed, "vendor/stray/z.go": "package z"}
    found = list(vendored.check(SourceTree(source(tmp_path / "a", files, "go")), cache, None))
    assert {(each.rule, each.severity) for each in found} == {
        ("changed-module", "critical"),
        ("changed-import", "critical"),
        ("stray-file", "high"),
    }


def test_a_vendored_module_that_is_as_released_is_no_finding(tmp_path: Path) -> None:
    cache = released(tmp_path / "cache")
    files = {"vendor/modules.txt": VENDORED, "vendor/example.com/y/y.go": "package y\n"}
    assert list(vendored.check(SourceTree(source(tmp_path / "a", files, "go")), cache, None)) == []


def test_a_vendored_module_that_nothing_is_known_of_is_for_the_reviewers(tmp_path: Path) -> None:
    files = {"vendor/modules.txt": VENDORED, "vendor/example.com/y/y.go": "package y\n"}
    found = list(vendored.check(SourceTree(source(tmp_path, files, "go")), None, None))
    assert [(each.rule, each.severity) for each in found] == [("unverified-module", "medium")]


def test_a_changed_copy_of_the_sdk_is_read_like_the_plugins_own_code(tmp_path: Path) -> None:
    sdk = source(tmp_path / "sdk", {"serve.go": 'package km\nimport "net"\n'})
    place = tmp_path / "a"
    same = source(place, {"kilometers-sdk/serve.go": 'package km\nimport "net"\n'}, "go")
    assert vendored.sdk_files(SourceTree(same), sdk) == {"kilometers-sdk/serve.go"}
    source(place, {"kilometers-sdk/serve.go": 'package km\nimport "net/http"\n'}, "go")
    tree = SourceTree(place)
    assert rules(vendored.check(tree, None, sdk)) == {"sdk-differs"}
    assert grave(go_rules.check(tree, {}, vendored.sdk_files(tree, sdk))) == {"undeclared-network"}
