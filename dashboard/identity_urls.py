"""django-allauth's pages that this service uses, under `/app/account/`; those it does not use have no address.

The names are allauth's own: it looks them up. What it has a page for and we have a better one leads there.
"""

from __future__ import annotations

from collections.abc import Callable

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.openid_connect import views as openid
from django.contrib.auth.views import LogoutView
from django.http import HttpResponseBase
from django.urls import path, re_path
from django.views.generic import RedirectView


def _to(route: str) -> Callable[..., HttpResponseBase]:
    return RedirectView.as_view(pattern_name=f"dashboard:{route}", query_string=True)


urlpatterns = [
    path("login/", _to("login"), name="account_login"),
    path("logout/", LogoutView.as_view(next_page="dashboard:login"), name="account_logout"),
    path("sign-up/", _to("sign_up"), name="account_signup"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("email/", _to("security"), name="account_email"),
    path("password/", account.password_change, name="account_change_password"),
    path("password/set/", account.password_set, name="account_set_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/sent/", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("password/reset/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    path("factors/", _to("security"), name="mfa_index"),
    path("factors/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("factors/confirm/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("factors/app/add/", totp.activate_totp, name="mfa_activate_totp"),
    path("factors/app/remove/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("factors/codes/", codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("factors/codes/new/", codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("factors/passkeys/", _to("security"), name="mfa_list_webauthn"),
    path("factors/passkeys/add/", passkeys.add_webauthn, name="mfa_add_webauthn"),
    path("factors/passkeys/confirm/", passkeys.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("factors/passkeys/<int:pk>/remove/", passkeys.remove_webauthn, name="mfa_remove_webauthn"),
    path("factors/passkeys/<int:pk>/rename/", passkeys.edit_webauthn, name="mfa_edit_webauthn"),
    path("factors/passkeys/login/", passkeys.login_webauthn, name="mfa_login_webauthn"),
    path("sso/connections/", _to("security"), name="socialaccount_connections"),
    path("sso/canceled/", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("sso/failed/", social.login_error, name="socialaccount_login_error"),
    path("sso/<str:provider_id>/", openid.login, name="openid_connect_login"),
    path("sso/<str:provider_id>/callback/", openid.callback, name="openid_connect_callback"),
]
