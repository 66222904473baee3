"""How django-allauth fits into this service: accounts by our invitations, our limits, our addresses.

The second factors' secrets are stored under a key derived from `KM_SECRET_KEY`: a copied database signs nobody in.
"""

from __future__ import annotations

import base64
from typing import Any

import qrcode
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from qrcode.image.svg import SvgPathFillImage as SvgFillImage

from core.clock import now
from core.errors import Forbidden
from core.throttling import address_of
from customers import single_sign_on
from dashboard import boundary
from dashboard.login import check_guesses, count_guess


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Passwords and their letters."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """allauth makes no accounts: `customers.invitations` does."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """A password is asked for again: the sign-in page's limits hold here too."""
        check_guesses(request, credentials.get("username", ""), at=now())

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        count_guess(request, credentials.get("username", ""), at=now())

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Under our own address, whatever host the request named."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return f"{settings.PUBLIC_URL}{path}".replace("UID-KEY", key)


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors."""

    def encrypt(self, text: str) -> str:
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _box().decrypt(encrypted_text.encode()).decode()

    def build_totp_svg(self, url: str) -> str:
        """On white, also on a dark page: a camera reads nothing else."""
        drawn: bytes = qrcode.make(url, image_factory=SvgFillImage).to_string()
        return drawn.decode()

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002 - allauth's name
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return f"Passkey {number}" if number > 1 else "Passkey"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity | {"name": "Kilometers"}


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """The organisation's own accounts (OpenID Connect): who may come in is `customers.single_sign_on`'s to say."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find or make the person, or refuse with a page."""
        verified = [each.email for each in sociallogin.email_addresses if each.verified]
        try:
            user = single_sign_on.admit(verified[0] if verified else "", at=now())
            if not sociallogin.is_existing:
                sociallogin.connect(request, user)
            elif sociallogin.user != user:
                raise Forbidden("this account is connected to another person here", "ask whoever runs this server")
        except Forbidden as error:
            raise ImmediateHttpResponse(boundary.problem(request, error)) from None

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        return False


def _box() -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=b"km second factors").derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
