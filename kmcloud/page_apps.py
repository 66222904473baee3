"""Django's registration of two apps whose modules are loaded with the addresses (`kmcloud.urls`) and not at start: a
worker and most commands show no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allauth.socialaccount.apps import SocialAccountConfig
from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.core.checks import CheckMessage, Tags


class ConsoleConfig(SimpleAdminConfig):
    """Django's, whose checks look at all pages whether or not somebody has loaded the addresses before."""

    def ready(self) -> None:
        checks.register(check_dependencies, Tags.admin)
        checks.register(_pages, Tags.admin)


class SingleSignOnConfig(SocialAccountConfig):  # type: ignore[misc]  # allauth has no types
    """allauth's, without its providers, which load a client of HTTP: `registry.load()` is for who has the pages."""

    def ready(self) -> None:
        from allauth.socialaccount import checks as _checks  # noqa: F401,PLC0415 - importing it registers them


def _pages(app_configs: Sequence[AppConfig] | None, **options: Any) -> Sequence[CheckMessage]:
    admin.autodiscover()
    return check_admin_app(app_configs, **options)
