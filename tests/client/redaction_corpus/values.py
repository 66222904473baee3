"""Values in the formats that providers publish, made from a seed; nobody's key, and checksums hold where there are any.

Each row is (kind of secret, how a value is made). Prefixes stand apart from what follows, so that no scanner of source
code takes a line here for a key.
"""

# ruff: noqa: E501 - a form a line, to be read as a table
from __future__ import annotations

import base64
import json
import random
import string
import zlib
from collections.abc import Callable
from typing import NamedTuple

from km_protocol import api_keys

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
BASE36 = string.digits + string.ascii_lowercase
URL_SAFE = BASE62 + "-_"
BASE64 = BASE62 + "+/"
HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"
BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"


class Maker(random.Random):
    """Random text of an alphabet."""

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self.choices(alphabet, k=length))

    def hex(self, length: int) -> str:
        return self.of(HEX, length)

    def b62(self, length: int) -> str:
        return self.of(BASE62, length)

    def url(self, length: int) -> str:
        """URL-safe, ending in a letter or a digit."""
        return self.of(URL_SAFE, length - 1) + self.choice(BASE62)

    def digits(self, length: int) -> str:
        return str(self.randint(1, 9)) + self.of(string.digits, length - 1)

    def uuid(self) -> str:
        return "-".join(self.hex(length) for length in (8, 4, 4, 4, 12))

    def b64(self, size: int) -> str:
        """Base64 of so many bytes, with its padding."""
        return base64.b64encode(self.randbytes(size)).decode()

    def password(self) -> str:
        """As a password manager or a person makes one: letters, digits, and mostly a sign or two."""
        words = ("correct", "Horse", "staple", "winter", "Summer", "dragon", "Falcon", "monkey")
        signs = self.choice(("", "!", "#", "%", "*", "+", "-", "_", ".", "@", "~"))
        by_hand = self.choice(words) + signs + self.digits(self.randint(2, 4)) + self.choice(("", "!", "x"))
        return by_hand if self.random() < 0.5 else self.b62(self.randint(10, 24)) + self.digits(2) + signs

    def with_checksum(self, prefix: str, length: int) -> str:
        """Six digits of CRC-32 in base 62 at the end, as GitHub and npm write them."""
        body = self.b62(length)
        number, tail = zlib.crc32(body.encode()), ""
        for _ in range(6):
            number, digit = divmod(number, 62)
            tail = BASE62[digit] + tail
        return prefix + body + tail

    def jwt(self) -> str:
        parts = (
            {"alg": "HS256", "typ": "JWT"},
            {"sub": self.uuid(), "iat": self.randint(1_600_000_000, 1_800_000_000)},
        )
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join((*encoded, self.url(43)))

    def pem(self, label: str, size: int) -> str:
        body = self.b64(size)
        lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
        return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----"


class Format(NamedTuple):
    """`provider` names the row in the report."""

    provider: str
    make: Callable[[Maker], str]


def _after(prefix: str, alphabet: str, length: int) -> Callable[[Maker], str]:
    return lambda make: prefix + make.of(alphabet, length - 1) + make.choice(alphabet.replace("-", "").replace("_", ""))


