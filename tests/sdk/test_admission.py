"""Who grants a plugin its features: the token, the lease while there is no network, or nobody.

The cases are in sdk/testdata/admission.json, which the Go SDK is tested with too.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from km_plugin_sdk import FeatureNotAvailableError, PluginError, TokenError
from km_plugin_sdk.admission import OwnManifest, admit
from km_plugin_sdk.testing import TokenIssuer
from km_plugin_sdk.wire import plugin_pb2

from tests.sdk.forged import OTHER, claims_of, jws
from tests.sdk.go_toolchain import ROOT

AT = 1_800_000_000
ISSUER = TokenIssuer()
PRO = ["console_logging", "api_logging"]
OFFERED = ["console_logging", "api_logging", "advanced_analytics"]
CASES: list[dict[str, Any]] = json.loads((ROOT / "sdk/testdata/admission.json").read_text())["cases"]


def token(case: dict[str, Any]) -> str:
    made = AT - case.get("made", 0)
    good = ISSUER.token(plugin_name="my-plugin", customer_id="cus_1", tier="Pro", features=PRO, at=made)
    return changed(good, "at+jwt", case)


def lease(case: dict[str, Any]) -> str:
    made = AT - case.get("made", 0)
    return changed(ISSUER.lease(customer_id="cus_1", tier="Pro", features=PRO, at=made), "km-lease+jwt", case)


def changed(good: str, kind: str, case: dict[str, Any]) -> str:
    signed = case.get("signed", "ours")
    if signed not in {"ours", "other_key", "hs256", "nothing"}:
        return str(signed)
    header = {"alg": "EdDSA", "typ": kind, "kid": ISSUER.kid} | case.get("header", {})
    if "jwk" in header:
        header["jwk"] = json.loads(OTHER.jwks)["keys"][0]
    claims = claims_of(good) | case.get("claims", {})
    return jws(ISSUER, header, {name: value for name, value in claims.items() if value is not None}, signed)


def reason(error: PluginError) -> str:
    return error.reason if isinstance(error, TokenError) else error.code


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_a_plugin_is_granted(case: dict[str, Any]) -> None:
    message = plugin_pb2.PluginConfig(
        plugin_name="my-plugin",
        customer_id="cus_1",
        features=OFFERED,
        token_keys=ISSUER.jwks,
        jwt=token(case["token"]) if "token" in case else "",
        lease=lease(case["lease"]) if "lease" in case else "",
    )
    manifest = OwnManifest(name="my-plugin")
    manifest.features.required = case.get("required", [])
    expected = case["expect"]
    if "refused" in expected:
        with pytest.raises((TokenError, FeatureNotAvailableError)) as caught:
            admit(message, manifest, at=AT)
        assert reason(caught.value) == expected["refused"]
        return
    config = admit(message, manifest, at=AT)
    assert (config.source, sorted(config.features), config.tier) == (
        expected["source"],
        expected["features"],
        expected["tier"],
    )
    assert config.offline == (config.source == "lease")
    assert (config.jwt, config.claims is not None) == ((message.jwt, True) if config.source == "token" else ("", False))


def test_a_lease_grants_no_more_than_the_host_offers() -> None:
    message = plugin_pb2.PluginConfig(
        customer_id="cus_1", features=["api_logging"], token_keys=ISSUER.jwks, lease=lease({})
    )
    assert admit(message, OwnManifest(name="my-plugin"), at=AT).features == {"api_logging"}


def test_a_lease_without_any_customer_named_is_refused() -> None:
    message = plugin_pb2.PluginConfig(features=OFFERED, token_keys=ISSUER.jwks, lease=lease({}))
    with pytest.raises(TokenError) as caught:
        admit(message, OwnManifest(name="my-plugin"), at=AT)
    assert caught.value.reason == "wrong_customer"
