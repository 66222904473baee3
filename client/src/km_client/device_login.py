"""Log this machine in by a code that a person confirms in a browser (RFC 8628): no key is copied by hand.

    begun = begin(api, machine="9f2c61…")          → a code to show, a page to open
    begun.user_code                                → "WDJB-MJHT"
    logged_in = wait(api, begun)                   → the key of this machine, once somebody confirmed it

While it waits it asks as often as the server said and no oftener; a network that comes and goes is waited for.
"""

from __future__ import annotations

import math
import platform
import socket
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from km_protocol import api_keys
from km_protocol.api_keys import ApiKey
from km_protocol.errors import MalformedKeyError

from km_client import __version__
from km_client.agent.api import Answer, Api, UnreachableError
from km_client.errors import ClientError

SLOWER_BY_SECONDS = 5  # RFC 8628 §3.5
MAX_INTERVAL_SECONDS = 60.0
MAX_EXPIRY_SECONDS = 3600.0
_MAX_CHARACTERS = 80
_OVER = {"revoked_api_key", "expired_api_key"}
"""Of a 401: any other, such as of a suspended customer or of a proxy, says nothing of the key's end."""


class Begun(NamedTuple):
    """A login under way: the codes, the page that takes them (also with the code filled in), and seconds."""

    device_code: str
    user_code: str
    page: str
    complete_page: str
    expires_in: float
    interval: float


class LoggedIn(NamedTuple):
    """The machine's own key, and when it ends if the server said so."""

    key: ApiKey
    ends: datetime | None


def begin(api: Api, *, machine: str) -> Begun:
    """Ask for codes. Raises `ClientError`."""
    told = {
        "clientId": f"km-client {__version__}",
        "machine": machine,
        "machineName": socket.gethostname().partition(".")[0][:_MAX_CHARACTERS],
        "os": f"{platform.system()} {platform.release()}"[:_MAX_CHARACTERS],
    }
    try:
        answer = api.start_login(told)
    except UnreachableError as error:
        raise ClientError(
            "unreachable", str(error), "see that the server runs and that `km-client config get api_url` is its address"
        ) from None
    said = answer.json()
    codes = [said.get(name) for name in ("deviceCode", "userCode", "verificationUri")]
    if answer.status != 200 or not all(isinstance(code, str) and code for code in codes):
        raise _no_login(answer, api.url)
    device_code, user_code, page = map(str, codes)
    complete = said.get("verificationUriComplete")
    return Begun(
        device_code,
        user_code,
        page,
        complete if isinstance(complete, str) else page,
        _seconds(said.get("expiresIn"), 600.0, most=MAX_EXPIRY_SECONDS),
        _seconds(said.get("interval"), 5.0, most=MAX_INTERVAL_SECONDS),
    )


def wait(
    api: Api,
    begun: Begun,
    *,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> LoggedIn:
    """Ask until somebody has decided. Raises `ClientError` when the login is refused or its time is over."""
    interval, ends = begun.interval, clock() + begun.expires_in
    while clock() < ends:
        pause(interval)
        try:
            answer = api.poll_login(begun.device_code)
        except UnreachableError:
            interval = min(interval * 2, MAX_INTERVAL_SECONDS)  # §3.5: less often while nobody answers
            continue
        if answer.status == 200:
            return _logged_in(answer, api.url)
        word = answer.field("error")
        if word == "slow_down":
            asked = _seconds(answer.field("interval"), interval + SLOWER_BY_SECONDS, most=MAX_INTERVAL_SECONDS)
            interval = max(asked, min(interval + SLOWER_BY_SECONDS, MAX_INTERVAL_SECONDS))
        elif answer.status == 429 or answer.status >= 500:
            interval = max(interval, _seconds(answer.retry_after, interval, most=MAX_INTERVAL_SECONDS))
        elif word == "access_denied":
            why = answer.field("error_description") or "it was refused in the browser"
            raise ClientError("access_denied", f"this machine is not let in: {why}", "run `km-client login` again")
        elif word == "expired_token":
            break
        elif word != "authorization_pending":
            raise _no_login(answer, api.url)
    raise ClientError(
        "expired_token",
        "this login is over: nobody confirmed it in time, or the answer was lost on the way",
        "run `km-client login` again",
    )


def give_back(url: str, key: ApiKey) -> bool:
    """Whether the server at `url` refuses the key of a login from now on; it keeps one that was issued by hand.

    Raises `ClientError` while that cannot be known.
    """
    api = Api(url, key)
    try:
        answer = api.log_out()
    except UnreachableError as error:
        raise ClientError(
            "unreachable", f"the key is not given back: {error}", "try again, or use --offline and revoke it there"
        ) from None
    finally:
        api.close()
    code, message, _ = answer.error()
    if answer.status == 401 and code in _OVER:  # somebody was first
        return True
    if answer.status != 200:
        raise ClientError(
            code or "not_given_back",
            f"the key is not given back: {url} answered {answer.status} {message}".rstrip(),
            "try again, or use --offline and revoke it in the dashboard",
        )
    return answer.field("revoked") is True


def _logged_in(answer: Answer, url: str) -> LoggedIn:
    token = answer.field("token")
    members: dict[str, Any] = token if isinstance(token, dict) else {}
    try:
        key = api_keys.parse(str(members.get("accessToken", "")))
    except MalformedKeyError as error:
        raise ClientError(
            "not_kilometers", f"{url} confirmed the login, but gave no key of Kilometers: {error}", "update km-client"
        ) from None
    try:
        ends = datetime.fromisoformat(str(members.get("accessTokenExpiresAt", "")))
    except ValueError:
        ends = None
    return LoggedIn(key, ends)


def _no_login(answer: Answer, url: str) -> ClientError:
    code, message, hint = answer.error()
    if answer.status == 429 or answer.status >= 500:
        when = f" after {answer.retry_after} seconds" if answer.retry_after else " in a moment"
        return ClientError(
            code or "unavailable", f"{url} cannot answer now: {message or answer.status}", f"try again{when}"
        )
    if answer.status == 404:
        hint = "use a key instead: `km-client init --api-key km_live_…`"
        return ClientError("no_login_here", f"{url} has no login by code", hint)
    return ClientError(
        code or "not_kilometers",
        f"{url} answered {answer.status}: {message or 'not as a Kilometers server does'}",
        hint or "see that `km-client config get api_url` is the address of the service",
    )


def _seconds(value: object, otherwise: float, *, most: float) -> float:
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else otherwise
    except ValueError:
        return otherwise
    return min(max(seconds, 0.0), most) if math.isfinite(seconds) else otherwise
