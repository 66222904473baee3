"""The two addresses of the API's description, which load what writes it (`kmcloud.openapi`) when first asked for it.

GET /api/schema   OpenAPI 3.1, as YAML or JSON
GET /api/docs     the same for people: a page and, with `?script=`, the page's script
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework.views import APIView


class _ForAnyone(APIView):
    """Hands a request on as it came, to a view of drf-spectacular's that negotiates and answers."""

    authentication_classes = ()
    permission_classes = ()
    schema = None  # what describes the API is no part of it

    def dispatch(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponseBase:
        """As if the other view were here."""
        return self.get(request)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """The other view's answer, whatever the method."""
        raise NotImplementedError


class SchemaView(_ForAnyone):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        """The description."""
        from drf_spectacular.views import SpectacularAPIView  # noqa: PLC0415 - a tenth of a start, for what few ever ask

        return SpectacularAPIView.as_view(authentication_classes=(), permission_classes=())(request)


class DocsView(_ForAnyone):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        """The description's page."""
        from drf_spectacular.views import SpectacularSwaggerSplitView  # noqa: PLC0415 - as above

        return SpectacularSwaggerSplitView.as_view(
            authentication_classes=(), permission_classes=(), template_name="kmcloud/api_docs.html"
        )(request)
