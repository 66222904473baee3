"""What the admin console's pages share: the look, questions before an act, a secret shown once, refusals as messages.

    @action(description="Revoke")
    def revoke(self, request, object_id):
        key = self.found(request, object_id)
        return self.asked(request, REVOKE, key, lambda: api_keys.revoke(key, at=now(), actor=actor(request)))

An act needs a POST that answered its question; following a link only ever asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action as unfold_action

from core.clock import now
from core.errors import ApiError
from customers import audit, revocation
from customers.api_keys import Issued
from customers.models import Customer

if TYPE_CHECKING:  # unfold has no types; its classes are Django's own, dressed
    from django.contrib.admin import ModelAdmin, TabularInline

    AnyAdmin: TypeAlias = ModelAdmin[Any]
    AnyInline: TypeAlias = TabularInline[Any, Any]
else:
    from unfold.admin import ModelAdmin as AnyAdmin
    from unfold.admin import TabularInline as AnyInline

__all__ = ["AnyInline", "AuditedAdmin", "ConsoleAdmin", "Question", "ReadOnlyAdmin", "action", "actor"]

Method = TypeVar("Method", bound=Callable[..., Any])


class Question(NamedTuple):
    """What is asked before an act."""

    question: str
    consequence: str
    button: str
    done: str


def action(description: str) -> Callable[[Method], Method]:
    """A button on a page of the console."""
    decorate: Callable[[Method], Method] = unfold_action(description=description)
    return decorate


def actor(request: HttpRequest) -> str:
    """How the audit log names whoever is signed in to the console."""
    return f"user:{request.user.get_username()}"


class ConsoleAdmin(AnyAdmin):
    """A page of the console. Nothing is deleted here: things are revoked, suspended, canceled, and stay on record."""

    list_per_page = 50  # a row is a millisecond of templates
    show_full_result_count = False  # of all rows, beside those that were found: one more count of the whole table

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row an act is about, for somebody who may change it. Raises `PermissionDenied`, `Http404`."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        self.check_may_act(request)
        return row

    def check_may_act(self, request: HttpRequest) -> None:
        """Raises `PermissionDenied` unless whoever is signed in may change rows of this kind."""
        if not self.may_act(request):
            raise PermissionDenied

    def may_act(self, request: HttpRequest) -> bool:
        """Whether whoever is signed in may change rows of this kind, also where a page shows them read-only."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def asked(
        self,
        request: HttpRequest,
        question: Question,
        row: Model | None,
        act: Callable[[], Any],
        form: forms.Form | None = None,
        *,
        leaves: bool = False,
    ) -> HttpResponse:
        """Ask `question` about `row`, or, once answered, `act`. A key that `act` issues is shown; a refusal is told.

        With `leaves`, the row is gone afterwards, and its list follows.
        """
        if request.method != "POST" or (form is not None and not form.is_valid()):
            return self._page(request, "customers/confirm.html", row, form=form, **question._asdict())
        try:
            result = act()
        except ApiError as error:
            messages.error(request, f"{error.message}. {error.hint}")
            return HttpResponseRedirect(self._back(row))
        if isinstance(result, Issued):
            return self.secret_page(request, result)
        messages.success(request, question.done)
        return HttpResponseRedirect(self._back(None if leaves else row))

    def secret_page(self, request: HttpRequest, issued: Issued) -> HttpResponse:
        """The one page that shows `issued.secret`."""
        key = issued.key
        about = f"{key.customer.name} · {key.name} · {', '.join(key.scopes)}"
        response = self._page(
            request, "customers/secret.html", key, title="API key issued", secret=issued.secret, about=about
        )
        response["Cache-Control"] = "no-store"
        return response

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Tell a refusal as a message over the form."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ApiError as error:
            messages.error(request, f"{error.message}. {error.hint}")
            return HttpResponseRedirect(request.get_full_path())

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Tell a refusal as a message over the row's page."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except ApiError as error:
            messages.error(request, f"{error.message}. {error.hint}")
            return HttpResponseRedirect(self._back(self.get_object(request, object_id)))

    def _page(self, request: HttpRequest, template: str, row: Model | None, **context: Any) -> TemplateResponse:
        base = self.admin_site.each_context(request)
        title = context.get("question") or context.get("title")
        shared = {"opts": self.opts, "title": title, "subject": row or "", "back": self._back(row)}
        return TemplateResponse(request, template, {**base, **shared, **context})

    def _back(self, row: Model | None) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}"
        return reverse(f"{name}_changelist") if row is None else reverse(f"{name}_change", args=(row.pk,))


class AuditedAdmin(ConsoleAdmin):
    """Rows whose columns may be edited; every edit is recorded, and in force everywhere within a minute."""

    records_additions = True  # False where the act that adds a row records it

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Called last of a save, so that many-to-many columns are in place too."""
        super().save_related(request, form, formsets, change)
        revocation.announce()
        if not form.changed_data or not (change or self.records_additions):
            return
        row, kind = form.instance, self.opts.model_name
        audit.record(
            f"{kind}.{'changed' if change else 'added'}",
            subject=f"{kind}:{getattr(row, 'public_id', row.pk)}",
            at=now(),
            actor=actor(request),
            customer=row if isinstance(row, Customer) else getattr(row, "customer", None),
            columns=form.changed_data,
        )


class ReadOnlyAdmin(ConsoleAdmin):
    """Rows to look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False
