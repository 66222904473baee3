"""The console's pages of the review queue and of one revision, and what may be done there.

Every act is a POST with its own address, asks again whether this person may, and comes back to the revision with what
happened. The acts themselves, their rules and their audit entries are in `review`, `appeals`, `yanks` and `blocks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from core.clock import now
from core.errors import ApiError
from customers.admin.console import ReadOnlyAdmin
from plugins_registry import appeals, review, review_page
from plugins_registry.admin import queue, stopping, who_may
from plugins_registry.admin.forms import AppealForm, DecisionForm, ReasonForm
from plugins_registry.approvals import THRESHOLD
from plugins_registry.models import Appeal, Finding, Revision
from plugins_registry.people import Duty

_TEMPLATES = "admin/plugins_registry/revision"


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    """The list is the queue until another stage is chosen."""

    list_display = ("plugin", "organisation", "stage", "risk_shown", "permissions_shown", "findings_shown", "waiting")
    list_filter = (queue.StageFilter, "risk")
    search_fields = ("public_id", "version__plugin__name", "source__sha256", "version__plugin__owner__name")
    ordering = ("queued_at", "id")
    list_per_page = 50
    show_full_result_count = False

    class Media:
        css = {"all": ("customers/console.css",)}  # noqa: RUF012 - Django reads it off the class

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever has a duty here sees what it is about."""
        return super().has_view_permission(request, obj) or any(request.user.has_perm(duty.value) for duty in Duty)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return queue.rows(super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        acts: dict[str, Callable[..., HttpResponse]] = {
            "decide": require_POST(self.decide),
            "waive/<int:finding_id>": require_POST(self.waive),
            "hear": require_POST(self.hear),
            "stop/<str:action>": self.stop,
        }
        own = [
            path(f"<int:pk>/{act}/", self.admin_site.admin_view(view), name=f"plugins_registry_revision_{view_name}")
            for act, view in acts.items()
            for view_name in [act.split("/")[0]]
        ]
        return [*own, *super().get_urls()]

    @admin.display(description="plugin", ordering="version__plugin__name")
    def plugin(self, revision: Revision) -> str:
        return str(revision)

    @admin.display(description="organisation", ordering="version__plugin__owner__name")
    def organisation(self, revision: Revision) -> str:
        return str(revision.version.plugin.owner or "Kilometers")

    @admin.display(description="state", ordering="state")
    def stage(self, revision: Revision) -> SafeString:
        return queue.badge(revision.get_state_display(), queue.tone(revision.state))

    @admin.display(description="risk", ordering="risk")
    def risk_shown(self, revision: Revision) -> SafeString:
        return queue.risk_badge(revision)

    @admin.display(description="permissions asked")
    def permissions_shown(self, revision: Revision) -> SafeString:
        return queue.permission_badges(revision)

    @admin.display(description="findings", ordering="open_findings")
    def findings_shown(self, revision: Revision) -> SafeString:
        return queue.findings_badge(revision)

    @admin.display(description="waiting", ordering="queued_at")
    def waiting(self, revision: Revision) -> str:
        return queue.waited(revision)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The revision's page; what was refused of a decision's form is told in `extra_context`."""
        revision = self._revision(request, object_id)
        user = cast(User, request.user)
        page, turn = review_page.read(revision), who_may.whose_turn(user, revision)
        appeal = Appeal.objects.filter(revision=revision, outcome="").first()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(revision.version),
            "page": page,
            "manifest_text": review_page.manifest_text(revision),
            "tone": queue.tone(revision.state),
            "waited": queue.waited(revision),
            "turn": turn,
            "form": DecisionForm(),
            "may_waive": who_may.may_waive(user, revision),
            "buttons": stopping.buttons(user, revision),
            "builds": review_page.signed_builds(page),
            "threshold": THRESHOLD,
            "appeal": appeal,
            "appeal_form": AppealForm(),
            "appeal_why_not": who_may.appeal_refusal(user, revision) if appeal else "",
        }
        return TemplateResponse(request, f"{_TEMPLATES}/review.html", context | (extra_context or {}))

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Decide the review whose turn it is."""
        revision = self._revision(request, pk)
        form = DecisionForm(request.POST)
        turn = who_may.whose_turn(cast(User, request.user), revision)
        if not form.is_valid() or turn.kind is None:
            return self._invalid(request, revision, form, "form")
        chosen, kind = form.cleaned_data, turn.kind
        return self._done(
            request,
            revision,
            lambda: review.decide(
                revision,
                kind,
                cast(User, request.user),
                chosen["decision"],
                chosen["reason_code"],
                chosen["comment"],
                at=now(),
            ),
            f"The {kind.label} is decided.",
        )

    def waive(self, request: HttpRequest, pk: int, finding_id: int) -> HttpResponse:
        """Remember that a finding is a false positive."""
        revision = self._revision(request, pk)
        finding = Finding.objects.filter(pk=finding_id, revision=revision).first()
        if finding is None:
            raise Http404
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Say in at most 500 characters why this finding is a false positive.")
            return HttpResponseRedirect(self._page_of(revision))
        reason = form.cleaned_data["reason"]
        return self._done(
            request,
            revision,
            lambda: review.waive(finding, cast(User, request.user), reason, at=now()),
            "Remembered: for this plugin, this rule and these lines are no finding.",
        )

    def hear(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Decide the open appeal."""
        revision = self._revision(request, pk)
        appeal = Appeal.objects.filter(revision=revision, outcome="").first()
        form = AppealForm(request.POST)
        if appeal is None or not form.is_valid():
            return self._invalid(request, revision, form, "appeal_form")
        chosen = form.cleaned_data
        return self._done(
            request,
            revision,
            lambda: appeals.decide_appeal(
                appeal, cast(User, request.user), chosen["outcome"], chosen["comment"], at=now()
            ),
            "The appeal is decided.",
        )

    def stop(self, request: HttpRequest, pk: int, action: str) -> HttpResponse:
        """Take the revision off the shelf, or put it back, once a reason was given."""
        revision = self._revision(request, pk)
        asked = stopping.question(action, revision)
        if asked is None:
            raise Http404
        if not stopping.may(cast(User, request.user), action, revision):
            raise PermissionDenied
        form = asked.form(request.POST if request.method == "POST" else None)
        return self._asked_of(request, asked, revision, form)

    def _asked_of(
        self, request: HttpRequest, asked: stopping.Asked, revision: Revision, form: forms.Form
    ) -> HttpResponse:
        """The question's page, or the act and back to the revision."""
        if request.method == "POST" and form.is_valid():
            user = cast(User, request.user)
            return self._done(
                request,
                revision,
                lambda: stopping.act(asked.action, revision, user, form.cleaned_data, at=now()),
                asked.done,
            )
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": asked.question,
            "asked": asked,
            "revision": revision,
            "form": form,
            "back": self._page_of(revision),
        }
        return TemplateResponse(request, f"{_TEMPLATES}/stop.html", context)

    def _revision(self, request: HttpRequest, object_id: str | int) -> Revision:
        revision = self.get_object(request, str(object_id))
        if revision is None:
            raise Http404
        if not self.has_view_permission(request, revision):
            raise PermissionDenied
        return cast(Revision, revision)

    def _invalid(self, request: HttpRequest, revision: Revision, form: forms.Form, name: str) -> HttpResponse:
        messages.error(request, "Nothing was decided: see below, or the revision has moved on.")
        return self.change_view(request, str(revision.pk), extra_context={name: form})

    def _done(
        self, request: HttpRequest, revision: Revision, act: Callable[[], object], words: str
    ) -> HttpResponseRedirect:
        try:
            act()
        except ApiError as error:
            messages.error(request, f"{error.message}. {error.hint}")
        else:
            messages.success(request, words)
        return HttpResponseRedirect(self._page_of(revision))

    def _page_of(self, revision: Revision) -> str:
        return reverse("admin:plugins_registry_revision_change", args=(revision.pk,))
