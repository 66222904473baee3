"""A source that is sent becomes a revision once; what is no source leaves nothing; nobody sees another's."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from km_protocol.kmpkg.source_archive import MEDIA_TYPE

from core.clock import now
from customers import accounts, api_keys
from customers.errors import FeatureNotAvailable
from customers.models import Customer
from customers.scopes import DEFAULT_SCOPES, Scope
from plugins_registry import queries, states, submissions, uploads
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import Plugin, Revision, Source
from tests.customers.answers import Call, code
from tests.plugins_registry.registry import NOON, TO_CERTIFIED, TO_SECURITY, archive, brought, submitted, upload

pytestmark = pytest.mark.usefixtures("own_storage")

URL = "/api/registry/submissions"
Send = Callable[..., tuple[int, Any]]


def key_of(customer: Customer) -> str:
    return api_keys.issue(customer, "author", scopes=[Scope.PLUGINS_SUBMIT], at=now()).secret


@pytest.fixture
def author(acme: Customer) -> str:
    """The key of an author at Acme (Pro)."""
    return key_of(acme)


@pytest.fixture
def stranger_author(globex: Customer) -> str:
    """The key of an author at Globex (Enterprise)."""
    return key_of(globex)


@pytest.fixture
def send(client: Client) -> Send:
    def post(data: bytes, key: str, query: str = "", **environ: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        answer = client.generic("POST", URL + query, data, content_type=MEDIA_TYPE, headers=headers, **environ)
        return answer.status_code, answer.json()

    return post


def test_a_source_is_submitted_and_followed(send: Send, call: Call, author: str, own_storage: Path) -> None:
    data = archive()
    status, made = send(data, author)
    assert status == 201, made
    assert (made["plugin"], made["version"], made["revision"], made["state"]) == ("slow-tools", "1.0.0", 1, "submitted")
    assert (made["created"], made["place_in_queue"], made["visibility"]) == (True, 1, "public")
    assert made["actions"] == ["withdraw"]
    kept = Source.objects.get(sha256=made["source_sha256"])
    with kept.file.open("rb") as file:
        assert file.read() == data
    assert [path.stat().st_size for path in own_storage.rglob("*.zip")] == [len(data)]
    assert call("GET", f"{URL}/{made['id']}", key=author)[1]["history"][0]["action"] == "submit"
    assert [each["id"] for each in call("GET", URL, key=author)[1]["submissions"]] == [made["id"]]


def test_the_same_source_again_is_the_same_revision(send: Send, author: str, own_storage: Path) -> None:
    first, again = send(archive(), author), send(archive(), author)
    assert (again[0], again[1]["id"], again[1]["created"]) == (200, first[1]["id"], False)
    assert Revision.objects.count() == 1
    assert len(list(own_storage.rglob("*.zip"))) == 1


def test_another_source_of_the_version_is_its_next_revision_and_takes_the_place(send: Send, author: str) -> None:
    first = send(archive(), author)[1]
    second = send(archive({"main.py": b"print('other')\n"}), author)[1]
    assert (second["revision"], second["state"]) == (2, "submitted")
    assert Revision.objects.get(public_id=first["id"]).state == State.SUPERSEDED


def test_an_answer_to_a_request_for_changes_keeps_its_place(acme: Customer, globex: Customer) -> None:
    first = submitted(acme)
    other = submitted(globex, archive(name="other-tools"), at=NOON + timedelta(hours=1))
    brought(first, (*TO_SECURITY, Action.REQUEST_CHANGES))
    assert queries.place_in_queue(other) == 1
    late = NOON + timedelta(hours=9)
    second = submitted(acme, archive({"main.py": b"1\n"}), at=late)
    assert (queries.place_in_queue(second), queries.place_in_queue(other)) == (1, 2)
    third = submitted(acme, archive({"main.py": b"2\n"}), at=late)  # nobody asked for this one
    assert queries.place_in_queue(third) == 2


def test_a_withdrawn_source_comes_back_to_the_end_of_the_queue(send: Send, call: Call, author: str) -> None:
    made = send(archive(), author)[1]
    assert call("POST", f"{URL}/{made['id']}/withdraw", key=author)[1]["state"] == "withdrawn"
    assert code(call("POST", f"{URL}/{made['id']}/withdraw", key=author)) == (409, "transition_refused")
    status, again = send(archive(), author)
    assert (status, again["id"], again["state"]) == (200, made["id"], "submitted")


def test_a_version_that_passed_takes_no_other_source(send: Send, acme: Customer, author: str) -> None:
    brought(submitted(acme), TO_CERTIFIED)
    assert code(send(archive({"main.py": b"evil\n"}), author)) == (409, "version_decided")
    assert send(archive(version="1.0.1"), author)[0] == 201


def test_nothing_is_ever_deleted(call: Call, acme: Customer, author: str) -> None:
    made = submitted(acme)
    assert call("DELETE", f"{URL}/{made.public_id}", key=author)[0] == 405


def chunked(data: bytes) -> dict[str, Any]:
    """What the web server makes of a body that is sent in chunks."""
    return {"CONTENT_LENGTH": "", "wsgi.input_terminated": True, "wsgi.input": io.BytesIO(data)}


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("../../evil.py", "print()")
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        made.addfile(tarfile.TarInfo("main.py"), io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "expected", "named"),
    [
        (b"", "invalid_source", "package_"),
        (b"hello", "invalid_source", "package_"),
        (zipped(), "invalid_source", "package_"),
        (tarred(), "invalid_source", "package_"),
        (archive()[:-30], "invalid_source", "package_"),
        (archive() + b"x", "invalid_source", "package_"),
        (b"x" + archive(), "invalid_source", "package_"),
        (archive({".env": b"KEY=1"}), "invalid_source", "source_not_source"),
        (archive({"dist/x.py": b"1"}), "invalid_source", "source_not_source"),
        (archive({"site/idna/core.py": b"1"}), "invalid_source", "source_ships_site"),
        (archive({"manifest.json": b"{}"}), "invalid_manifest", "$.name"),
        (archive(name="Not A Name"), "invalid_manifest", "$.name"),
        (archive(version="1.0.0+build"), "invalid_manifest", "$.version"),
        (archive(permissions={"root": True}), "invalid_manifest", "root"),
    ],
    ids=(
        "nothing",
        "text",
        "zip",
        "tar.gz",
        "truncated",
        "appended",
        "prepended",
        "hidden",
        "dist",
        "site",
        "empty manifest",
        "name",
        "build metadata",
        "permission",
    ),
)
def test_what_is_no_source_is_refused_by_its_rule(
    send: Send, author: str, own_storage: Path, data: bytes, expected: str, named: str
) -> None:
    answer = send(data, author)
    assert code(answer) == (400, expected)
    assert named in answer[1]["error"]["message"]
    assert not Plugin.objects.exists() and not Source.objects.exists() and not list(own_storage.rglob("*.zip"))


def test_a_damaged_byte_is_found_before_anything_is_kept(send: Send, author: str) -> None:
    data = bytearray(archive({"data.bin": bytes(range(256)) * 8}))
    data[60] ^= 1
    assert code(send(bytes(data), author))[0] == 400
    assert not Source.objects.exists()


def test_a_gigabyte_is_refused_before_it_is_read(send: Send, author: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_copy", lambda *_: pytest.fail("it was read"))
    assert code(send(b"PK", author, CONTENT_LENGTH=str(1 << 30))) == (413, "payload_too_large")


def test_what_arrives_is_counted_whatever_was_announced(
    send: Send, author: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 100)
    assert code(send(b"", author, **chunked(b"x" * 101))) == (413, "payload_too_large")


def test_an_upload_that_breaks_off_is_no_submission(send: Send, author: str) -> None:
    data = archive()
    cut = {"CONTENT_LENGTH": str(len(data)), "wsgi.input": io.BytesIO(data[:200])}
    assert code(send(b"", author, **cut)) == (400, "upload_truncated")
    assert not Source.objects.exists()


def test_a_chunked_upload_is_read_to_its_end(send: Send, author: str) -> None:
    assert send(b"", author, **chunked(archive()))[0] == 201


def test_a_laptops_key_submits_and_reads_nothing(send: Send, call: Call, acme: Customer, author: str) -> None:
    assert Scope.PLUGINS_SUBMIT not in DEFAULT_SCOPES
    laptop = api_keys.issue(acme, "laptop", at=now()).secret
    made = submitted(acme)
    assert code(send(archive(), laptop)) == (403, "missing_scope")
    assert code(call("GET", URL, key=laptop)) == (403, "missing_scope")
    assert code(call("GET", f"{URL}/{made.public_id}", key=laptop)) == (403, "missing_scope")
    assert code(call("GET", URL)) == (401, "missing_credentials")


def test_private_plugins_are_of_the_enterprise_tier(send: Send, author: str, stranger_author: str) -> None:
    assert code(send(archive(), author, "?visibility=private")) == (403, "feature_not_available")
    assert send(archive(), stranger_author, "?visibility=private")[1]["visibility"] == "private"
    assert send(archive(version="2.0.0"), stranger_author)[1]["visibility"] == "private"
    refused = send(archive(version="3.0.0"), stranger_author, "?visibility=public")
    assert code(refused) == (400, "invalid_visibility")
    assert code(send(archive(), author, "?visibility=secret")) == (400, "invalid_visibility")


def test_a_private_plugin_takes_no_revision_once_the_tier_is_gone(globex: Customer) -> None:
    submitted(globex, visibility="private")
    with pytest.raises(FeatureNotAvailable):
        data = upload(archive(version="2.0.0"))
        submissions.submit(globex, data, visibility="", private=False, actor="key:k", at=NOON)


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_nobody_else_sees_a_submission_at_any_address(
    call: Call, globex: Customer, author: str, stranger_author: str, visibility: str
) -> None:
    made = submitted(globex, visibility=visibility)
    one = f"{URL}/{made.public_id}"
    assert call("GET", one, key=stranger_author)[0] == 200
    for method, address, body in [
        ("GET", one, None),
        ("GET", f"{one}/diff", None),
        ("POST", f"{one}/withdraw", None),
        ("POST", f"{one}/appeal", {"text": "please"}),
    ]:
        theirs, none = call(method, address, body, author), call(method, address.replace("rev_", "rev_0"), body, author)
        assert code(theirs) == (404, "submission_not_found")
        assert theirs == none
    assert call("GET", URL, key=author)[1]["submissions"] == []
    assert call("GET", f"{URL}?plugin=slow-tools", key=author)[1]["submissions"] == []
    made.refresh_from_db()
    assert made.state == State.SUBMITTED


def test_a_private_plugin_is_in_nobody_elses_list_of_plugins(acme: Customer, globex: Customer) -> None:
    private = submitted(globex, visibility="private").version.plugin
    public = submitted(globex, archive(name="open-tools")).version.plugin
    assert set(queries.visible_plugins(globex)) == {private, public}
    assert set(queries.visible_plugins(acme)) == set(queries.visible_plugins(None)) == {public}


def test_that_a_private_name_exists_is_told_to_nobody(send: Send, globex: Customer, author: str) -> None:
    submitted(globex, visibility="private")
    assert send(archive(), author)[0] == 201
    third = key_of(accounts.create_customer("Initech", "enterprise", at=now()))
    assert code(send(archive(), third, "?visibility=private")) == (409, "name_taken")  # the public one of Acme


@pytest.mark.parametrize("name", ["console-logger", "km-tools", "kilometers-x", "official-tools", "kilometers"])
def test_official_names_are_for_the_official_publisher(
    send: Send, acme: Customer, author: str, settings: Any, name: str
) -> None:
    assert code(send(archive(name=name), author)) == (403, "name_reserved")
    settings.OFFICIAL_PUBLISHER = acme.public_id
    assert send(archive(name=name), author)[0] == 201


def test_a_public_name_belongs_to_one_organisation(send: Send, author: str, stranger_author: str) -> None:
    assert send(archive(), author)[0] == 201
    assert code(send(archive(version="9.0.0"), stranger_author)) == (409, "name_taken")


def test_one_author_does_not_fill_the_queue(send: Send, author: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MAX_UNDECIDED", 2)
    assert [send(archive(version=f"{number}.0.0"), author)[0] for number in (1, 2)] == [201, 201]
    assert code(send(archive(version="3.0.0"), author)) == (429, "too_many_submissions")


def test_pages_follow_one_another_and_filters_hold(call: Call, acme: Customer, author: str) -> None:
    made = [submitted(acme, archive(version=f"{number}.0.0")) for number in range(5)]
    states.transition(made[0].pk, Action.WITHDRAW, "system", NOON)
    first = call("GET", f"{URL}?limit=3", key=author)[1]
    second = call("GET", f"{URL}?limit=3&cursor={first['next']}", key=author)[1]
    shown = [each["id"] for each in first["submissions"] + second["submissions"]]
    assert shown == [each.public_id for each in reversed(made)]
    assert second["next"] is None
    withdrawn = call("GET", f"{URL}?state=withdrawn", key=author)[1]["submissions"]
    assert [each["id"] for each in withdrawn] == [made[0].public_id]
    for query in ("state=nonsense", "plugin=%00", "state=%00", "plugin=other"):
        assert call("GET", f"{URL}?{query}", key=author)[1]["submissions"] == []
    assert code(call("GET", f"{URL}?cursor=x", key=author)) == (400, "invalid_cursor")
    assert code(call("GET", f"{URL}?limit=0", key=author)) == (400, "invalid_limit")


def test_a_page_costs_the_same_however_long(
    call: Call, acme: Customer, author: str, django_assert_max_num_queries: Any
) -> None:
    submitted(acme)
    call("GET", URL, key=author)
    with django_assert_max_num_queries(4):  # the caller's proof is remembered; a page, its places
        call("GET", URL, key=author)
    for number in range(2, 12):
        submitted(acme, archive(version=f"{number}.0.0"))
    with django_assert_max_num_queries(4):
        assert len(call("GET", URL, key=author)[1]["submissions"]) == 11


def test_the_difference_is_to_the_last_approved_revision(call: Call, acme: Customer, author: str) -> None:
    approved = brought(submitted(acme, archive({"old.py": b"1\n"})), TO_CERTIFIED)
    later = submitted(acme, archive({"main.py": b"print('bye')\n", "logo.png": b"\x89\0"}, version="1.1.0"))
    status, answer = call("GET", f"{URL}/{later.public_id}/diff", key=author)
    assert (status, answer["compared_with"]) == (200, approved.public_id)
    files = {each["file"]: each for each in answer["files"]}
    assert {name: each["kind"] for name, each in files.items()} == {
        "logo.png": "added", "main.py": "changed", "manifest.json": "changed", "old.py": "removed",
    }  # fmt: skip
    assert "+print('bye')" in files["main.py"]["diff"] and files["main.py"]["added"] == 1
    assert not files["logo.png"]["shown"]


def test_an_archive_may_be_read_twice_and_is_never_overwritten(acme: Customer, own_storage: Path) -> None:
    made = submitted(acme)
    submitted(acme, archive(version="2.0.0"))
    with made.source.file.open("rb") as file:
        assert file.read() == archive()
    assert len(list(own_storage.rglob("*.zip"))) == 2


def test_a_full_storage_is_no_submission_and_can_be_sent_again(
    send: Send, author: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("django.core.files.storage.FileSystemStorage._save", full)
        assert code(send(archive(), author)) == (503, "unavailable")
    assert not Revision.objects.exists() and not Source.objects.exists()
    assert send(archive(), author)[0] == 201
