"""Tools with their definitions, and plugins with their versions, as many as pages must bear. After Django is set up.

tools(widest, at=moment)          10,000 of 40 servers; each tenth has changed, each twentieth waits for a look
history(busiest, at=moment)       one tool whose definition changed thirty times
plugins(busiest, at=moment)       a catalog of 200 plugins with ten versions each, and own submissions in review
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from benchmarks._busy_traffic import DAYS, SERVERS, WIDE_SERVERS, WIDE_TOOLS, wide_tool
from benchmarks._event_load import TOOLS, WORDS
from customers.models import Customer
from events.definitions_models import Tool, ToolChange, ToolDefinition, ToolServer
from plugins_registry.models import (
    BuildState,
    CheckRun,
    CustomerBuild,
    Finding,
    PayloadBuild,
    Plugin,
    Revision,
    Severity,
    Source,
    Version,
)
from plugins_registry.states import State

HISTORY = 30  # definitions of one tool
PLUGINS, VERSIONS, SUBMISSIONS, FINDINGS = 200, 10, 60, 30
_BATCH = 2_000
_DAY = timedelta(days=1)


def tools(customer: Customer, *, at: datetime) -> None:
    """The widest customer's."""
    begun = at - DAYS * _DAY
    servers = ToolServer.objects.bulk_create(
        ToolServer(
            customer_id=customer.pk,
            name=f"gateway-{number}",
            first_seen=begun,
            last_seen=at,
            listed_at=at - _DAY,
            known_since=begun,
        )
        for number in range(WIDE_SERVERS)
    )
    rows = Tool.objects.bulk_create(
        [
            Tool(
                server=servers[number % WIDE_SERVERS],
                customer_id=customer.pk,
                name=wide_tool(number)[1],
                first_seen=begun,
                last_seen=at - (2 * _DAY if number % 50 == 0 else timedelta()),
                changed_at=at - _DAY if number % 10 == 0 else None,
            )
            for number in range(WIDE_TOOLS)
        ],
        batch_size=_BATCH,
    )
    first = _defined(rows, 0, begun, at)
    changed = [each for number, each in enumerate(rows) if number % 10 == 0]
    _changes(changed, first[::10], _defined(changed, 1, at - _DAY, at), at)


def history(customer: Customer, *, at: datetime) -> None:
    """The first tool of the busiest customer's first server."""
    begun = at - DAYS * _DAY
    server = ToolServer.objects.create(
        customer_id=customer.pk, name=SERVERS[0], first_seen=begun, last_seen=at, listed_at=at, known_since=begun
    )
    tool = Tool.objects.create(
        server=server, customer_id=customer.pk, name=TOOLS[0], first_seen=begun, last_seen=at, changed_at=at
    )
    before = _defined([tool], 0, begun, begun)
    for number in range(1, HISTORY):
        moment = begun + number * _DAY
        now = _defined([tool], number, moment, moment, parameters=40)
        _changes([tool], before, now, moment)
        before = now


def _defined(
    rows: Sequence[Tool], number: int, first_seen: datetime, last_seen: datetime, parameters: int = 6
) -> list[ToolDefinition]:
    made = []
    for row in rows:
        body = _body(row.name, number, parameters)
        made.append(
            ToolDefinition(
                tool=row,
                customer_id=row.customer_id,
                digest=hashlib.sha256(body.encode()).hexdigest(),
                body=body,
                size=len(body),
                is_cut=False,
                first_seen=first_seen,
                last_seen=last_seen,
                event_id=UUID(int=row.pk),
            )
        )
    return ToolDefinition.objects.bulk_create(made, batch_size=_BATCH)


def _body(name: str, number: int, parameters: int) -> str:
    words = " ".join(WORDS[(number + place) % len(WORDS)] for place in range(20 * parameters))
    properties = {
        f"{WORDS[place % len(WORDS)]}_{place}": {"type": "string", "description": words[: 200 + number]}
        for place in range(parameters)
    }
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": sorted(properties)[:2]}
    return json.dumps({"name": name, "description": words, "inputSchema": schema}, sort_keys=True)


