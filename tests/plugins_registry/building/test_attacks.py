"""Builds that attack the machine they run on: each is refused or ended within its limit, and nothing of it is left."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from plugins_registry.building import outputs
from plugins_registry.building.box import Job, Limits, Ran, run
from plugins_registry.building.errors import BuildError, LimitExceeded, NoSandbox

SMALL = Limits(wall_seconds=20, cpu_seconds=20, tmp_bytes=8 << 20, out_bytes=4 << 20, file_bytes=64 << 20, processes=64)


@pytest.fixture(autouse=True)
def mark() -> Iterator[str]:
    """An argument that every process of the box carries; afterwards no process of this machine does."""
    text = f"km-attack-{uuid4().hex}"
    yield text
    assert processes_with(text) == []


def processes_with(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # it has just ended
            continue
        if text.encode() in command and int(path.parent.name) != os.getpid():
            found.append(f"{path.parent.name}: {command!r}")
    return found


def attack(mark: str, script: str, limits: Limits = SMALL, **mounts: Path) -> tuple[Ran, dict[str, bytes]]:
    output = io.BytesIO()
    job = Job(["/bin/sh", "-c", script, mark], {f"/{name}": path for name, path in mounts.items()})
    ran = run(job, output, limits)
    return ran, outputs.files(output) if ran.exit_code == 0 else {}


def python(code: str) -> str:
    return f"exec python3 -I -c '{code}' \"$0\""


def test_many_processes_that_each_keep_to_their_limit_are_ended_when_they_hold_too_much_together(mark: str) -> None:
    """Each may have 1 GiB, and 12 hold 48 MiB each, where 256 MiB are allowed."""
    code = "import os, time\nfor _ in range(11):\n if not os.fork(): break\n"
    code += "held = bytearray(os.urandom(48 << 20))\ntime.sleep(60)"
    limits = replace(SMALL, address_space=1 << 30, memory=256 << 20)
    started = time.monotonic()
    with pytest.raises(LimitExceeded, match=r"held [0-9,]+ bytes of memory together; at most 268,435,456") as ended:
        attack(mark, python(code), limits)
    assert time.monotonic() - started < limits.wall_seconds / 2
    assert "have each hold less" in ended.value.hint


def test_memory_that_processes_share_is_counted_once(mark: str) -> None:
    """12 processes look at the same 48 MiB: 576 MiB for who counts each of them, which is wrong."""
    code = "import os\nheld = bytearray(os.urandom(48 << 20))\nfor _ in range(11):\n if not os.fork(): break\n"
    code += "import time; time.sleep(1)"
    ran, _ = attack(mark, python(code), replace(SMALL, memory=256 << 20))
    assert ran.exit_code == 0, ran.log


def test_no_network_not_even_this_machines(mark: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for address in (("127.0.0.1", port), ("192.0.2.1", 80)):
            ran, _ = attack(mark, python(f"import socket; socket.create_connection({address!r}, 5)".replace("'", '"')))
            assert ran.exit_code != 0
            assert "refused" in ran.log or "unreachable" in ran.log
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_no_file_of_this_machine_but_the_toolchain(mark: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    ran, _ = attack(mark, f"cat {secret} /etc/passwd /etc/shadow ~root/.ssh/id_ed25519; ls /etc /root /home /var /run")
    assert ran.exit_code != 0
    assert "hidden" not in ran.log
    assert ran.log.count("No such file") == 9


def test_no_environment_no_root_no_capability(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KM_SECRET_KEY", "hidden")
    ran, _ = attack(mark, "env; id -u; grep CapEff /proc/self/status; cat /proc/1/environ; unshare -Ur true; mount")
    assert "hidden" not in ran.log
    assert "\n65534\nCapEff:\t0000000000000000\n" in ran.log


def test_no_second_user_namespace(mark: str) -> None:
    ran, _ = attack(mark, "unshare --user --map-root-user true")
    assert ran.exit_code != 0


def test_a_fork_bomb_ends_at_the_limit_of_processes(mark: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        attack(mark, 'f() { f "$0" | f "$0" & }; f; sleep 100', replace(SMALL, wall_seconds=2))
    assert "Cannot fork" in caught.value.log


def test_an_endless_loop_is_ended(mark: str) -> None:
    with pytest.raises(LimitExceeded, match="ended after 1 s"):
        attack(mark, "while :; do :; done", replace(SMALL, wall_seconds=1))


def test_a_process_ends_at_its_limit_of_computing_time(mark: str) -> None:
    ran, _ = attack(mark, "while :; do :; done", replace(SMALL, cpu_seconds=1))
    assert ran.exit_code != 0
    assert ran.seconds < SMALL.wall_seconds


@pytest.mark.parametrize("place", ["/out/big", "/tmp/big"])
def test_ten_gigabytes_end_at_the_limit_of_memory(mark: str, place: str) -> None:
    ran, _ = attack(mark, f"dd if=/dev/zero of={place} bs=1M count=10240")
    assert ran.exit_code != 0
    assert "No space left" in ran.log


@pytest.mark.parametrize("limits", [replace(SMALL, file_bytes=1 << 20)])
def test_one_file_ends_at_its_limit(mark: str, limits: Limits) -> None:
    ran, _ = attack(mark, "dd if=/dev/zero of=/out/big bs=64k count=64", limits)
    assert ran.exit_code != 0


def test_a_result_that_grows_on_its_way_out_is_cut_off(mark: str) -> None:
    """A file with holes takes no room in the box, and all of it on the way out."""
    with pytest.raises(LimitExceeded, match="result has more than"):
        attack(mark, "truncate --size=60M /out/holes")


def test_a_flood_of_words_is_cut_off(mark: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        attack(mark, "yes", replace(SMALL, wall_seconds=1, log_bytes=1000))
    assert len(caught.value.log) < 1100
    assert "[the rest was cut off]" in caught.value.log


@pytest.mark.parametrize("place", ["/x", "/usr/x", "/dev/x", "/dev/shm/x", "/proc/x", "/src/x", "/src/main.py"])
def test_nothing_outside_can_be_written(mark: str, place: str, tmp_path: Path) -> None:
    source = Path("/tmp") / f"km-test-{mark}"
    source.mkdir(mode=0o755)
    try:
        (source / "main.py").write_text("reviewed")
        (source / "main.py").chmod(0o666)
        ran, _ = attack(mark, f"echo x > {place}", src=source)
        assert ran.exit_code != 0
        assert [path.name for path in source.iterdir()] == ["main.py"]
        assert (source / "main.py").read_text() == "reviewed"
    finally:
        (source / "main.py").unlink()
        source.rmdir()


def test_killing_its_parents_ends_the_build_and_nothing_else(mark: str) -> None:
    ran, _ = attack(mark, "kill -9 $PPID; kill -9 1; kill -9 -1; sleep 100")
    assert ran.exit_code != 0
    assert ran.seconds < 10


def test_what_goes_to_the_background_ends_with_the_build(mark: str) -> None:
    ran, files = attack(mark, 'setsid sh -c "sleep 1000" "$0" & echo done > /out/file')
    assert (ran.exit_code, files) == (0, {"file": b"done\n"})


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("ln -s /etc/passwd /out/link", "no plain file"),
        ("mkfifo /out/pipe", "no plain file"),
        ("echo x > /out/a; ln /out/a /out/b", "no plain file"),
        ("echo x > '/out/a\\b'", "backslash|not allowed|may not"),
    ],
)
def test_what_is_left_is_plain_files_or_nothing(mark: str, script: str, why: str) -> None:
    with pytest.raises(BuildError, match=why):
        attack(mark, script)


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "a/../b", "CON", "x" * 300])
def test_an_archive_the_build_wrote_itself_leads_nowhere(name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(BuildError):
        outputs.files(out)


@pytest.mark.parametrize("data", [b"x" * 512, b"x" * 10_000, b"\xff" * 700])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BuildError, match="cannot be read"):
        outputs.files(io.BytesIO(data))


def test_without_bubblewrap_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins_registry.building.box.shutil.which", lambda *_, **__: None)
    with pytest.raises(NoSandbox, match="nothing is built here"):
        run(Job(["true"]), io.BytesIO())


def test_a_bubblewrap_that_cannot_make_its_box_is_no_failure_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(NoSandbox, match="cannot make its box"):
        run(Job(["true"], {"/src": Path("/nowhere/at/all")}), io.BytesIO())
