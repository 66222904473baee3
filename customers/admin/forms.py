"""The forms of the admin console that are not simply a row's columns."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from core.clock import now
from customers.models import ApiKey, Customer, Member, Subscription, Tier
from customers.scopes import DEFAULT_SCOPES, Scope
from customers.states import TRANSITIONS, Action, State
from customers.subscriptions import Terms


class IssueKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A new API key."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, initial=DEFAULT_SCOPES, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = ApiKey
        fields: ClassVar = ["customer", "name", "scopes", "expires_at"]

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= now():
            raise forms.ValidationError("This moment is in the past.")
        return expires_at


class NewCustomerForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A new customer and the tier of its subscription."""

    tier = forms.ModelChoiceField(Tier.objects.all(), widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Customer
        fields: ClassVar = ["name"]


class NewMemberForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A new person who may sign in."""

    email = forms.EmailField(max_length=150, widget=UnfoldAdminEmailInputWidget)
    password = forms.CharField(min_length=12, widget=UnfoldAdminPasswordWidget)

    class Meta:
        model = Member
        fields: ClassVar = ["customer", "role"]


class TermsForm(forms.Form):
    """What a subscription is for. The end of a trial is asked for while there is one."""

    tier = forms.ModelChoiceField(Tier.objects.all(), empty_label=None, widget=UnfoldAdminSelectWidget)
    events_per_day = forms.IntegerField(
        min_value=0,
        max_value=2**63 - 1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Agreed by contract; empty: what the tier includes.",
    )
    trial_ends_at = forms.DateTimeField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="As 2026-12-24 18:00, in UTC."
    )

    def __init__(self, subscription: Subscription, *args: Any, **kwargs: Any) -> None:
        initial = {name: getattr(subscription, name) for name in ("tier", "events_per_day", "trial_ends_at")}
        super().__init__(*args, **{"initial": initial, **kwargs})
        self._subscription = subscription
        if subscription.state != State.TRIALING:
            del self.fields["trial_ends_at"]

    def terms(self) -> Terms:
        """The terms, once the form is valid."""
        given = self.cleaned_data
        ends = given.get("trial_ends_at", self._subscription.trial_ends_at)
        return Terms(given["tier"], given["events_per_day"], ends)


class TransitionForm(forms.Form):
    """What may happen to a subscription in its present state."""

    action = forms.ChoiceField(widget=UnfoldAdminSelectWidget)

    def __init__(self, subscription: Subscription, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        possible = TRANSITIONS[State(subscription.state)]
        choices = [(each.value, f"{each.label} (it becomes {state.label})") for each, state in possible.items()]
        self.fields["action"] = forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget)

    def chosen(self) -> Action:
        """The action, once the form is valid."""
        return Action(self.cleaned_data["action"])