_ROWS: list[tuple[str, str, str, int]] = [
    ("AWS", "AKIA", BASE32, 16), ("AWS", "ASIA", BASE32, 16),
    ("Google", "AIza", URL_SAFE, 35), ("Google", "ya29.", URL_SAFE, 120), ("Google", "GOCSPX-", URL_SAFE, 28),
    ("GitLab", "glpat-", URL_SAFE, 20), ("GitLab", "gldt-", URL_SAFE, 20), ("GitLab", "glrt-", URL_SAFE, 20),
    ("GitHub", "github_pat_", BASE62, 82),
    ("Stripe", "sk_" + "live_", BASE62, 24), ("Stripe", "rk_" + "live_", BASE62, 99), ("Stripe", "whsec_", BASE62, 32),
    ("PyPI", "pypi-" + "AgEIcHlwaS5vcmc", URL_SAFE, 150), ("Docker", "dckr_pat_", URL_SAFE, 27),
    ("Hugging Face", "hf_", BASE62, 34), ("Anthropic", "sk-ant-" + "api03-", URL_SAFE, 95),
    ("OpenAI", "sk-proj-", URL_SAFE, 156), ("OpenAI", "sk-", BASE62, 48), ("OpenAI", "sk-svcacct-", URL_SAFE, 100),
    ("Groq", "gsk_", BASE62, 52), ("Replicate", "r8_", BASE62, 37), ("Perplexity", "pplx-", BASE62, 48),
    ("xAI", "xai-", BASE62, 80), ("Pinecone", "pcsk_", BASE62, 65),
    ("SendGrid", "SG.", URL_SAFE, 0), ("Twilio", "SK", HEX, 32), ("Mailgun", "key-", HEX, 32),
    ("Shopify", "shpat_", HEX, 32), ("Shopify", "shpss_", HEX, 32),
    ("DigitalOcean", "dop_v1_", HEX, 64), ("DigitalOcean", "doo_v1_", HEX, 64), ("Databricks", "dapi", HEX, 32),
    ("Linear", "lin_api_", BASE62, 40), ("Notion", "ntn_", BASE62, 46), ("Notion", "secret_", BASE62, 43),
    ("Atlassian", "ATATT3", URL_SAFE, 186), ("Grafana", "glc_", BASE64, 60), ("New Relic", "NRAK-", BASE62, 27),
    ("PlanetScale", "pscale_tkn_", URL_SAFE, 43), ("PlanetScale", "pscale_pw_", URL_SAFE, 43),
    ("Supabase", "sbp_", HEX, 40), ("Vault", "hvs.", URL_SAFE, 95), ("Vault", "hvb.", URL_SAFE, 140),
    ("age", "AGE-SECRET-KEY-1", BECH32, 58), ("Fly", "fo1_", URL_SAFE, 43), ("Netlify", "nfp_", BASE62, 36),
    ("RubyGems", "rubygems_", HEX, 48), ("Pulumi", "pul-", HEX, 40), ("Postman", "PMAK-", HEX, 0),
    ("Sentry", "sntryu_", HEX, 64), ("Buildkite", "bkua_", HEX, 40), ("Sonar", "sqp_", HEX, 40),
    ("Sourcegraph", "sgp_", HEX, 40), ("Figma", "figd_", URL_SAFE, 40), ("Typeform", "tfp_", URL_SAFE, 59),
    ("Facebook", "EAAC", BASE62, 160), ("Square", "sq0atp-", URL_SAFE, 22), ("EasyPost", "EZAK", BASE62, 54),
    ("Shippo", "shippo_" + "live_", HEX, 40), ("Duffel", "duffel_" + "live_", URL_SAFE, 43), ("Brevo", "xkeysib-", HEX, 0),
    ("Heroku", "HRKU-", URL_SAFE, 60), ("Artifactory", "AKCp", BASE62, 69), ("Clojars", "CLOJARS_", BASE36, 60),
    ("NuGet", "oy2", BASE36, 43), ("Octopus", "API-", string.ascii_uppercase + string.digits, 26),
    ("Alibaba", "LTAI", BASE62, 20), ("Readme", "rdme_", BASE36, 70), ("Prefect", "pnu_", BASE62, 36),
    ("Contentful", "CFPAT-", URL_SAFE, 43), ("OpenShift", "sha256~", URL_SAFE, 43), ("Dropbox", "sl.", URL_SAFE, 135),
]  # fmt: skip

