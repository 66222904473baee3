"""arize-phoenix as `phoenix serve` starts it, on its default SQLite; OTLP over HTTP, protobuf, gzip, 100 spans each.

Its telemetry, which would call out, is switched off; nothing else is set but where it may write and listen.
"""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks._event_load import TOOLS, WORDS
from benchmarks._peer_environment import programs
from benchmarks._peer_service import PeerService, free_port

SESSION_SPANS = 100


class Phoenix(PeerService):
    """A span carries what a message does: its tool, and 600 bytes of text."""

    name = "arize-phoenix"
    version = "20.26.1"
    way = "`phoenix serve` on its default SQLite, OTLP over HTTP, protobuf with gzip in batches of 100 spans"
    events_each = 100
    query = "SELECT span_id FROM spans"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._program = str(programs(self.name, self.version) / "phoenix")
        self.database = directory / "phoenix.db"
        self.path = "/v1/traces"
        self.headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        self.environment = {
            **os.environ,
            "PHOENIX_WORKING_DIR": str(directory),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        }

    def commands(self) -> Sequence[Sequence[str]]:
        return [[self._program, "serve"]]

    def request(self, count: int) -> tuple[list[str], bytes]:
        trace = os.urandom(16)
        spans = [_span(trace) for _ in range(count)]
        message = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
        return [span.span_id.hex() for span in spans], gzip.compress(message.SerializeToString(), 3)


def _span(trace: bytes) -> Span:
    now = time.time_ns()
    attributes = {"gen_ai.tool.name": random.choice(TOOLS), "input.value": " ".join(random.choices(WORDS, k=60))}
    return Span(
        trace_id=trace,
        span_id=os.urandom(8),
        name=f"tools/call {attributes['gen_ai.tool.name']}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=now - 1_000_000,
        end_time_unix_nano=now,
        attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()],
    )
