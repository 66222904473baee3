"""The host's end of seccomp user notification: answers every refused call and writes down what it was aimed at.

Follows seccomp_unotify(2). One thread for each plugin waits on its listener; a call stops until the thread answers, so
three things keep a plugin from hanging: every notification is answered whatever goes wrong while describing it, the
thread does nothing but this, and when it ends the descriptor is closed, upon which the kernel answers ENOSYS itself.

Nothing is *allowed* here on the strength of what was read, with one exception that is decided by counting: the first
`execve`, which is the launcher becoming the plugin. A `watch`ed call is always handed on to Landlock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import threading
import time
from collections.abc import Sequence

from km_client.plugins.sandbox import memory, stand_in, tried
from km_client.plugins.sandbox.attempts import AttemptLog
from km_client.plugins.sandbox.calls import CallRule
from km_client.plugins.sandbox.files import UNREMARKABLE, FileRule, allows
from km_client.plugins.sandbox.syscall_numbers import names

_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags; seccomp_data: nr, arch, ip, args
_RESPONSE = struct.Struct("=QqiI")  # struct seccomp_notif_resp: id, value, error, flags
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
# A plugin that hammers a refused call is slowed, not the host: this many answers, then a pause, in each window.
_BURST, _WINDOW_SECONDS = 2_000, 1.0
_PAUSE_SECONDS = 0.005
_GONE = {errno.ENOENT, errno.ENOTCONN}  # the caller died, or was interrupted, before it was answered


class Notifier:
    """`Notifier(listener, …).start()`; ends by itself when the plugin's last thread is gone. Owns `listener`."""

    def __init__(
        self,
        listener: int,
        rules: Sequence[CallRule],
        files: Sequence[FileRule],
        log: AttemptLog,
        *,
        architecture: str,
        host_pid: int,
        name: str,
    ) -> None:
        self._listener = listener
        self._connect_is_refused = any("connect" in rule.calls and rule.verdict == "refuse" for rule in rules)
        self._rules = {call: rule for rule in rules for call in rule.calls}
        self._files = files
        self._runtime = tuple(rule.path + "/" for rule in files if rule.access == "read")
        self._log = log
        self._names = names(architecture)
        self._host_pid = host_pid
        self._executed = False
        self._granted: set[tuple[str, bool]] = set()
        self._answered, self._window_from = 0, 0.0
        self._thread = threading.Thread(target=self._run, name=f"km-attempts-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended. Call it once the plugin's processes are gone."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while any(events & select.POLLIN for _, events in poll.poll()):  # only POLLHUP is left: all are gone
                self._serve_one()
                self._slow_down(time.monotonic())
        finally:
            os.close(self._listener)

    def _serve_one(self) -> None:
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, buffer)
        except OSError as error:
            if error.errno not in _GONE | {errno.EINTR}:
                raise
            return
        cookie, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
        call = self._names[number]
        answer = self._judge(pid, call, arguments, self._rules[call])
        if not self._stand_in(cookie, call, arguments):
            self._answer(cookie, *answer)

    def _stand_in(self, cookie: int, call: str, arguments: Sequence[int]) -> bool:
        """Whether a `socket` call was answered with something whose `connect` will say where to."""
        is_wanted = call == "socket" and self._connect_is_refused and stand_in.fits(arguments)
        return is_wanted and stand_in.give(self._listener, cookie, arguments)

    def _answer(self, cookie: int, error: int, flags: int) -> None:
        try:
            fcntl.ioctl(self._listener, _SEND, _RESPONSE.pack(cookie, 0, -error, flags))
        except OSError as failure:
            if failure.errno not in _GONE:
                raise

    def _judge(self, pid: int, call: str, arguments: Sequence[int], rule: CallRule) -> tuple[int, int]:
        """The answer, an error or 0 and "continue": decided by the rule alone, whatever describing it comes to."""
        if rule.verdict == "first" and not self._executed:
            self._executed = True
            return 0, _CONTINUE
        try:
            self._write_down(pid, call, arguments, rule)
        except Exception as error:  # noqa: BLE001 - the caller is stopped until it is answered
            self._log.add(call, f"cannot be described: {error!r}", rule.refuses, time.time_ns())
        return (0, _CONTINUE) if rule.verdict == "watch" else (rule.error, 0)

    def _write_down(self, pid: int, call: str, arguments: Sequence[int], rule: CallRule) -> None:
        if rule.verdict == "watch":
            self._watch(pid, call, arguments, rule)
        else:
            told = tried.target(pid, call, arguments, host_pid=self._host_pid)
            self._log.add(call, told, rule.refuses, time.time_ns())

    def _watch(self, pid: int, call: str, arguments: Sequence[int], rule: CallRule) -> None:
        """Write down what Landlock is about to refuse."""
        if call == "connect":
            self._watch_connect(pid, arguments, rule)
        elif call in {"kill", "tgkill"}:
            self._watch_signal(pid, call, arguments, rule)
        else:
            self._watch_paths(pid, call, arguments, rule)

    def _watch_connect(self, pid: int, arguments: Sequence[int], rule: CallRule) -> None:
        where = memory.address(pid, arguments[1], arguments[2])
        if where.startswith("@") or (where.startswith("/") and not allows(self._files, where, writing=True)):
            self._log.add("connect", where, rule.refuses, time.time_ns())

    def _watch_signal(self, pid: int, call: str, arguments: Sequence[int], rule: CallRule) -> None:
        """Its own processes are in its group, which it cannot leave."""
        try:
            is_own = arguments[0] == 0 or os.getpgid(arguments[0] & 0x7FFFFFFF) == os.getpgid(pid)
        except ProcessLookupError:
            is_own = False
        if not is_own:
            told = tried.target(pid, call, arguments, host_pid=self._host_pid)
            self._log.add(call, told, rule.refuses, time.time_ns())

    def _watch_paths(self, pid: int, call: str, arguments: Sequence[int], rule: CallRule) -> None:
        for use in tried.path_uses(pid, call, arguments):
            if not self._is_plainly_granted(use) and self._is_refused(use, pid):
                doing = "writing to a file" if use.writing and rule.refuses == "opening a file" else rule.refuses
                self._log.add(call, use.path, doing, time.time_ns())

    def _is_plainly_granted(self, use: tried.PathUse) -> bool:
        """Without asking the file system: seen before, or read from the runtime, where no plugin can put a link."""
        if (use.path, use.writing) in self._granted:
            return True
        return not use.writing and use.path.startswith(self._runtime) and "/../" not in use.path

    def _is_refused(self, use: tried.PathUse, pid: int) -> bool:
        """As Landlock will see it: by the real path. What does not exist is not refused but not found."""
        real = os.path.realpath(use.path) if use.path else ""
        if not real or allows(self._files, real, writing=use.writing):
            if len(self._granted) < _BURST:
                self._granted.add((use.path, use.writing))
            return False
        if not use.writing and real.replace(f"/proc/{pid}/", "/proc/self/", 1).startswith(UNREMARKABLE):
            return False
        return use.creates or os.path.lexists(real)

    def _slow_down(self, now: float) -> None:
        if now - self._window_from > _WINDOW_SECONDS:
            self._answered, self._window_from = 0, now
        self._answered += 1
        if self._answered > _BURST:
            time.sleep(_PAUSE_SECONDS)