_MADE: list[Format] = [
    *(Format("GitHub", lambda m, p=p: m.with_checksum(p, 30)) for p in ("ghp_", "gho_", "ghs_", "ghu_", "ghr_")),  # type: ignore[misc]
    Format("npm", lambda m: m.with_checksum("npm_", 30)),
    Format("Kilometers", lambda m: str(api_keys.compose("live", m.b62(30)))),
    Format("Kilometers", lambda m: str(api_keys.compose("ci", m.b62(30)))),
    Format("Slack", lambda m: f"xoxb-{m.digits(12)}-{m.digits(13)}-{m.b62(24)}"),
    Format("Slack", lambda m: f"xoxp-{m.digits(12)}-{m.digits(12)}-{m.digits(13)}-{m.hex(32)}"),
    Format("Slack", lambda m: f"xapp-1-A{m.of(BASE32, 10)}-{m.digits(13)}-{m.hex(64)}"),
    Format("Slack", lambda m: f"xoxe.xoxp-1-{m.b62(164)}"),
    Format("SendGrid", lambda m: f"SG.{m.url(22)}.{m.url(43)}"),
    Format("Brevo", lambda m: f"xkeysib-{m.hex(64)}-{m.b62(16)}"),
    Format("Postman", lambda m: f"PMAK-{m.hex(24)}-{m.hex(34)}"),
    Format("Grafana", lambda m: f"glsa_{m.b62(32)}_{m.hex(8)}"),
    Format("Sentry", lambda m: f"sntrys_{base64.b64encode(json.dumps({'iat': 1, 'url': m.b62(20)}).encode()).decode()}_{m.b62(43)}"),
    Format("Telegram", lambda m: f"{m.digits(10)}:AA{m.url(33)}"),
    Format("Azure", lambda m: f"{m.b62(3)}{m.digits(1)}Q~{m.url(34)}"),
    Format("Terraform", lambda m: f"{m.b62(14)}.atlasv1.{m.url(67)}"),
    Format("Mailchimp", lambda m: f"{m.hex(32)}-us{m.randint(1, 21)}"),
    Format("Airtable", lambda m: f"pat{m.b62(14)}.{m.hex(64)}"),
    Format("Asana", lambda m: f"1/{m.digits(16)}:{m.hex(32)}"),
    Format("Dynatrace", lambda m: f"dt0c01.{m.of(BASE32, 24)}.{m.of(BASE32, 64)}"),
    Format("CircleCI", lambda m: f"CCIPAT_{m.b62(22)}_{m.hex(40)}"),
    Format("Doppler", lambda m: f"dp.pt.{m.b62(43)}"),
    Format("LangSmith", lambda m: f"lsv2_pt_{m.hex(32)}_{m.hex(10)}"),
    Format("Plaid", lambda m: f"access-production-{m.uuid()}"),
    Format("MaxMind", lambda m: f"{m.b62(6)}_{m.b62(29)}_mmk"),
    Format("1Password", lambda m: f"ops_eyJ{m.b62(240)}"),
    Format("LaunchDarkly", lambda m: f"sdk-{m.uuid()}"),
    Format("Cloudflare", lambda m: f"v1.0-{m.hex(24)}-{m.hex(146)}"),
    Format("JWT", Maker.jwt),
    *(Format("private key", lambda m, label=label: m.pem(f"{label}PRIVATE KEY", 300))  # type: ignore[misc]
      for label in ("RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED ", "DSA ")),
    Format("private key", lambda m: m.pem("PGP PRIVATE KEY BLOCK", 400)),
    Format("kubeconfig", lambda m: base64.b64encode(m.pem("RSA PRIVATE KEY", 200).encode()).decode()),
]  # fmt: skip

SHAPED: list[Format] = [
    Format(name, _after(prefix, letters, size)) for name, prefix, letters, size in _ROWS if size
] + _MADE

# Values without a shape of their own: names that they are written under, by provider.
NAMED: list[tuple[str, str, Callable[[Maker], str]]] = [
    ("AWS", "aws_secret_access_key", lambda m: m.of(BASE64, 39) + m.choice(BASE62)),
    ("AWS", "aws_session_token", lambda m: m.b64(200)),
    ("Azure", "azure_storage_key", lambda m: m.b64(64)),
    ("Twilio", "twilio_auth_token", lambda m: m.hex(32)),
    ("Datadog", "dd_api_key", lambda m: m.hex(32)),
    ("Datadog", "datadog_app_key", lambda m: m.hex(40)),
    ("Cloudflare", "cloudflare_api_token", lambda m: m.url(40)),
    ("Heroku", "heroku_api_key", lambda m: m.uuid()),
    ("Discord", "discord_token", lambda m: f"MT{m.b62(22)}.{m.url(6)}.{m.url(38)}"),
    ("Snyk", "snyk_token", lambda m: m.uuid()),
    ("Okta", "okta_api_token", lambda m: "00" + m.url(40)),
    ("Algolia", "algolia_admin_api_key", lambda m: m.hex(32)),
    ("OAuth", "client_secret", lambda m: m.url(40)),
    ("OAuth", "refresh_token", lambda m: m.url(64)),
    ("Django", "secret_key", lambda m: m.b62(50)),
    ("Rails", "secret_key_base", lambda m: m.hex(128)),
    ("password", "password", Maker.password),
    ("password", "db_password", Maker.password),
    ("password", "mysql_pwd", Maker.password),
    ("password", "smtp_pass", Maker.password),
    ("password", "passphrase", Maker.password),
]
