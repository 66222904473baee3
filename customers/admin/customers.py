"""The console's pages of customers and their subscriptions: all about one on one page, and what-if before a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from core.clock import now
from customers import accounts, revocation, subscriptions, what_if
from customers.admin import customer_page, sections
from customers.admin.console import AuditedAdmin, Question, ReadOnlyAdmin, action, actor
from customers.admin.forms import NewCustomerForm, TermsForm, TransitionForm
from customers.models import Customer, Subscription
from customers.what_if import Preview

SUSPEND = Question(
    "Suspend this customer?",
    "All its keys and tokens are refused within a minute, until it is reinstated.",
    "Suspend",
    "The customer is suspended.",
)
REINSTATE = Question(
    "Reinstate this customer?", "Its keys and tokens are accepted again.", "Reinstate", "The customer is reinstated."
)
REVOKE_TOKENS = Question(
    "Revoke all tokens of this customer?",
    "Every token ends within a minute; API keys still work and get new ones.",
    "Revoke all tokens",
    "All tokens are revoked.",
)
CHANGE_STATE = Question(
    "Change this subscription's state",
    "Nothing is changed yet: the next page shows what it would do.",
    "Change the state",
    "The state is changed. What the customer may use follows within a minute.",
)
CHANGE_TERMS = Question(
    "Change this subscription's tier or contract",
    "Nothing is changed yet: the next page shows what it would do.",
    "Change the subscription",
    "The subscription is changed. What the customer may use follows within a minute.",
)


@admin.register(Customer)
class CustomerAdmin(AuditedAdmin):
    list_display = ("name", "public_id", "tier", "state", "created_at", "suspended_at")
    list_filter = ("subscription__tier", "subscription__state")
    search_fields = ("name", "public_id", "members__user__email")
    readonly_fields = ("public_id", "created_at", "suspended_at", "token_version")
    actions_detail = ("suspend", "revoke_tokens")
    change_form_outer_before_template = "customers/everything.html"
    records_additions = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("subscription__tier")

    @admin.display(ordering="subscription__tier")
    def tier(self, customer: Customer) -> str:
        return customer.subscription.tier.name

    @admin.display(ordering="subscription__state")
    def state(self, customer: Customer) -> str:
        return customer.subscription.get_state_display()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else {**kwargs, "form": NewCustomerForm}))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("name", *self.readonly_fields) if obj else ("name", "tier")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return self.readonly_fields if obj else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, under everything there is to know."""
        customer = self.get_object(request, object_id) if self.has_view_permission(request) else None
        if customer is not None:
            at = now()
            extra_context = {
                **(extra_context or {}),
                "customer_facts": customer_page.facts(customer, at=at),
                "customer_sections": sections.all_of(customer, at=at),
                "may_change_subscription": request.user.has_perm("customers.change_subscription"),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made = accounts.create_customer(obj.name, form.cleaned_data["tier"].code, at=now(), actor=actor(request))
        obj.pk = made.pk

    @action("Suspend or reinstate")
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        question, act = (SUSPEND, revocation.suspend) if row.suspended_at is None else (REINSTATE, revocation.reinstate)
        return self.asked(request, question, row, lambda: act(row, at=now(), actor=actor(request)))

    @action("Revoke all tokens")
    def revoke_tokens(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        return self.asked(
            request, REVOKE_TOKENS, row, lambda: revocation.revoke_all_tokens(row, at=now(), actor=actor(request))
        )


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Changed in two steps: what would become of it, then the word."""

    list_display = ("customer", "tier", "state", "state_since", "trial_ends_at", "events_per_day")
    list_filter = ("state", "tier")
    list_select_related = ("customer", "tier")
    search_fields = ("customer__name", "customer__public_id")
    fields = ("customer", "tier", "state", "state_since", "trial_ends_at", "events_per_day")
    actions_detail = ("change_terms", "change_state")

    @action("Change tier")
    def change_terms(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        form = TermsForm(row, request.POST or None)
        return self._decided(
            request,
            CHANGE_TERMS,
            row,
            form,
            lambda: what_if.of_terms(row, form.terms(), at=now()),
            lambda: subscriptions.change_terms(row, form.terms(), at=now(), actor=actor(request)),
        )

    @action("Change state")
    def change_state(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        form = TransitionForm(row, request.POST or None)
        return self._decided(
            request,
            CHANGE_STATE,
            row,
            form,
            lambda: what_if.of_action(row, form.chosen(), at=now()),
            lambda: subscriptions.transition(row, form.chosen(), at=now(), actor=actor(request)),
        )

    def _decided(
        self,
        request: HttpRequest,
        question: Question,
        row: Subscription,
        form: TermsForm | TransitionForm,
        preview: Callable[[], Preview],
        act: Callable[[], Any],
    ) -> HttpResponse:
        """The form; then what it would do; then, confirmed as it was shown, the act."""
        context = {"form": form, "customer": row.customer, **question._asdict()}
        if request.method != "POST" or not form.is_valid():
            return self._page(request, "customers/what_if.html", row, **context)
        shown, confirmed = preview(), request.POST.get("confirm", "")
        if confirmed == shown.fingerprint:
            return self.asked(request, question, row, act)
        return self._page(request, "customers/what_if.html", row, preview=shown, is_stale=bool(confirmed), **context)
