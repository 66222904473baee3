"""The production half of the ingestion benchmark, on one running `manage.py serve --production`.

Accepting alone (the workers of `ingest` stand still), then draining alone, tell the two apart: their CPU, their WAL,
what the inbox holds. Then both at once, as it is in life, and single events. All again with ten times the events in
the table and ten times the customers; at last `kill -9` of everything right after the last acknowledgement.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks import _drain_stages
from benchmarks._ingestion_phases import Phase, Traffic, compared, micros, since, warm
from benchmarks._service import Production, await_drained, keys

CUSTOMERS = 10
GROWN = 10  # times the events and the customers
OFFSET = 1_000_000  # the number of a customer who is there only to fill the table
REAL = f"customer_id < {OFFSET}"
CRASH_BATCHES = 50
_SIZES = """
    SELECT sum(pg_relation_size(inhrelid)), sum(pg_table_size(inhrelid) - pg_relation_size(inhrelid)),
        sum(pg_indexes_size(inhrelid)), (SELECT count(*) FROM events_event)
    FROM pg_inherits WHERE inhparent = 'events_event'::regclass"""
_COUNTED = ("events_session", "events_hourlyrollup", "events_dailyrollup", "events_dailyusage")
_NEW_ID = "overlay(gen_random_uuid()::text placing left(id::text, 18) from 1 for 18)::uuid"  # of the same moment


def measure(running: Production, *, batches: int, singles: int) -> dict[str, Any]:
    """Everything; `sent_equals_stored` is in the result."""
    traffic = Traffic(keys(running, CUSTOMERS))
    warm(running, traffic)
    first, phases = apart(running, traffic, batches)
    both, single = (Phase(running, bodies).drained() for bodies in _both(traffic, batches, singles))
    with running.held_back():
        staged = Phase(running, traffic.batches(max(20, batches // 2)))
        stages = _drain_stages.measure(running.environment)
    disk = stored_bytes(running)
    grown_to = fill(running)
    more = Traffic([*keys(running, CUSTOMERS * (GROWN - 1))])
    warm(running, more)
    again, more_phases = apart(running, more, batches)
    both_again = Phase(running, more.batches(batches)).drained()
    crash = Phase(running, traffic.batches(CRASH_BATCHES))
    running.kill_9()
    await_drained(running)
    sent = traffic.sent | more.sent
    everything = [*phases, both, single, staged, *more_phases, both_again, crash]
    return {
        **first,
        "sustained": both.whole(),
        "single": single.whole(),
        "drain_stages": stages,
        "disk": disk,
        "grown": {
            "events_in_table": grown_to,
            "customers": CUSTOMERS * GROWN,
            **again,
            "sustained": both_again.whole(),
        },
        "killed_after_last_ack_batches": CRASH_BATCHES,
        **compared(running, sent, everything, REAL),
    }


def _both(traffic: Traffic, batches: int, singles: int) -> Any:
    yield traffic.batches(batches)
    yield traffic.singles(singles)


def apart(running: Production, traffic: Traffic, batches: int) -> tuple[dict[str, Any], list[Phase]]:
    """Accepting alone, then draining alone."""
    with running.held_back():
        running.do("VACUUM events_inboxentry")
        running.do("CHECKPOINT")  # so that both begin with whole pages in the WAL, which is the dearest there is
        wal, held = wal_bytes(running), inbox_bytes(running)
        accepted = Phase(running, traffic.batches(batches))
        wal_after, events = wal_bytes(running), max(1, accepted.sent.acked)
        accept = {
            **accepted.accepting(),
            "cpu_us_per_event": micros(accepted.cpu, events),
            "wal_bytes_per_event": round((wal_after - wal) / events),
            "inbox_bytes_per_row": round((inbox_bytes(running) - held) / batches),
        }
        before, begun = running.cpu(), time.perf_counter()
    await_drained(running)
    drain = {
        "drained_events_per_s": round(events / (time.perf_counter() - begun)),
        "cpu_us_per_event": micros(since(before, running.cpu()), events),
        "wal_bytes_per_event": round((wal_bytes(running) - wal_after) / events),
    }
    return {"accept": accept, "drain": drain}, [accepted]


def fill(running: Production) -> int:
    """Copy every stored event and what is counted of it, to other customers. Returns how many there are now."""
    times = f"generate_series(1, {GROWN - 1}) AS times"
    for table in ("events_event", *_COUNTED):
        found = running.ask(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'")
        names = [str(row[0]) for row in found]
        values = [_value(table, name) for name in names]
        columns = ", ".join(f'"{name}"' for name in names)
        running.do(f"INSERT INTO {table} ({columns}) SELECT {', '.join(values)} FROM {table}, {times}")
    running.do("ANALYZE")
    return int(running.ask("SELECT count(*) FROM events_event")[0][0])


def _value(table: str, column: str) -> str:
    if column == "customer_id":
        return f"customer_id + times * {OFFSET}"
    return _NEW_ID if (table, column) == ("events_event", "id") else f'"{column}"'


def stored_bytes(running: Production) -> dict[str, float]:
    """Bytes on disk of a stored event, and where they are."""
    heap, toast, indexes, events = (int(value) for value in running.ask(_SIZES)[0])
    counted = sum(int(running.ask(f"SELECT pg_total_relation_size('{name}')")[0][0]) for name in _COUNTED)
    parts = {"table": heap, "toast_and_maps": toast, "indexes": indexes, "sessions_and_rollups": counted}
    result = {f"{name}_bytes_per_event": round(size / events, 1) for name, size in parts.items()}
    return {"events": events, "bytes_per_event": round(sum(parts.values()) / events), **result}


def wal_bytes(running: Production) -> int:
    """Written so far."""
    return int(running.ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")[0][0])


def inbox_bytes(running: Production) -> int:
    """On disk, with TOAST and indexes."""
    return int(running.ask("SELECT pg_total_relation_size('events_inboxentry')")[0][0])
