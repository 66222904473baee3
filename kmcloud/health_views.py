"""How the service is, for load balancers and people.

GET /livez    200 while the process answers at all: restart it when it does not
GET /readyz   200 when events can be stored, else 503: send no traffic
GET /health   {"status": "ok", "version": "0.1.0", "checks": {"database": {"status": "ok", …}, "broker": …, …}}
"""

from __future__ import annotations

from typing import Any

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import shared_clock
from core.described import extend_schema
from kmcloud import health, health_history
from kmcloud.health import HealthAnswer


class AliveAnswer(msgspec.Struct):
    """Somebody answers."""

    status: str


class _ForAnyone(APIView):
    authentication_classes: tuple[type[Any], ...] = ()
    permission_classes: tuple[type[Any], ...] = ()


class LiveView(_ForAnyone):
    @extend_schema(operation_id="livez", tags=["operation"], responses={200: AliveAnswer})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Whether the process answers."""
        return Response({"status": health.OK})


class ReadyView(_ForAnyone):
    @extend_schema(operation_id="readyz", tags=["operation"], responses={200: AliveAnswer, 503: AliveAnswer})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Whether events can be stored."""
        status = health.check_database().status
        return Response({"status": status}, status=_code(status))


class HealthView(_ForAnyone):
    @extend_schema(operation_id="health", tags=["operation"], responses={200: HealthAnswer, 503: HealthAnswer})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Every dependency."""
        answer = health.health()
        if answer.checks["database"].status != health.UNAVAILABLE:
            health.looked_up(lambda: _noted(answer))
        return Response(msgspec.to_builtins(answer), status=_code(answer.status))


def _noted(answer: HealthAnswer) -> health.Check:
    health_history.note(answer.checks, at=shared_clock.now())
    return answer.checks["database"]


def _code(status: str) -> int:
    return 503 if status == health.UNAVAILABLE else 200
