"""The console's pages of builds: each with its steps and its log, and a failed one begun again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.clock import now
from customers.admin.console import Question, ReadOnlyAdmin, action, actor
from plugins_registry.admin.queue import badge
from plugins_registry.building import again
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild
from plugins_registry.source_pages import visible

RETRY = Question(
    "Build this again?",
    "It is queued, and a worker begins it within seconds. What it said before is replaced.",
    "Build again",
    "The build is queued.",
)
REVOKE = Question(
    "Revoke this package?",
    "The customer's clients disable it with the next refresh, and get another one with the next provisioning.",
    "Revoke",
    "The package is revoked.",
)
_TONES = {BuildState.BUILT: "good", BuildState.FAILED: "bad", BuildState.BUILDING: "warn"}


class BuildAdmin(ReadOnlyAdmin):
    """What both kinds share."""

    class Media:
        css = {"all": ("customers/console.css",)}  # noqa: RUF012 - Django reads it off the class

    @admin.display(description="state", ordering="state")
    def state_shown(self, build: Any) -> SafeString:
        return badge(build.get_state_display(), _TONES.get(build.state, ""))

    @admin.display(description="steps")
    def steps_shown(self, build: Any) -> SafeString:
        """`[{name, started_at, seconds, ok}, …]` as a list."""
        rows = [
            (
                visible(str(step.get("name"))),
                f"{step.get('seconds', 0):.1f} s",
                *(("good", "ok") if step.get("ok") else ("bad", "failed")),
            )
            for step in build.steps
        ]
        shown = format_html_join("", '<li>{} · {} <span class="km-badge {}">{}</span></li>', rows)
        return format_html('<ol class="km-steps">{}</ol>', shown) if rows else SafeString("none yet")

    @admin.display(description="log")
    def log_shown(self, build: Any) -> SafeString:
        text = "\n".join(visible(line) for line in build.log.split("\n"))
        return format_html('<pre class="km-pre" tabindex="0">{}</pre>', text) if text else SafeString("empty")

    def retried(self, request: HttpRequest, object_id: str, act: Callable[..., object]) -> HttpResponse:
        row = self.found(request, object_id)
        return self.asked(request, RETRY, row, lambda: act(row, actor=actor(request), at=now()))


@admin.register(PayloadBuild)
class PayloadBuildAdmin(BuildAdmin):
    list_display = ("plugin", "platform", "state_shown", "second_build_matches", "created_at", "built_at")
    list_filter = ("state", "platform", "second_build_matches")
    search_fields = ("payload_digest", "source_sha256", "revision__public_id", "revision__version__plugin__name")
    actions_detail = ("retry",)
    fields = (
        "revision",
        "platform",
        "state",
        "payload_digest",
        "source_sha256",
        "second_build_matches",
        "created_at",
        "built_at",
        "steps_shown",
        "log_shown",
    )
    readonly_fields = ("steps_shown", "log_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("revision__version__plugin").defer("log", "sbom", "provenance")

    @admin.display(ordering="revision", description="revision")
    def plugin(self, build: PayloadBuild) -> str:
        return str(build.revision)

    @action("Build again")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.retried(request, object_id, again.payload)


@admin.register(CustomerBuild)
class CustomerBuildAdmin(BuildAdmin):
    list_display = ("public_id", "plugin", "customer", "state_shown", "built_at", "expires_at", "revoked_at")
    list_filter = ("state", "revoked_at")
    search_fields = ("public_id", "sha256", "customer__name", "customer__public_id")
    actions_detail = ("retry", "revoke")
    fields = (
        "public_id",
        "payload",
        "customer",
        "state",
        "sha256",
        "size",
        "build_key_public",
        "created_at",
        "built_at",
        "expires_at",
        "revoked_at",
        "steps_shown",
        "log_shown",
    )
    readonly_fields = ("steps_shown", "log_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("payload__revision__version__plugin", "customer").defer("log")

    @admin.display(description="plugin")
    def plugin(self, build: CustomerBuild) -> str:
        return f"{build.payload.revision} {build.payload.platform}"

    @action("Build again")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.retried(request, object_id, again.package)

    @action("Revoke")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        return self.asked(request, REVOKE, row, lambda: again.revoke(row, actor=actor(request), at=now()))
