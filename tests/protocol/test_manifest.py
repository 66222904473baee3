"""A manifest is read strictly, and everything wrong with it is said at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_protocol.errors import ManifestError, Problem, SettingsError, VersionError
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg import settings
from km_protocol.kmpkg.versions import Version, VersionRange

# The manifest of the plugin development guide, as it stands there.
GUIDE: dict[str, Any] = {
    "name": "my-plugin",
    "version": "1.0.0",
    "description": "Custom monitoring plugin for specific use case",
    "author": "Your Organization",
    "license": "MIT",
    "compatibility": {"kilometers_cli": ">=1.0.0", "go_version": ">=1.21"},
    "features": {"required": ["console_logging"], "optional": ["api_logging", "advanced_analytics"]},
    "permissions": {"network": True, "filesystem": False, "system": False},
    "configuration": {
        "schema": {
            "type": "object",
            "properties": {
                "log_level": {"type": "string", "enum": ["debug", "info", "warn", "error"], "default": "info"},
                "custom_setting": {"type": "string", "description": "Custom plugin setting"},
            },
        }
    },
    "build": {"go_build_flags": ["-ldflags", "-s -w"], "minimum_size": True, "debug_symbols": False},
    "security": {
        "customer_specific": True,
        "digital_signature": True,
        "jwt_validation": True,
        "api_authentication": True,
    },
}


def changed(**values: Any) -> bytes:
    """The guide's manifest with keys replaced; a key set to None is left out. `a__b` reaches into a section."""
    document = json.loads(json.dumps(GUIDE))
    for key, value in values.items():
        *sections, name = key.split("__")
        target = document
        for section in sections:
            target = target.setdefault(section, {})
        if value is None:
            del target[name]
        else:
            target[name] = value
    return json.dumps(document).encode()


def problems(data: bytes) -> tuple[Problem, ...]:
    with pytest.raises(ManifestError) as caught:
        manifests.parse(data)
    return caught.value.problems


def test_the_guides_manifest_is_read_as_it_stands() -> None:
    manifest = manifests.parse(json.dumps(GUIDE).encode())
    assert (manifest.name, str(manifest.version), manifest.runtime, manifest.entry) == (
        "my-plugin",
        "1.0.0",
        "go",
        "my-plugin",
    )
    assert manifest.permissions == manifests.Permissions(network=True)
    assert manifest.features.optional == ("api_logging", "advanced_analytics")
    assert manifest.build.go_build_flags == ("-ldflags", "-s -w")
    assert manifest.settings({}) == {"log_level": "info"}


