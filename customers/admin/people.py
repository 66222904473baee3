"""The console's pages of customers, their subscriptions and the people who sign in for them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from core.clock import now
from customers import accounts, audit, revocation, subscriptions
from customers.admin.console import AnyInline, AuditedAdmin, Question, action, actor
from customers.admin.forms import NewCustomerForm, NewMemberForm, TransitionForm
from customers.models import ApiKey, Customer, Member, Subscription

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
    "Change this subscription's state?",
    "What the customer may use follows within a minute.",
    "Change",
    "The state is changed.",
)


class KeyInline(AnyInline):
    """A customer's keys, to look at."""

    model = ApiKey
    fields = readonly_fields = ("name", "prefix", "may", "last_used_at", "expires_at", "revoked_at")
    show_change_link = True
    extra = 0
    can_delete = False

    @admin.display(description="may")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Customer)
class CustomerAdmin(AuditedAdmin):
    list_display = ("name", "public_id", "tier", "state", "created_at", "suspended_at")
    list_filter = ("subscription__tier", "subscription__state")
    search_fields = ("name", "public_id", "members__user__email")
    readonly_fields = ("public_id", "created_at", "suspended_at", "token_version")
    inlines = (KeyInline,)
    actions_detail = ("suspend", "revoke_tokens")
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

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:  # noqa: ARG002
        return self.inlines if obj else ()

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
class SubscriptionAdmin(AuditedAdmin):
    list_display = ("customer", "tier", "state", "state_since", "trial_ends_at", "events_per_day")
    list_filter = ("state", "tier")
    search_fields = ("customer__name", "customer__public_id")
    readonly_fields = ("customer", "state", "state_since")
    fields = ("customer", "tier", "state", "state_since", "trial_ends_at", "events_per_day")
    actions_detail = ("change_state",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False  # a customer is made with one

    @action("Change state")
    def change_state(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)
        form = TransitionForm(row, request.POST or None)
        return self.asked(
            request,
            CHANGE_STATE,
            row,
            lambda: subscriptions.transition(row, form.chosen(), at=now(), actor=actor(request)),
            form,
        )


@admin.register(Member)
class MemberAdmin(AuditedAdmin):
    list_display = ("user", "customer", "role", "created_at")
    list_filter = ("role",)
    search_fields = ("user__email", "customer__name", "customer__public_id")
    autocomplete_fields = ("customer",)
    records_additions = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return self.may_act(request)  # people leave

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("user", "customer", "role", "created_at") if obj else ("customer", "role", "email", "password")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return ("user", "customer", "created_at") if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else {**kwargs, "form": NewMemberForm}))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        email, password = form.cleaned_data["email"], form.cleaned_data["password"]
        made = accounts.add_member(obj.customer, email, password, obj.role, at=now(), actor=actor(request))
        obj.pk, obj.user = made.pk, made.user

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        subject = f"member:{obj.pk}"
        audit.record("member.removed", subject=subject, at=now(), actor=actor(request), customer=obj.customer)
        super().delete_model(request, obj)
