"""What the console asks of a reviewer: a decision, a reason, a level."""

from __future__ import annotations

from django import forms

from plugins_registry.models import Appeal, Block, Review
from plugins_registry.reasons import MAX_COMMENT_CHARACTERS, MAX_REASON_CHARACTERS, REASONS

_INPUT = {"class": "km-input"}
LEVELS = [(Block.Level.SOFT, "soft: nobody installs it anew"), (Block.Level.HARD, "hard: what runs is stopped too")]
REASON_CHOICES = [("", "–"), *((code, f"{code}: {words}") for code, words in REASONS.items())]


class DecisionForm(forms.Form):
    """One of the three decisions. An approval needs no reason; the author reads reason and comment."""

    decision = forms.ChoiceField(choices=Review.Decision.choices, widget=forms.RadioSelect)
    reason_code = forms.ChoiceField(
        choices=REASON_CHOICES, required=False, label="Reason", widget=forms.Select(attrs=_INPUT)
    )
    comment = forms.CharField(
        max_length=MAX_COMMENT_CHARACTERS,
        required=False,
        label="Comment for the author",
        widget=forms.Textarea(attrs=_INPUT | {"rows": 5}),
    )


class ReasonForm(forms.Form):
    """Why something is done; the audit log keeps it."""

    reason = forms.CharField(max_length=MAX_REASON_CHARACTERS, widget=forms.TextInput(attrs=_INPUT))


class StopForm(forms.Form):
    """Why a revision is taken off the shelf; its author reads both."""

    reason_code = forms.ChoiceField(choices=REASON_CHOICES[1:], label="Reason", widget=forms.Select(attrs=_INPUT))
    comment = forms.CharField(
        max_length=MAX_COMMENT_CHARACTERS,
        label="Comment for the author",
        widget=forms.Textarea(attrs=_INPUT | {"rows": 4}),
    )


class BlockForm(ReasonForm):
    """`soft` stops new installations, `hard` also what runs."""

    level = forms.ChoiceField(choices=LEVELS, widget=forms.RadioSelect, initial=Block.Level.SOFT)


class CommentForm(forms.Form):
    """What the author is told."""

    comment = forms.CharField(
        max_length=MAX_COMMENT_CHARACTERS,
        label="Comment for the author",
        widget=forms.Textarea(attrs=_INPUT | {"rows": 4}),
    )


class AppealForm(CommentForm):
    """What becomes of an appeal."""

    outcome = forms.ChoiceField(
        choices=[
            (Appeal.Outcome.GRANTED, "grant: both reviews begin anew"),
            (Appeal.Outcome.DENIED, "deny: the rejection stands"),
        ],
        widget=forms.RadioSelect,
    )
    field_order = ("outcome", "comment")
