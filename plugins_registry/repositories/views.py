"""The addresses of what is published, and of provisioning: each decodes, calls, encodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import bodies
from core.clock import now
from core.described import ErrorAnswer, extend_schema
from core.errors import NotFound, Unavailable
from core.throttling import address_of
from customers.authentication import IsCustomer, Principal
from customers.models import Customer
from plugins_registry import failures
from plugins_registry.errors import NotYetPublished
from plugins_registry.repositories import provisioning
from plugins_registry.repositories.provisioning import ProvisionAnswer, ProvisionRequest

if TYPE_CHECKING:
    from plugins_registry.repositories.serving import Served

_FILE = {(200, "application/json"): OpenApiTypes.BINARY, 304: None, 404: ErrorAnswer, 503: ErrorAnswer}
_FOR_EVER = "max-age=31536000, immutable"
_ABSENT = "the metadata that is current names every file there is"


class CatalogView(APIView):
    """What is reviewed and what is blocked, for anybody: it names public plugins only, and is worth nothing forged."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(operation_id="tuf_catalog", tags=["registry"], responses=_FILE)
    def get(self, request: Request, path: str) -> HttpResponseBase:
        """A file of the TUF repository of all reviewed plugins."""
        from plugins_registry.repositories import serving  # noqa: PLC0415 - TUF and all kinds of signers: not at start

        return _answer(request, serving.catalog_file(path, at=now()), "public")


class DirectorView(APIView):
    """What one customer may run, for that customer: to anybody else there is no such repository."""

    permission_classes = (IsCustomer,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Prove who calls, counting those who cannot."""
        with failures.counted(address_of(request), at=now()):
            super().initial(request, *args, **kwargs)

    @extend_schema(operation_id="tuf_director", tags=["registry"], responses={**_FILE, 401: ErrorAnswer})
    def get(self, request: Request, customer: str, path: str) -> HttpResponseBase:
        """A file of the TUF repository of the caller's own builds: metadata, or a package under `targets/`."""
        from plugins_registry.repositories import files, serving  # noqa: PLC0415 - as above

        principal = _principal(request)
        if principal.public_id != customer:
            raise _absent()
        if path.startswith("targets/"):
            return _package(serving.package(_customer(principal), path, at=now()))
        found = serving.director_file(customer, path, at=now())
        if found is None and path == files.TIMESTAMP and serving.begin_director(_customer(principal)):
            raise _not_yet()
        return _answer(request, found, "private")


class ProvisionView(APIView):
    """The plugins of the calling customer."""

    permission_classes = (IsCustomer,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Prove who calls, counting those who cannot."""
        with failures.counted(address_of(request), at=now()):
            super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="plugins_provision",
        tags=["registry"],
        request=ProvisionRequest,
        responses={200: ProvisionAnswer, **dict.fromkeys((400, 401, 413, 429, 503), ErrorAnswer)},
    )
    def post(self, request: Request) -> Response:
        """Ask which plugins this customer may run now, and have those built that are missing."""
        principal = _principal(request)
        asked = bodies.read(request, ProvisionRequest)
        customer = _customer(principal)
        return Response(msgspec.to_builtins(provisioning.provision(customer, asked, at=now())))


def _answer(request: Request, found: Served | None, audience: str) -> HttpResponse:
    if found is None:
        raise _absent()
    headers = {"ETag": found.etag, "Cache-Control": f"{audience}, {_FOR_EVER if found.immutable else 'no-cache'}"}
    if found.etag in [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]:
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(found.data, content_type="application/json", headers=headers)


def _package(file: FieldFile | None) -> FileResponse:
    if file is None:
        raise _absent()
    try:
        opened = file.open("rb")
    except OSError as error:
        raise Unavailable(f"the package cannot be read: {error.strerror}", "try again", retry_after=30) from None
    headers = {"Cache-Control": f"private, {_FOR_EVER}", "Content-Length": str(file.size)}
    return FileResponse(opened, content_type="application/octet-stream", headers=headers)


def _absent() -> NotFound:
    return NotFound("there is no such file", _ABSENT)


def _not_yet() -> NotYetPublished:
    hint = "ask again after `Retry-After` seconds"
    return NotYetPublished("this repository is being signed for the first time", hint, retry_after=1)


def _customer(principal: Principal) -> Customer:
    return Customer.objects.get(pk=principal.customer_id)


def _principal(request: Request) -> Principal:
    principal = request.auth
    assert isinstance(principal, Principal)  # what IsCustomer lets through
    return principal