def test_what_may_be_left_out_has_the_careful_default() -> None:
    document = {key: GUIDE[key] for key in ("name", "version", "description", "author", "license", "compatibility")}
    manifest = manifests.parse(json.dumps(document | {"permissions": {}}).encode())
    assert manifest.permissions == manifests.Permissions()
    assert manifest.security.jwt_validation and manifest.security.digital_signature
    assert manifest.settings({"anything": 1}) == {"anything": 1}


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"name": None}, "$.name", "is missing"),
        ({"name": "My Plugin"}, "$.name", "not of the right form"),
        ({"name": "../evil"}, "$.name", "not of the right form"),
        ({"name": "x" * 65}, "$.name", "65 characters"),
        ({"name": 7}, "$.name", "must be a string, not a number"),
        ({"name": "my-plugin\n"}, "$.name", "not of the right form"),
        ({"version": "1.0"}, "$.version", "not a semantic version"),
        ({"version": "01.0.0"}, "$.version", "not a semantic version"),
        ({"description": " "}, "$.description", "is empty"),
        ({"author": "a\u0007b"}, "$.author", "control character"),
        ({"author": None, "license": None}, "$.license", "is missing"),
        ({"permissions": None}, "$.permissions", "is missing"),
        ({"permissions__netwrok": True}, "$.permissions.netwrok", "is not a key"),
        ({"permissions__network": "true"}, "$.permissions.network", "must be true or false, not a string"),
        ({"permissions__network": 1}, "$.permissions.network", "must be true or false, not a number"),
        ({"permissions": [True]}, "$.permissions", "must be an object, not an array"),
        ({"compatibility": {}}, "$.compatibility.kilometers_cli", "is missing"),
        ({"compatibility__kilometers_cli": ">>1"}, "$.compatibility.kilometers_cli", "not a comparison"),
        ({"compatibility__go_version": ""}, "$.compatibility.go_version", "is empty"),
        ({"features__required": ["api_logging", "api_logging"]}, "$.features.required[1]", "listed already"),
        ({"features__required": ["api_logging"]}, "$.features.optional[0]", "listed already at $.features.required[0]"),
        ({"features__required": ["API"]}, "$.features.required[0]", "not a feature's name"),
        ({"features__optional": [{}]}, "$.features.optional[0]", "must be a string, not an object"),
        ({"features__required": [f"f{number}" for number in range(65)]}, "$.features.required", "65 items"),
        ({"runtime": "ruby"}, "$.runtime", "not a runtime"),
        ({"entry": "../my-plugin"}, "$.entry", "not a plain path"),
        ({"entry": "/bin/sh"}, "$.entry", "not a plain path"),
        ({"entry": "bin\\my-plugin"}, "$.entry", "not a plain path"),
        ({"entry": "bin//my-plugin"}, "$.entry", "not a plain path"),
        ({"entry": ".hidden"}, "$.entry", "not a plain path"),
        ({"entry": "bin/COM1.exe"}, "$.entry", "not a plain path"),
        ({"entry": "C:evil"}, "$.entry", "not a plain path"),
        ({"runtime": "python", "entry": "main"}, "$.entry", "not a Python file"),
        ({"build__go_build_flags": ["-toolexec=./evil"]}, "$.build.go_build_flags[0]", "not an allowed build flag"),
        ({"build__go_build_flags": ["-ldflags", "-extld=./evil"]}, "$.build.go_build_flags[1]", "not an allowed value"),
        (
            {"build__go_build_flags": ["-ldflags=-s -extldflags=-evil"]},
            "$.build.go_build_flags[0]",
            "not an allowed value",
        ),
        ({"build__go_build_flags": ["-overlay", "x.json"]}, "$.build.go_build_flags[0]", "not an allowed build flag"),
        ({"build__go_build_flags": ["-tags"]}, "$.build.go_build_flags[0]", "has no value"),
        ({"build__go_build_flags": "-s"}, "$.build.go_build_flags", "must be an array, not a string"),
        ({"security__jwt_validation": None, "security__jwt": True}, "$.security.jwt", "is not a key"),
        ({"homepage": "x"}, "$.homepage", "is not a key"),
        ({"configuration__schema": {"type": "array"}}, "$.configuration.schema.type", "settings are an object"),
        (
            {"configuration__schema": {"properties": {"a": {"type": "strnig"}}}},
            "$.configuration.schema.properties.a.type",
            "strnig",
        ),
        ({"configuration__schema": {"$ref": "https://x/"}}, "$.configuration.schema.$ref", "outside this schema"),
        (
            {"configuration__schema": {"properties": {"a": {"type": "integer", "default": "1"}}}},
            "$.configuration.schema.properties.a.default",
            "is not of type 'integer'",
        ),
        (
            {"configuration__schema": {"properties": {"a": {"pattern": "(a+)+$"}}}},
            "$.configuration.schema.properties.a.pattern",
            "very long to match",
        ),
        (
            {"configuration__schema": {"properties": {"a": {"pattern": "("}}}},
            "$.configuration.schema.properties.a.pattern",
            "not a regular expression",
        ),
    ],
)
def test_each_mistake_is_named_at_its_place(change: dict[str, Any], path: str, says: str) -> None:
    found = {problem.path: problem.message for problem in problems(changed(**change))}
    assert says in found[path], found


def test_all_problems_are_reported_together_in_the_order_of_the_file() -> None:
    data = changed(name="Bad", version="x", permissions__network="no", entry="/x", typo=1)
    assert [problem.path for problem in problems(data)] == [
        "$.name",
        "$.version",
        "$.entry",
        "$.permissions.network",
        "$.typo",
    ]
    with pytest.raises(ManifestError, match=r"\$\.name: .* \(and 4 more\)"):
        manifests.parse(data)


