"""`POST /api/machines`: a client's word about its machine, with every lease it refreshes."""

from __future__ import annotations

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from customers import machines
from customers.authentication import IsCustomer, Principal
from customers.machines import MachineReport
from customers.schemas import Done


class ReportView(APIView):
    permission_classes = (IsCustomer,)

    @extend_schema(
        operation_id="machines_report",
        tags=["customer"],
        request=MachineReport,
        responses={200: Done, 400: ErrorAnswer, 401: ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Say which machine this is and how its plugins stand. It replaces what the machine said before."""
        principal = request.auth
        assert isinstance(principal, Principal)  # what IsCustomer lets through
        machines.report(principal, bodies.read(request, MachineReport), at=now())
        return Response(msgspec.to_builtins(Done()))
