"""A plugin that tries what each event tells it to, and fails the event with what the kernel answered.

{"try": "tcp", "host": "127.0.0.1", "port": 8080}    → success, or "PermissionError: …"
"""
# Each call is the one the kernel is asked about.
# ruff: noqa: PTH101, PTH108, PTH123, PTH208, SIM115

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from km_plugin_sdk import Plugin, PluginConfig, StreamEvent, serve

LIBC = ctypes.CDLL(None, use_errno=True)
SYSTEM_CALLS = {"x86_64": {"ptrace": 101}, "aarch64": {"ptrace": 117}}[os.uname().machine]
PTRACE_SEIZE = 0x4206


class Probe(Plugin):
    def __init__(self) -> None:
        self.state_dir = ""

    def initialize(self, config: PluginConfig) -> None:
        self.state_dir = str(config.state_dir)
        sys.stderr.write(f"configured {config}\n")

    def update_config(self, config: PluginConfig) -> None:
        sys.stderr.write(f"reconfigured {config}\n")

    def handle_stream_event(self, event: StreamEvent) -> None:
        order = json.loads(event.message)
        if name := order.pop("try", ""):
            getattr(self, f"do_{name}")(**order)

    def do_tcp(self, host: str, port: int) -> None:
        socket.create_connection((host, port), 2).close()

    def do_udp(self, host: str, port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect((host, port))
            udp.send(b"x")

    def do_unix(self, path: str) -> None:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.connect(path)

    def do_abstract(self, name: str) -> None:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.connect("\0" + name)

    def do_datagram_pair(self, path: str) -> None:
        socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", path)

    def do_io_uring(self) -> None:
        system_call(425, 8, ctypes.create_string_buffer(256))

    def do_read(self, path: str) -> None:
        with open(path, "rb") as file:
            file.read(1)

    def do_write(self, path: str) -> None:
        with open(path, "wb") as file:
            file.write(b"x")

    def do_chmod(self, path: str) -> None:
        os.chmod(path, 0o777)

    def do_remove(self, path: str) -> None:
        os.unlink(path)

    def do_list(self, path: str) -> None:
        os.listdir(path)

    def do_write_state(self) -> None:
        self.do_write(f"{self.state_dir}/kept")

    def do_fill_state(self, mebibytes: int) -> None:
        with open(f"{self.state_dir}/large", "wb") as file:
            for _ in range(mebibytes):
                file.write(bytes(1 << 20))

    def do_exec(self, path: str) -> None:
        os.execv(path, [path])

    def do_run(self, path: str) -> None:
        subprocess.run([path], check=True)

    def do_fork(self) -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    def do_leave_child(self) -> None:
        subprocess.Popen(["/bin/sleep", "1000"])

    def do_escape_group(self) -> None:
        os.setsid()

    def do_thread(self) -> None:
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()

    def do_ptrace(self, pid: int) -> None:
        system_call(SYSTEM_CALLS["ptrace"], PTRACE_SEIZE, pid, 0, 0)

    def do_signal(self, pid: int) -> None:
        os.kill(pid, 0)

    def do_limit(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, 8))

    def do_survive(self) -> None:
        if LIBC.prctl(1, 0, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")

    def do_memory(self, bytes_wanted: int) -> None:
        bytearray(bytes_wanted)

    def do_hammer(self, count: int) -> None:
        for number in range(count):
            try:
                open(f"/etc/nothing-{number}", "w")
            except OSError:
                continue

    def do_wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def do_hang(self) -> None:
        time.sleep(1000)

    def do_raise(self) -> None:
        raise ValueError("as told")

    def do_leave(self, code: int) -> None:
        os._exit(code)

    def do_flood(self, mebibytes: int) -> None:
        block = b"x" * 1023 + b"\n"
        for _ in range(mebibytes * 1024):
            os.write(2, block)

    def do_flood_stdout(self, mebibytes: int) -> None:
        for _ in range(mebibytes * 1024):
            print("y" * 1023)

    def do_stop_itself(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def do_environment(self) -> None:
        raise ValueError(
            json.dumps({"environment": dict(os.environ), "descriptors": descriptors(), "uid": os.getuid()})
        )

    def do_nothing(self) -> None:
        return


def descriptors() -> list[int]:
    return [number for number in range(3, 64) if is_inherited(number)]


def is_inherited(number: int) -> bool:
    """Whether the descriptor is open and was there before this program began: those of its own are close-on-exec."""
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def system_call(number: int, *arguments: object) -> int:
    answer = LIBC.syscall(number, *arguments)
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(answer)


if __name__ == "__main__":
    sys.stderr.write("probe starts\n")
    serve(Probe())
