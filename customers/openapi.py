"""How the API's description names our authentication. Importing it registers it (`kmcloud.openapi`)."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its metaclass is not annotated
    """`Authorization: Bearer <API key>` or `Bearer <token>`."""

    target_class = "customers.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (`km_live_…`), or a token from `POST /api/auth/exchange`.",
        }
