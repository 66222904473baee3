"""Who does what in production, each in a process or a container of its own, and which secrets it is given.

    ROLES["signing"]                    → Role(queues=("signing",), secrets={"KM_SIGNER_PASSPHRASE", "KM_HSM_PIN"}, …)
    environment_of("builds", os.environ)  → the environment without any secret, and KM_ROLE=builds

A build may take minutes and runs what strangers wrote, so it shares neither a process nor a secret with the others: the
worker of `builds` holds no key at all, and that of `signing` runs nothing but our own code. Without a role (on a
laptop, in management commands) a process does everything and holds everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

VARIABLE = "KM_ROLE"
WEB, BEAT = "web", "beat"
INGEST, BUILDS, SIGNING, MAINTENANCE = "ingest", "builds", "signing", "maintenance"  # roles and their queues
FILE_SUFFIX = "_FILE"  # of the variable that names a file with the secret

EVENTS = frozenset({"KM_CLICKHOUSE_URL"})  # for who stores, reads or deletes events, where they are in ClickHouse
LOG = frozenset({"KM_EVENT_LOG_URL"})  # for who appends to the event log and who drains it, where that is a broker
LETTERS = frozenset({"KM_EMAIL_URL"})  # for who sends letters: it holds the mail server's password
SEALING = frozenset({"KM_SEALING_KEY"})  # for who makes webhooks' secrets and who signs with them
EXPORT = frozenset({"KM_OTLP_HEADERS"})  # for who sends telemetry away: they hold the collector's key
SECRETS = (
    EVENTS
    | LOG
    | LETTERS
    | SEALING
    | EXPORT
    | {
        *("KM_SECRET_KEY", "KM_API_KEY_PEPPER", "KM_SIGNING_KEY_PASSPHRASE", "KM_SIGNER_PASSPHRASE", "KM_HSM_PIN"),
        *("KM_METRICS_TOKEN", "KM_OIDC_CLIENT_SECRET"),
    }
)


@dataclass(frozen=True, slots=True)
class Role:
    """`threads` run tasks of `queues`; one that `sweeps` also drains the inbox by itself."""

    queues: tuple[str, ...] = ()
    threads: int = 1
    sweeps: bool = False
    secrets: frozenset[str] = field(default_factory=frozenset)


EVERYTHING = Role((MAINTENANCE, INGEST, SIGNING, BUILDS), threads=4, sweeps=True, secrets=SECRETS)
"""On a laptop: one thread drains, one does what beat asks for, and two may be building for minutes."""

ROLES: Mapping[str, Role] = {
    # It signs tokens, and timestamps for laptops that ask when theirs is half spent.
    WEB: Role(secrets=SECRETS - EXPORT),
    # A drain is Python's work: a second thread would only wait.
    INGEST: Role((INGEST,), threads=1, sweeps=True, secrets=EVENTS | LOG),
    # Scans wait for their boxes.
    MAINTENANCE: Role((MAINTENANCE,), threads=2, secrets=EVENTS | LETTERS | SEALING | EXPORT),
    SIGNING: Role((SIGNING,), threads=1, secrets=frozenset({"KM_SIGNER_PASSPHRASE", "KM_HSM_PIN"})),
    BUILDS: Role((BUILDS,), threads=2),
    BEAT: Role(),
}
WORKERS = tuple(name for name, role in ROLES.items() if role.queues)


def role_called(name: str) -> Role:
    """The role; the one that does everything for "". Raises `KeyError` for one that is not there."""
    return ROLES[name] if name else EVERYTHING


def environment_of(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """`variables` for a process of the role `name`: without the secrets it has no use for."""
    kept_back = SECRETS - ROLES[name].secrets
    kept_back |= {variable + FILE_SUFFIX for variable in kept_back}
    return {key: value for key, value in variables.items() if key not in kept_back} | {VARIABLE: name}
