"""A session's events as the lines of an export: what was said, or its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from km_protocol.envelope import Event

from km_client.watching import har, otlp, recording
from km_client.watching.calls import Call, Pairing


class Export:
    """`count` lines so far, and `cut` messages that are here only in part."""

    def __init__(self, form: str, session_id: str, events: Iterable[Event]) -> None:
        self.count = self.cut = 0
        self._session_id = session_id
        self._events = events
        self._lines = _FORMS[form]

    def lines(self) -> Iterator[bytes]:
        for line in self._lines(self._session_id, self._counted()):
            self.count += 1
            yield line

    def _counted(self) -> Iterator[Event]:
        for event in self._events:
            self.cut += event.truncated
            yield event


def calls(events: Iterable[Event]) -> Iterator[Call]:
    """Each call once, when it is answered; at the end those that never were."""
    pairing = Pairing()
    given_up: dict[int, Call] = {}
    for event in events:
        call = pairing.take(event)
        if call and call.answer:
            given_up.pop(id(call), None)
            yield call
        elif call and call.given_up:
            given_up[id(call)] = call
    yield from given_up.values()
    yield from pairing.open


_FORMS: dict[str, Callable[[str, Iterable[Event]], Iterator[bytes]]] = {
    "har": lambda _, events: (har.entry(call) for call in calls(events)),
    "otlp": lambda _, events: otlp.lines(calls(events)),
    "jsonl": lambda _, events: recording.jsonl(events),
    "txt": recording.script,
}
