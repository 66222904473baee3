"""Call rules to one seccomp program in classic BPF.

Follows seccomp(2) and Documentation/userspace-api/seccomp_filter.rst. An instruction is 8 bytes (`struct sock_filter`):
code, jump if true, jump if false, operand. A rule becomes: is it this number? then its body, which always returns.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

from km_client.plugins.sandbox.calls import CallRule, Clause
from km_client.plugins.sandbox.syscall_numbers import AUDIT_ARCH, NEWEST_KNOWN, number

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _AND, _RETURN = 0x20, 0x15, 0x25, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # offsets in struct seccomp_data, little endian
_KILL, _NOTIFY, _ERRNO, _ALLOW = 0x80000000, 0x7FC00000, 0x00050000, 0x7FFF0000

Instruction = tuple[int, int, int, int]  # code, jump true, jump false, operand


def program(rules: Sequence[CallRule], architecture: str, *, notify: bool) -> bytes:
    """The program. `notify`: refusals are handed to a listener; without one the kernel answers with the error."""
    code = _prologue(architecture)
    for rule in rules:
        body = _body(rule, notify=notify)
        for name in rule.calls if body else ():
            if (call := number(name, architecture)) is not None:
                code += [(_JUMP_EQUAL, 0, len(body), call), *body]
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _prologue(architecture: str) -> list[Instruction]:
    """Another architecture's calls (int 0x80 on x86) are fatal; calls newer than the tables do not exist (x32 too)."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, AUDIT_ARCH[architecture]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_GREATER, 0, 1, NEWEST_KNOWN),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]


def _body(rule: CallRule, *, notify: bool) -> list[Instruction]:
    """What happens to a call of this rule; empty when the rule says nothing without a listener."""
    refused = _RETURN, 0, 0, _ERRNO | rule.error
    if rule.verdict in {"watch", "first"} and not notify:
        return []  # Landlock decides alone: only the plugin's own files can be executed
    if rule.verdict != "quiet" and notify:
        refused = _RETURN, 0, 0, _NOTIFY
    allowed = _RETURN, 0, 0, _ALLOW
    if rule.unless:
        return [*_when_any(rule.unless, allowed), refused]
    if rule.only_if:
        return [*_when_any(rule.only_if, refused), allowed]
    return [refused]


def _when_any(clauses: Sequence[Clause], then: Instruction) -> list[Instruction]:
    """Return `then` when every test of one clause holds; fall through otherwise."""
    code: list[Instruction] = []
    for clause in clauses:
        steps: list[Instruction] = []
        for test in reversed(clause):  # backwards, so that each test knows how far the next clause is
            steps = [
                (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * test.argument),
                (_AND, 0, 0, test.mask),
                (_JUMP_EQUAL, 0, len(steps) + 1, test.value),
                *steps,
            ]
        code += [*steps, then]
    return code
