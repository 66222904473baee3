"""The audit log shows what was done to it behind the program's back, and two writers at once keep one chain."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from core.clock import now
from customers import accounts, audit, audit_chain, audit_log
from customers.audit_chain import GENESIS
from customers.models import AuditChain, AuditEntry, Customer
from tests.events.databases import KINDS, real_database


@pytest.fixture
def chain(acme: Customer, moment: datetime) -> str:
    """Five entries of a customer, with the one its making left."""
    for number in range(4):
        audit.record("thing.done", subject=f"thing:{number}", at=moment, actor="user:ann", customer=acme, n=number)
    return acme.public_id


def sql(statement: str, *values: str | int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_each_entry_holds_the_hash_of_the_one_before(chain: str) -> None:
    rows = list(AuditEntry.objects.filter(customer_public_id=chain).order_by("number"))
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert [row.previous for row in rows] == [GENESIS, *(row.hash for row in rows[:-1])]
    assert audit_chain.verify(chain) == audit_chain.Verdict(chain, 5, rows[-1].hash)


def test_each_customer_has_a_chain_and_so_has_nobody(chain: str, moment: datetime) -> None:
    audit.record("tier.changed", subject="tier:pro", at=moment)
    other = accounts.create_customer("Globex", "pro", at=moment)
    counted = {verdict.chain: verdict.entries for verdict in audit_chain.verify_all()}
    assert counted == {"": 1, chain: 5, other.public_id: 1}


TAMPERING: dict[str, tuple[list[str], int]] = {
    "a changed action": (["UPDATE customers_auditentry SET action = 'thing.undone' WHERE number = 3"], 3),
    "a changed actor": (["UPDATE customers_auditentry SET actor = 'user:bob' WHERE number = 2"], 2),
    "changed details": (["UPDATE customers_auditentry SET details = '{\"n\": 9}' WHERE number = 3"], 3),
    "a moment later": (["UPDATE customers_auditentry SET at = '2020-01-01 00:00:00' WHERE number = 4"], 4),
    "an entry gone": (["DELETE FROM customers_auditentry WHERE number = 3"], 4),
    "the first gone": (["DELETE FROM customers_auditentry WHERE number = 1"], 2),
    "the last gone": (["DELETE FROM customers_auditentry WHERE number = 5"], 5),
    "two in each other's place": (
        [
            "UPDATE customers_auditentry SET number = 99 WHERE number = 2",
            "UPDATE customers_auditentry SET number = 2 WHERE number = 3",
            "UPDATE customers_auditentry SET number = 3 WHERE number = 99",
        ],
        2,
    ),
    "one more at the end": (["{insert} 6, 'x', 'y' {rest}"], 6),
    "one more with a number twice": (["{insert} 3, 'x', 'y' {rest}"], 3),
    "one that never had a number": (["{insert} 0, '', '' {rest}"], 0),
    "another end": (["UPDATE customers_auditchain SET head = 'x'"], 5),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_what_is_done_behind_the_programs_back_is_found_at_its_place(name: str, chain: str) -> None:
    statements, number = TAMPERING[name]
    columns = "customer_public_id, at, actor, action, subject, details"
    insert = f"INSERT INTO customers_auditentry (number, previous, hash, {columns}) SELECT"
    rest = f", {columns} FROM customers_auditentry WHERE number = 1"
    for statement in statements:
        sql(statement.replace("{insert}", insert).replace("{rest}", rest))
    fault = audit_chain.verify(chain).fault
    assert fault is not None
    assert (fault.chain, fault.number) == (chain, number)


def test_a_chain_rewritten_whole_is_found_by_a_head_kept_elsewhere(
    chain: str, acme: Customer, moment: datetime, tmp_path: Path
) -> None:
    kept = tmp_path / "heads.json"
    call_command("verify_audit", export=kept, stdout=StringIO())
    audit.record("thing.done", subject="thing:9", at=moment, customer=acme)
    call_command("verify_audit", heads=kept, stdout=StringIO())
    rewrite(chain)
    assert audit_chain.verify(chain).fault is None
    with pytest.raises(CommandError, match=r"entry 5.*exported head"):
        call_command("verify_audit", heads=kept)


def rewrite(chain: str) -> None:
    """What somebody who holds the database and knows this program can do: another past, with hashes that fit."""
    previous = GENESIS
    for row in AuditEntry.objects.filter(customer_public_id=chain).order_by("number").values(*audit_chain.COLUMNS):
        row |= {"previous": previous, "actor": "user:nobody"}
        previous = audit_chain.hash_of(row)
        sql("UPDATE customers_auditentry SET previous = %s, hash = %s, actor = %s WHERE id = %s",
            row["previous"], previous, "user:nobody", row["id"])  # fmt: skip
    AuditChain.objects.filter(key=chain).update(head=previous)


def test_the_command_says_unbroken_or_names_the_first_broken_entry_and_fails(chain: str) -> None:
    out = StringIO()
    call_command("verify_audit", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {"audit_log": "unbroken", "chains": "1", "entries": "5"}
    sql("UPDATE customers_auditentry SET subject = 'thing:7' WHERE number IN (2, 4)")
    with pytest.raises(CommandError, match=f"`{chain}` breaks at entry 2"):
        call_command("verify_audit")


def test_a_chain_lost_whole_is_found_by_its_kept_head(chain: str, tmp_path: Path) -> None:
    kept = tmp_path / "heads.json"
    call_command("verify_audit", export=kept, stdout=StringIO())
    sql("DELETE FROM customers_auditentry")
    sql("DELETE FROM customers_auditchain")
    with pytest.raises(CommandError, match="5 entries"):
        call_command("verify_audit", heads=kept)


def test_an_exported_line_holds_all_its_hash_is_made_of(chain: str, acme: Customer) -> None:
    lines = [json.loads(line) for line in audit_log.export(acme)]
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5]
    for line in lines:
        columns = line | {"customer_public_id": line["chain"], "at": datetime.fromisoformat(line["at"])}
        assert audit_chain.hash_of(columns) == line["hash"]


def test_details_no_canonical_form_has_a_spelling_for_are_kept_as_text(acme: Customer, moment: datetime) -> None:
    entry = audit.record("thing.done", subject="t", at=moment, customer=acme, share=0.1, huge=10**30, deep={"x": [1.5]})
    assert entry.details == {"share": "0.1", "huge": "1" + "0" * 30, "deep": {"x": ["1.5"]}}
    assert audit_chain.verify(acme.public_id).fault is None


def test_entries_written_before_there_were_chains_are_chained_in_their_order(chain: str) -> None:
    sql("UPDATE customers_auditentry SET number = 0, previous = '', hash = ''")
    sql("DELETE FROM customers_auditchain")
    assert audit_chain.verify(chain).fault is not None
    migration = __import__("importlib").import_module("customers.migrations.0003_chain_audit_entries")
    migration.chain(apps, type("Editor", (), {"connection": connection}))
    assert audit_chain.verify(chain).fault is None
    audit_again = AuditChain.objects.get(key=chain)
    assert audit_again.entries == 5


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


def test_writers_at_once_keep_one_chain(database: str) -> None:
    customer = accounts.create_customer("Acme", "pro", at=now())
    writers, each = 6, 8

    def write(writer: int) -> None:
        for number in range(each):
            with transaction.atomic():
                audit.record("thing.done", subject=f"{writer}:{number}", at=now(), customer=customer)
                if number % 4 == 3:
                    audit.record("tier.changed", subject=f"{writer}:{number}", at=now())

    in_threads(writers, write)
    verdict = audit_chain.verify(customer.public_id)
    assert (verdict.entries, verdict.fault) == (1 + writers * each, None)
    nobodys = audit_chain.verify("")
    assert (nobodys.entries, nobodys.fault) == (writers * 2, None)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
