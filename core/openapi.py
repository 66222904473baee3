"""Lets the API's description use the structs that decode and encode the bodies, so that it cannot drift from them.

    @extend_schema(request=IssueRequest, responses={201: IssuedKey, 400: ErrorAnswer})

Importing it registers it (`kmcloud.openapi`).
"""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

_REFERENCE = "#/components/schemas/{name}"


class StructExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its metaclass is not annotated
    """A msgspec struct as a component of the API's description."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str:  # noqa: ARG002
        set_override(self.target, "suppress_collision_warning", True)
        return str(self.target.__name__)

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:  # noqa: ARG002
        _, components = msgspec.json.schema_components([self.target], ref_template=_REFERENCE)
        _name_enum_types(components)
        for name, schema in components.items():
            if name != self.target.__name__:
                component = ResolvedComponent(  # type: ignore[no-untyped-call]
                    name=name, type=ResolvedComponent.SCHEMA, object=name, schema=schema
                )
                auto_schema.registry.register_on_missing(component)
        described: dict[str, Any] = components[self.target.__name__]
        return described


def _name_enum_types(schema: Any) -> None:
    """Give every list of strings its type, which msgspec leaves to be inferred and drf-spectacular does not infer."""
    if isinstance(schema, dict):
        if all(isinstance(value, str) for value in schema.get("enum", [None])):
            schema["type"] = "string"
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            _name_enum_types(part)
