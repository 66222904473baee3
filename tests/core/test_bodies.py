"""Bodies become structs, or an error that names the place."""

from __future__ import annotations

import msgspec
import pytest
from django.test import RequestFactory, override_settings

from core import bodies
from core.errors import InvalidRequest, PayloadTooLarge


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    name: str


def test_a_good_body_is_decoded() -> None:
    assert bodies.decode(b'{"name": "a"}', Shape) == Shape("a")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "truncated"),
        (b'{"name": 7}', "$.name"),
        (b"{}", "name"),
        (b'{"name": "a", "colour": 1}', "colour"),
        (b'{"name": "\xff"}', "UTF-8"),
    ],
)
def test_a_bad_body_is_refused_by_name(body: bytes, named: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bodies.decode(body, Shape)
    assert named.lower() in refused.value.message.lower()


def test_nesting_that_would_exhaust_the_stack_is_refused_not_crashed_on() -> None:
    class Loose(msgspec.Struct):
        name: str = ""

    with pytest.raises(InvalidRequest, match="deep"):
        bodies.decode(b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", Loose)


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_no_body_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(bodies.MissingBody) as refused:
        bodies.decode(body, Shape)
    assert (refused.value.status, refused.value.code) == (400, "missing_body")


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000)
def test_a_body_over_the_limit_is_413_not_a_crash() -> None:
    request = RequestFactory().post("/", data=b"x" * 2000, content_type="application/json")
    with pytest.raises(PayloadTooLarge):
        bodies.read(request, Shape)
