"""The sandbox's tables, without a kernel: the compiled program is run by a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import os
import re
import resource
import socket
import struct
from itertools import product
from pathlib import Path

import pytest
from km_client.plugins.sandbox import landlock
from km_client.plugins.sandbox.calls import rules
from km_client.plugins.sandbox.files import FileRule, Places, allows, file_rules, links
from km_client.plugins.sandbox.guarantees import after_launch, needs_private_root, promised
from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.sandbox.limits import LEAST_MEMORY_BYTES, limits
from km_client.plugins.sandbox.plan import Policy, Program, plan
from km_client.plugins.sandbox.seccomp import program
from km_client.plugins.sandbox.syscall_numbers import ARCHITECTURES, AUDIT_ARCH, NEWEST_KNOWN, names, number
from km_protocol.kmpkg.manifest import Permissions

PID = 4711
ALLOW, KILL, NOTIFY = "allow", "kill", "notify"
SETS = [Permissions(*flags) for flags in product((False, True), repeat=3)]
NEWEST = Kernel("x86_64", 7, frozenset({"errno", "user_notif"}))


def decide(code: bytes, architecture: str, call: int, *arguments: int) -> str:
    """What the program answers: "allow", "kill", "notify" or the name of an error."""
    data = struct.pack("=iIQ6Q", call, AUDIT_ARCH[architecture], 0, *(*arguments, *[0] * 6)[:6])
    accumulator, at = 0, 0
    instructions = list(struct.iter_unpack("=HBBI", code))
    while True:
        operation, jump_true, jump_false, operand = instructions[at]
        at += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, operand)[0]
        elif operation == 0x54:
            accumulator &= operand
        elif operation in {0x15, 0x25}:
            holds = accumulator == operand if operation == 0x15 else accumulator > operand
            at += jump_true if holds else jump_false
        else:
            assert operation == 0x06
            names_of = {0x7FFF0000: ALLOW, 0x80000000: KILL, 0x7FC00000: NOTIFY}
            return names_of.get(operand) or errno.errorcode[operand & 0xFFFF]


def answer(
    declared: Permissions, call: str, *arguments: int, architecture: str = "x86_64", notify: bool = False
) -> str:
    code = program(rules(declared, NEWEST, pid=PID), architecture, notify=notify)
    found = number(call, architecture)
    assert found is not None
    return decide(code, architecture, found, *arguments)


NOTHING, EVERYTHING = SETS[0], SETS[-1]
THREAD, PROCESS = 0x3D0F00, 0x11  # what glibc gives clone for a thread and for fork


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("declared", SETS, ids=str)
@pytest.mark.parametrize("call", ["ptrace", "io_uring_setup", "mount", "bpf", "unshare", "memfd_create", "setsid"])
def test_no_permission_opens_the_kernel(call: str, declared: Permissions, architecture: str) -> None:
    assert answer(declared, call, architecture=architecture) == "EPERM"
    assert answer(declared, call, architecture=architecture, notify=True) == NOTIFY


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("declared", "call", "arguments", "expected"),
    [
        (NOTHING, "socket", (socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC), ALLOW),
        (NOTHING, "socket", (socket.AF_UNIX, socket.SOCK_DGRAM), "EAFNOSUPPORT"),
        (NOTHING, "socket", (socket.AF_INET, socket.SOCK_STREAM), "EAFNOSUPPORT"),
        (NOTHING, "socket", (1 << 32 | socket.AF_INET, socket.SOCK_STREAM), "EAFNOSUPPORT"),
        (NOTHING, "connect", (), "EACCES"),
        (NOTHING, "socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM), "EPERM"),
        (EVERYTHING, "socket", (socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK), ALLOW),
        (EVERYTHING, "socket", (socket.AF_INET, socket.SOCK_RAW), "EAFNOSUPPORT"),
        (EVERYTHING, "socket", (40, socket.SOCK_STREAM), "EAFNOSUPPORT"),  # AF_VSOCK
        (EVERYTHING, "socket", (16, socket.SOCK_RAW, 0), ALLOW),  # NETLINK_ROUTE
        (EVERYTHING, "socket", (16, socket.SOCK_RAW, 9), "EAFNOSUPPORT"),  # NETLINK_AUDIT
        (EVERYTHING, "connect", (), ALLOW),
        (NOTHING, "clone", (THREAD,), ALLOW),
        (NOTHING, "clone", (PROCESS,), "EPERM"),
        (NOTHING, "clone", (THREAD | 0x10000000,), "EPERM"),
        (EVERYTHING, "clone", (PROCESS,), ALLOW),
        (EVERYTHING, "clone", (PROCESS | 0x20000000,), "EPERM"),
        (NOTHING, "clone3", (), "ENOSYS"),
        (NOTHING, "kill", (PID,), ALLOW),
        (NOTHING, "kill", (1,), "EPERM"),
        (NOTHING, "kill", (0xFFFFFFFF,), "EPERM"),  # everybody
        (NOTHING, "tgkill", (PID, 5), ALLOW),
        (NOTHING, "prlimit64", (0,), ALLOW),
        (NOTHING, "prlimit64", (1,), "EPERM"),
        (EVERYTHING, "prlimit64", (PID,), "EPERM"),
        (NOTHING, "setpriority", (0, 0), ALLOW),
        (NOTHING, "setpriority", (2, 0), "EPERM"),
        (NOTHING, "prctl", (1,), "EPERM"),
        (NOTHING, "prctl", (15,), ALLOW),
        (NOTHING, "ioctl", (0, 0x5412), "EPERM"),
        (NOTHING, "ioctl", (0, 0x5401), ALLOW),
        (NOTHING, "fcntl", (0, 8), "EPERM"),
        (NOTHING, "fcntl", (0, 3), ALLOW),
        (NOTHING, "fchmod", (), "EPERM"),
        (EVERYTHING, "fchmod", (), ALLOW),
        (NOTHING, "execve", (), ALLOW),  # without a listener Landlock decides
    ],
)
def test_arguments_decide(
    declared: Permissions, call: str, arguments: tuple[int, ...], expected: str, architecture: str
) -> None:
    assert answer(declared, call, *arguments, architecture=architecture) == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_other_architectures_die_and_unknown_calls_do_not_exist(architecture: str) -> None:
    code = program(rules(EVERYTHING, NEWEST, pid=PID), architecture, notify=True)
    other = next(name for name in ARCHITECTURES if name != architecture)
    assert decide(code, other, 0) == KILL
    assert decide(code, architecture, NEWEST_KNOWN + 1) == "ENOSYS"
    assert decide(code, architecture, 0x40000000 | 41) == "ENOSYS"  # x32
    assert decide(code, architecture, 0) == ALLOW


def test_a_program_fits_the_kernels_limit() -> None:
    for declared, architecture in product(SETS, ARCHITECTURES):
        code = program(rules(declared, NEWEST, pid=PID), architecture, notify=True)
        assert len(code) // 8 <= 4096  # BPF_MAXINSNS


def test_the_numbers_are_the_kernels_own() -> None:
    header = next(Path("/usr/include").glob("*/asm/unistd_64.h"), None)
    if header is None or os.uname().machine != "x86_64":
        pytest.skip("the kernel's headers for x86_64 are not installed")
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", header.read_text()))
    wrong = {name: found for found, name in names("x86_64").items() if int(known.get(name, found)) != found}
    assert wrong == {}


def test_an_older_kernel_is_asked_for_no_right_it_does_not_know() -> None:
    rule = FileRule("/state", "write")
    sizes = {abi: len(landlock.ruleset(abi, [rule], network=False)[0]) for abi in range(1, 10)}
    assert sizes == {1: 8, 2: 8, 3: 8, 4: 16, 5: 16, 6: 24, 7: 24, 8: 24, 9: 24}
    handled = [struct.unpack_from("=Q", landlock.ruleset(abi, [], network=False)[0])[0] for abi in range(1, 10)]
    assert [bits.bit_length() for bits in handled] == [13, 14, 15, 15, 16, 16, 16, 16, 17]
    for abi in range(1, 10):
        attributes, [(_, for_directory, for_file)] = landlock.ruleset(abi, [rule], network=False)
        assert (
            for_directory | for_file | struct.unpack_from("=Q", attributes)[0]
            == struct.unpack_from("=Q", attributes)[0]
        )


def test_tcp_is_handled_only_without_the_network_permission() -> None:
    assert struct.unpack("=QQQ", landlock.ruleset(7, [], network=False)[0])[1:] == (3, 3)
    assert struct.unpack("=QQQ", landlock.ruleset(7, [], network=True)[0])[1:] == (0, 3)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("own", "s", "root", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "own" / "link").symlink_to("/etc/hostname")
    return Places((tmp_path / "own",), tmp_path / "s", tmp_path / "root", tmp_path / "state")


def test_only_the_state_and_socket_directories_can_be_written(places: Places) -> None:
    granted = file_rules(NOTHING, places)
    writable = {rule.path for rule in granted if rule.access in {"write", "socket", "all"}}
    assert writable == {str(places.state_dir), str(places.socket_dir)}
    assert not allows(granted, f"{places.own[0]}/main.py", writing=True)
    assert allows(granted, f"{places.own[0]}/main.py", writing=False)
    assert not allows(granted, f"{places.own[0]}x", writing=False)
    assert not allows(granted, "/etc/passwd", writing=False)


def test_a_link_in_the_plugins_directory_grants_nothing(places: Places) -> None:
    assert not allows(file_rules(NOTHING, places), os.path.realpath(places.own[0] / "link"), writing=False)


def test_the_links_that_lead_to_granted_paths_are_known(tmp_path: Path, places: Places) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "python").write_text("")
    (tmp_path / "alias").symlink_to("real")
    (tmp_path / "venv-python").symlink_to("alias/python")
    told = dict(
        links(NOTHING, Places(places.own, places.socket_dir, places.root_dir, None, [tmp_path / "venv-python"]))
    )
    assert told[str(tmp_path / "venv-python")] == "alias/python"
    assert told[str(tmp_path / "alias")] == "real"


def test_without_a_state_directory_not_one_byte_can_be_written() -> None:
    found = {limit.resource: limit.value for limit in limits(filesystem=False, has_state=False, memory_bytes=1)}
    assert found[resource.RLIMIT_FSIZE] == 0
    assert found[resource.RLIMIT_CORE] == 0
    assert found[resource.RLIMIT_DATA] == LEAST_MEMORY_BYTES


@pytest.mark.parametrize(
    ("abi", "declared", "missing"),
    [
        (0, NOTHING, {"files", "truncation"}),
        (2, NOTHING, {"truncation"}),
        (3, NOTHING, set()),
        (5, Permissions(network=True), {"abstract-sockets"}),
        (5, Permissions(system=True), {"signals"}),
        (6, EVERYTHING, set()),
    ],
)
def test_what_an_older_kernel_lacks_is_said(abi: int, declared: Permissions, missing: set[str]) -> None:
    kernel = Kernel("x86_64", abi, frozenset({"errno"}))
    assert {row.code for row in promised(declared, kernel) if not row.enforced} == missing
    assert all(row.missing for row in promised(declared, kernel) if not row.enforced)


def test_a_step_the_launcher_could_not_do_weakens_its_promises() -> None:
    declared = Permissions(network=True)
    rows = after_launch(promised(declared, NEWEST), {"private root": "unshare: Operation not permitted"})
    assert [(row.code, row.missing) for row in rows if not row.enforced] == [
        ("unix-paths", "unshare: Operation not permitted")
    ]
    assert needs_private_root(declared, NEWEST)
    assert not needs_private_root(declared, Kernel("x86_64", 9, NEWEST.seccomp_actions))
    assert not needs_private_root(EVERYTHING, NEWEST)


def test_an_unknown_machine_gets_no_filter_and_no_promise(places: Places) -> None:
    kernel = Kernel("riscv64", 7, frozenset({"errno", "user_notif"}))
    start = Program("/p", ("p",), {}, "/")
    assert plan(start, Policy(NOTHING), places, kernel, host_pid=1, pid=2)["filters"] == []
    assert {"sockets", "processes"} <= {row.code for row in promised(NOTHING, kernel) if not row.enforced}
