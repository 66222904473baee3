"""A refused internet socket is answered with a stand-in, so that the log can say where it was to go.

seccomp sees the number a call is made with, not the address it points to, and `socket` comes before `connect`: a plugin
whose `socket` fails never says whom it wanted to reach. So it gets a fresh, unconnected unix stream socket instead,
which it could have made itself and with which nothing can be reached. Its `connect` is refused, with the address:

    connect 203.0.113.7:443

Follows seccomp_unotify(2), SECCOMP_IOCTL_NOTIF_ADDFD. Before Linux 5.14 the `socket` call fails as it always did.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Sequence

_ADD_DESCRIPTOR = 0x40182103  # SECCOMP_IOCTL_NOTIF_ADDFD
_REQUEST = struct.Struct("=QIIII")  # struct seccomp_notif_addfd: id, flags, our descriptor, its number, its flags
_ANSWER_WITH_IT = 2  # SECCOMP_ADDFD_FLAG_SEND
_INTERNET = {int(socket.AF_INET), int(socket.AF_INET6)}
_KINDS = {int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)}


def fits(arguments: Sequence[int]) -> bool:
    """Whether a `socket` call asks for what `connect` would be called on next."""
    return arguments[0] & 0xFFFFFFFF in _INTERNET and arguments[1] & 0xF in _KINDS


def give(listener: int, cookie: int, arguments: Sequence[int]) -> bool:
    """Answer the call with a stand-in. False: the kernel cannot, and the call waits for another answer."""
    closes = os.O_CLOEXEC if arguments[1] & socket.SOCK_CLOEXEC else 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unconnected:
        unconnected.setblocking(not arguments[1] & socket.SOCK_NONBLOCK)
        request = _REQUEST.pack(cookie, _ANSWER_WITH_IT, unconnected.fileno(), 0, closes)
        try:
            fcntl.ioctl(listener, _ADD_DESCRIPTOR, request)
        except OSError:
            return False
    return True
