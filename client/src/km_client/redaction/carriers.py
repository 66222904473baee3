"""What carries a secret: headers, addresses, connection strings, command lines and private keys."""

from __future__ import annotations

import re

from km_client.redaction import plausible
from km_client.redaction.pattern import SecretPattern, carried, shaped

# White space, as it stands or as the escape of it, at any depth of text within text.
_SPACES = rb"(?:\s|\\++[nrt])++"
_WORD = rb"[^\s\\]{1,255}+"
_BLANK = rb"[ \t]"
# Where a header's value ends: at its line's end, or at the quote around it.
_LINE = rb"""[^\s"'\\][^\r\n"\\]{0,4096}"""


def _secret(match: re.Match[bytes]) -> bool:
    return not plausible.is_placeholder(match["secret"])


def _named_token(match: re.Match[bytes]) -> bool:
    return _secret(match) and plausible.is_random(match["secret"])


def _basic(match: re.Match[bytes]) -> bool:
    return plausible.is_name_and_password(match["secret"])


def _private_block(match: re.Match[bytes]) -> bool:
    return b"PRIVATE KEY" in plausible.decoded(match.group()[:128])


def _cookie(match: re.Match[bytes]) -> bool:
    """`name=value`, of which one value is long enough to be somebody's session."""
    return any(len(value) >= 6 and not plausible.is_placeholder(value) and not plausible.is_identifier(value)
               for value in re.findall(rb"=([^;,\s]+)", match["secret"][:1024]))  # fmt: skip


def _password_of_address(match: re.Match[bytes]) -> bool:
    value = match["secret"]
    return not plausible.is_placeholder(value) and not re.match(rb"(?i)[0-9]{1,5}(?:$|/)", value)


def _password_of_command(match: re.Match[bytes]) -> bool:
    value = match["secret"]
    return not plausible.is_placeholder(value) and not value.isdigit() and not plausible.is_path_like(value)


PATTERNS: tuple[SecretPattern, ...] = (
    # RFC 7468, and the same on one line with `\n`. A mention of the first line alone is no key.
    carried(
        "private_key",
        "-----begin",
        rb"-----begin (?:[a-z0-9]+ ){0,3}private key(?: block)?-----"
        rb"(?=(?:\\+[nr]|[\r\n])++(?:\\+[nrt]|\s)*+(?:[a-z0-9+/=]{6}|[a-z-]{3,20}: )|\s++[a-z0-9+/=]{16})"
        rb'(?:[^"\\-]++|\\[^"]|-(?!----end ))*+(?:-----end [a-z0-9 ]{1,60}-----)?',
    ),
    carried(
        "private_key",
        "private-lines:",
        rb"private-lines:" + _BLANK + rb'*[0-9]+(?P<secret>(?:[^"\\-]++|\\[^"]|-(?!mac:))*+)',
    ),
    shaped("private_key", "ls0tls1crudjti", rb"LS0tLS1CRUdJTi[0-9A-Za-z+/]{40,}+={0,2}", _private_block),
    carried(
        "authorization",
        "bearer",
        rb"bearer(?:\s|%20|\+)+(?P<secret>(?=[a-z._~+/=-]{0,64}[0-9])[\w.~+/=-]{16,}+)",
        _secret,
    ),
    carried("authorization", "basic", rb"basic\s+(?P<secret>[a-z0-9+/_-]{6,}+={0,2})", _basic),
    carried(
        "authorization",
        "authorization",
        rb"(?<![a-z])authorization\\*[\"']?\s*(?::|=>?|,)\s*\\*[\"']?(?:bearer|basic|token|digest|negotiate|bot|apikey|key|aws4-hmac-sha256)\s+"
        rb"(?P<secret>[\w.~+/=-]{4,}+)",
        _secret,
    ),
    carried(
        "authorization",
        "authorization",
        rb"(?<![a-z])authorization\\*[\"']?\s*[:=]\s*\\*[\"']?(?P<secret>[\w.~+/=-]{16,}+)",
        _named_token,
    ),
    carried(
        "cookie",
        "cookie:",
        rb"(?<![\w])(?:set-)?cookie:" + _BLANK + rb"*(?P<secret>[\w.-]{1,64}=" + _LINE + rb")",
        _cookie,
    ),
    carried("cookie", "set-cookie:", rb"set-cookie:" + _BLANK + rb"*(?P<secret>[\w.-]{1,64}=" + _LINE + rb")", _cookie),
    carried(
        "url_password",
        "://",
        rb"""://[\w.%+~=!*-]{0,128}:(?P<secret>[^\s/"'\\@<>,]{1,256})@(?=[\w\[.-])""",
        _password_of_address,
    ),
    carried("url_password", "://", rb"""://(?P<secret>[\w-]{20,256})@""", _named_token),
    carried(
        "azure_key",
        "accountkey= sharedaccesskey= accesskey=",
        rb"(?:account|access)key=(?P<secret>[a-z0-9+/]{32,}+={0,2})",
    ),
    carried("azure_key", "sig=", rb"(?<=[?&;\"'\s])sig=(?P<secret>[\w%+/=-]{30,}+)", _named_token),
    carried("signature", "x-amz-signature= x-goog-signature=", rb"x-(?:amz|goog)-signature=(?P<secret>[0-9a-f]{32,}+)"),
    carried("signature", "x-amz-security-token=", rb"x-amz-security-token=(?P<secret>[\w%+/=-]{32,}+)"),
    carried(
        "webhook", "hooks.slack.com/", rb"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[\w/+]{20,}+)"
    ),
    carried("webhook", "/api/webhooks/", rb"/api/webhooks/[0-9]{15,22}/(?P<secret>[\w-]{40,}+)"),
    carried("webhook", "webhook.office.com/", rb"webhook\.office\.com/webhookb2/(?P<secret>[\w@/-]{60,}+)"),
    carried(
        "discord_token",
        "discord",
        rb"discord[^\"\r\n]{0,80}?(?<![\w.-])(?P<secret>[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,40})(?![\w-])",
        _named_token,
    ),
    carried(
        "discord_token", "bot", rb"\bbot\s+(?P<secret>[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,40})(?![\w-])", _named_token
    ),
    carried(
        "password",
        "machine",
        _SPACES.join((rb"machine", _WORD, rb"login", _WORD, rb"password", rb"(?P<secret>[^\s\"\\]{1,256})")),
        _secret,
    ),
    carried(
        "password",
        "-u --user",
        rb"(?<=[\s\"'])(?:-u|--user|--proxy-user)(?:[ =]|\\*\",\s*\\*\")\\*[\"']?"
        rb"[\w.@-]{1,64}:(?P<secret>[^\s\"'\\]{3,256})",
        _password_of_command,
    ),
    carried("password", "password", rb"password\\*\"\s+value=\\*\"(?P<secret>[^\"\\<>]{3,256})", _secret),
)
