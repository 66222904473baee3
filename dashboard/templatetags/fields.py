"""A form's fields in our dress, with nothing inline.

{% include "dashboard/parts/fields.html" %}      every visible field of `form`, with its errors
"""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.core.serializers.json import DjangoJSONEncoder
from django.forms import BoundField, CheckboxInput
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def dressed(field: BoundField) -> SafeString:
    """The field's input, as `kilometers.css` draws one."""
    return field.as_widget(attrs={"class": "input", "placeholder": ""})


@register.filter
def is_check(field: BoundField) -> bool:
    """Whether the field is a box to tick."""
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def as_json(value: Any) -> str:
    """For an attribute that a script reads; the template escapes it."""
    return json.dumps(value, cls=DjangoJSONEncoder)
