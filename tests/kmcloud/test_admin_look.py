"""The console's side: no table is lost, and nobody is shown the way to what they may not look at."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory

from kmcloud.admin_look import GROUPS, OTHERS, sidebar

pytestmark = pytest.mark.django_db


def seen_by(user: User) -> dict[str, list[str]]:
    request = RequestFactory().get("/admin/")
    request.user = user
    return {group.get("title", ""): [item["link"] for item in group["items"]] for group in sidebar(request)}


def test_every_table_of_the_console_is_at_its_side_once() -> None:
    links = [link for group in seen_by(User(is_superuser=True, is_active=True)).values() for link in group]
    tables = {f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry}
    assert sorted(links) == sorted({"/admin/", "/admin/health/"} | tables)


def test_every_table_that_a_group_names_is_there() -> None:
    known = {model._meta.label_lower for model in admin.site._registry}
    assert {name for tables in GROUPS.values() for name in tables} <= known


def test_one_is_shown_only_the_way_to_what_one_may_look_at() -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename="view_subscription"))
    clerk = User.objects.get(pk=clerk.pk)
    assert seen_by(clerk) == {"": ["/admin/"], "Customers": ["/admin/customers/subscription/"]}
    browser = Client()
    browser.force_login(clerk)
    page = browser.get("/admin/").content.decode()
    assert "/admin/customers/subscription/" in page
    assert "/admin/customers/apikey/" not in page
    assert OTHERS not in page


def test_moments_are_written_as_in_the_dashboard() -> None:
    browser = Client()
    browser.force_login(User.objects.create(username="ops", is_staff=True, is_superuser=True))
    page = browser.get("/admin/customers/signingkey/").content.decode()
    assert not re.search(r"\b[ap]\.m\.|\bmidnight\b|\bnoon\b", page)