def test_a_misspelt_key_is_answered_with_the_right_one() -> None:
    assert problems(changed(permissions__netwrok=True))[0].hint == "did you mean `network`?"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff{}", "invalid UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[]", "must be an object, not an array"),
        (b'{"version": NaN}', "`NaN` is not a JSON number"),
        (b'{"version": -Infinity}', "`-Infinity` is not a JSON number"),
        (b'{"version": 1e999}', "out of range"),
        (b'{"version": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested deeper than 32"),
        (b"[" * 60_000, "nested too deeply"),
        (b" " * (64 * 1024 + 1), "at most 65,536 are read"),
    ],
)
def test_what_is_no_manifest_at_all_is_refused(data: bytes, says: str) -> None:
    assert says in problems(data)[0].message


def test_a_key_written_twice_is_refused_at_any_depth() -> None:
    data = changed().replace(b'"network": true', b'"network": false, "network": true')
    assert [problem.path for problem in problems(data)] == ["$.permissions.network"]
    assert "twice" in problems(data)[0].message


def test_half_a_character_is_refused() -> None:
    assert problems(changed(author="\ud800"))[0].path == "$.author"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_document_makes_the_reader_fail_otherwise(document: object) -> None:
    with pytest.raises(ManifestError):
        manifests.parse(json.dumps(document).encode())


@given(
    st.sampled_from(["name", "version", "entry", "features", "permissions", "configuration", "build", "security"]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_any_value_in_any_section_is_read_or_refused(key: str, value: object) -> None:
    try:
        manifests.parse(json.dumps(GUIDE | {key: value}).encode())
    except ManifestError as error:
        assert all(problem.path.startswith("$") for problem in error.problems)


@given(st.text())
def test_an_accepted_path_stays_within_the_plugin(text: str) -> None:
    if manifests.is_plain_path(text):
        assert not text.startswith("/") and ".." not in text.split("/") and "\\" not in text and ":" not in text


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.0.0", ["1.0.0", "2.0.0-rc.1"], ["0.9.9", "1.0.0-rc.1"]),
        (">=1.21", ["1.21.0", "1.26.8"], ["1.20.99"]),
        (">= 1.2, <2", ["1.2.0", "1.99.0"], ["2.0.0", "1.1.9"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["2.0.0", "1.2.2"]),
        ("^0.2.3", ["0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("~1.2.3", ["1.2.9"], ["1.3.0"]),
        ("~1", ["1.9.0"], ["2.0.0"]),
        ("1.2.3", ["1.2.3", "1.2.3+build"], ["1.2.4"]),
        ("!=1.2.3", ["1.2.4"], ["1.2.3"]),
        ("*", ["0.0.1"], []),
    ],
)
def test_a_range_admits_what_it_says(text: str, inside: list[str], outside: list[str]) -> None:
    wanted = VersionRange.parse(text)
    assert all(wanted.contains(Version.parse(version)) for version in inside)
    assert not any(wanted.contains(Version.parse(version)) for version in outside)


@pytest.mark.parametrize("text", ["", " ", ">=", ">=x", ">=1.2.3.4", "=>1.0", "1..2", "latest", ">1.0.0-", "1" * 200])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(VersionError):
        VersionRange.parse(text)


def test_pre_releases_order_as_semver_says() -> None:
    texts = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    assert [str(version) for version in sorted(map(Version.parse, reversed(texts)))] == texts


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "level": {"enum": ["low", "high"], "default": "low"},
        "limits": {"type": "object", "properties": {"most": {"type": "integer", "default": 5}}},
    },
    "additionalProperties": False,
}


def test_defaults_are_applied_also_within_objects_and_never_shared() -> None:
    first = settings.apply(SCHEMA, {})
    assert first == {"level": "low", "limits": {"most": 5}}
    first["limits"]["most"] = 6
    assert settings.apply(SCHEMA, {})["limits"] == {"most": 5}
    assert settings.apply(SCHEMA, {"limits": {"most": 7}})["limits"] == {"most": 7}


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.apply(SCHEMA, {"level": "loud", "limits": {"most": "x"}, "typo": 1})
    assert [problem.path for problem in caught.value.problems] == ["$", "$.level", "$.limits.most"]
