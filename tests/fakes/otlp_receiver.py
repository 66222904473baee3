"""An OTLP/HTTP receiver in memory: decodes the protobuf it is sent and keeps every span and point it acknowledged.

    with receiver() as collector:
        … KM_OTLP_ENDPOINT = collector.url …
        collector.spans, collector.points

Honest about the protocol: its two addresses, its content type, a 400 for what it cannot decode, an answer in protobuf.
`answers` are given, once each, in place of a 200: (status, headers); `after_keeping` is called with the body kept and
the answer not yet given, which is where a crash of the sender hurts most.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Receiver:
    """What arrived. `bodies` are all that were acknowledged, (path, bytes) in order."""

    url: str = ""
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    rejected_spans: int = 0
    after_keeping: Callable[[], None] = lambda: None

    @property
    def spans(self) -> list[Any]:
        """(resource's attributes, span) of each span."""
        found = []
        for path, body in self.bodies:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    named = attributes(resource.resource)
                    found += [(named, span) for scope in resource.scope_spans for span in scope.spans]
        return found

    @property
    def points(self) -> list[Any]:
        """(metric, point) of each histogram point."""
        found = []
        for path, body in self.bodies:
            if path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    metrics = [metric for scope in resource.scope_metrics for metric in scope.metrics]
                    found += [(metric, point) for metric in metrics for point in metric.histogram.data_points]
        return found


def attributes(holder: Any) -> dict[str, str]:
    """The attributes of a span, a point or a resource."""
    return {pair.key: pair.value.string_value for pair in holder.attributes}


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listening on this machine until the end."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            _take(self, state)

        def log_message(self, *_: object) -> None:
            """Tests have logs of their own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _take(handler: BaseHTTPRequestHandler, state: Receiver) -> None:
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    if state.answers:
        status, headers = state.answers.pop(0)
        return _reply(handler, status, b"", headers)
    known: dict[str, tuple[Any, Any]] = {
        "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse()),
        "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse()),
    }
    if handler.path not in known:
        return _reply(handler, 404, b"", {})
    if handler.headers["Content-Type"] != "application/x-protobuf":
        return _reply(handler, 415, b"", {})
    request, answer = known[handler.path]
    try:
        request.FromString(body)
    except DecodeError:
        return _reply(handler, 400, b"", {})
    if handler.path == "/v1/traces" and state.rejected_spans:
        answer.partial_success.rejected_spans = state.rejected_spans
    state.bodies.append((handler.path, body))
    state.headers.append(dict(handler.headers.items()))
    state.after_keeping()
    return _reply(handler, 200, answer.SerializeToString(), {})


def _reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