def _changes(
    rows: Sequence[Tool], before: Sequence[ToolDefinition], now: Sequence[ToolDefinition], at: datetime
) -> None:
    ToolChange.objects.bulk_create(
        [
            ToolChange(
                customer_id=row.customer_id,
                tool=row,
                definition=new,
                before=old,
                kind=ToolChange.Kind.CHANGED,
                at=at,
                noticed_at=at,
                accepted_at=at if number % 2 else None,
                accepted_by="user:member-0@bench.example" if number % 2 else "",
            )
            for number, (row, old, new) in enumerate(zip(rows, before, now, strict=True))
        ],
        batch_size=_BATCH,
    )


def plugins(customer: Customer, *, at: datetime) -> None:
    """Published ones of ours, and the customer's own on their way."""
    source = Source.objects.create(sha256="0" * 64, size=1)
    made = Plugin.objects.bulk_create(Plugin(name=f"plugin-{number:04d}") for number in range(PLUGINS))
    published = _revisions(made, source, VERSIONS, State.PUBLISHED)
    payloads = PayloadBuild.objects.bulk_create(
        [
            PayloadBuild(
                revision=each,
                platform="linux-amd64",
                state=BuildState.BUILT,
                payload_digest=hashlib.sha256(str(each.pk).encode()).hexdigest(),
                log="built\n" * 2_000,
            )
            for each in published
        ],
        batch_size=200,
    )
    CustomerBuild.objects.bulk_create(
        [
            CustomerBuild(
                payload=each,
                customer=customer,
                state=BuildState.BUILT,
                sha256=each.payload_digest,
                size=3_104_221,
                built_at=at,
                log="built\n" * 2_000,
            )
            for each in payloads[:500]
        ],
        batch_size=200,
    )
    own = Plugin.objects.bulk_create([Plugin(name=f"own-{each}", owner=customer) for each in range(SUBMISSIONS)])
    submitted = _revisions(own, source, 1, State.SECURITY_REVIEW)
    Finding.objects.bulk_create(finding for each in submitted for finding in _findings(each))
    CheckRun.objects.bulk_create(
        CheckRun(revision=each, check_name=name, state=CheckRun.State.PASSED, detail="")
        for each in (*submitted, *published[:VERSIONS])
        for name in ("manifest", "bandit", "licences", "secrets")
    )


def _revisions(rows: Sequence[Plugin], source: Source, versions: int, state: State) -> list[Revision]:
    numbers = Version.objects.bulk_create(
        [Version(plugin=plugin, number=f"1.{number}.0") for plugin in rows for number in range(versions)]
    )
    return Revision.objects.bulk_create(
        [
            Revision(
                version=version,
                number=1,
                source=source,
                manifest_json=_manifest(version.plugin.name, version.number),
                platforms=["linux-amd64"],
                state=state,
                submitted_by="system",
            )
            for version in numbers
        ],
        batch_size=_BATCH,
    )


def _manifest(name: str, number: str) -> str:
    document = {
        "name": name,
        "version": number,
        "description": "Looks at every call and tells of those that took long.",
        "author": "Acme",
        "license": "MIT",
        "runtime": "python",
        "compatibility": {"kilometers_cli": ">=0.1.0"},
        "features": {"required": ["console_logging"], "optional": []},
        "permissions": {"network": True, "filesystem": False, "system": False},
    }
    return json.dumps(document)


def _findings(revision: Revision) -> Iterator[Finding]:
    for number in range(FINDINGS):
        yield Finding(
            revision=revision,
            check_name="bandit",
            rule="B307",
            severity=Severity.MEDIUM,
            file="main.py",
            line=number,
            message="Use of possibly insecure function",
            hint="use ast.literal_eval",
            fingerprint=f"{number:064x}",
        )
