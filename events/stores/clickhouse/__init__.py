"""Events in ClickHouse, reached over HTTP at `KM_CLICKHOUSE_URL`.

    store        `ClickhouseStore`, what `events.store.EventStore` promises
    connection   `Server`: queries, inserts and commands, and what becomes of failures
    schema       the table, and how it is brought up to date
    questions    the SQL of the reads

*Each event once.* ClickHouse has no unique key. The relational database keeps the keys of events
(`events.stores.keys`): the drain's transaction takes down the new ones, and before it commits their rows go to
ClickHouse. What ends the transaction after that (a crash, a lost connection) leaves rows there whose events the next
drain finds new again and inserts again, so it counts them; the table is a ReplacingMergeTree on (customer, id), which
keeps one row of a key, and until it has merged them every read does (`FINAL`).

*Nothing lost.* An insert is answered after ClickHouse has synced it to disk. A ClickHouse that is away, hangs or
refuses is Django's `OperationalError`, as a database that is away: the drain comes back, pages answer 503. Accepting
events never asks ClickHouse.

`clickhouse_connect` is imported with `connection`, so an installation that keeps its events elsewhere never loads it.
"""
