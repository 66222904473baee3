"""What `plugins list`, `status` and `doctor` are told: each plugin as it stands, with why it does not run.

    book.write([report_of(seat, access, status, now=now)], accounts, now=now)      agent/plugins.json, replaced

What plugins did stays told after they ended, and after the agent did: the newest of each name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from km_client.agent.plugin_seat import ENDED, Seat
from km_client.plugins import report
from km_client.plugins.report import BARRED, NOT_ENTITLED, UNAVAILABLE, AccountReport, PluginReport, Report, Trouble
from km_client.plugins.status import PluginStatus

if TYPE_CHECKING:
    from km_client.agent.plugin_config import Access

REPORT_FILE = report.FILE_NAME
NOT_RUNNING = "not_running"  # why an event did not reach a plugin: nobody knew yet whether the plugin may run
MOST_ENDED = 50


class ReportBook:
    """The file, with those that ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended: dict[str, PluginReport] | None = None  # read when first needed

    def remember(self, ended: PluginReport) -> None:
        """How a plugin stood when no session wanted it any more."""
        before = self._before()
        before.pop(ended.key, None)
        before[ended.key] = _at_rest(ended)
        while len(before) > MOST_ENDED:
            del before[next(iter(before))]

    def write(self, seated: Sequence[PluginReport], accounts: Sequence[AccountReport], *, now: datetime) -> bool:
        """Whether it could be written. Where nothing ever ran, there is nothing to write."""
        here = {row.key for row in seated}
        rows = [*seated, *(row for key, row in self._before().items() if key not in here)]
        if not rows and not accounts:
            return True
        return report.write(self._path, Report(now, rows, list(accounts)))

    def _before(self) -> dict[str, PluginReport]:
        if self._ended is None:
            told = report.read(self._path)
            self._ended = {row.key: _at_rest(row) for row in told.plugins} if told else {}
        return self._ended


def report_of(seat: Seat, access: Access, status: PluginStatus | None, *, now: datetime) -> PluginReport:
    """The plugin of `seat` at `now`. `status` is the supervisor's, `None` if it never started there."""
    told = _stands(seat, status, now)
    told.tier = access.entitled.tier
    told.account = seat.account.report().key if seat.account else ""
    told.sessions = sorted(seat.runs.values())
    if seat.spec:
        optional = frozenset(seat.spec.manifest.features.optional)
        granted = access.features(seat.spec.manifest)
        told.features, told.withheld_features = sorted(granted), sorted(optional - granted)
        told.origin = seat.spec.origin
    if seat.missed:
        told.dropped[NOT_RUNNING] = told.dropped.get(NOT_RUNNING, 0) + seat.missed
    if seat.missing:
        told.state, told.missing_features = NOT_ENTITLED, sorted(seat.missing)
    if seat.trouble:
        told.trouble = Trouble.of(seat.trouble)
    if seat.barred:
        told.state, told.trouble = report.barred_state(seat.barred.code), Trouble.of(seat.barred)
    return told


def report_now(seat: Seat, status: PluginStatus | None, now: datetime) -> PluginReport:
    """`report_of` with what its account may do at this moment."""
    from km_client.agent.plugin_config import Access  # noqa: PLC0415 - loads protobuf

    return report_of(seat, Access.of(seat), status, now=now)


def _stands(seat: Seat, status: PluginStatus | None, now: datetime) -> PluginReport:
    spec = seat.spec
    if spec is None:
        return PluginReport(seat.key, seat.key, UNAVAILABLE, path=str(seat.path))
    if status is not None:
        return report.plugin_report(status, now=now, runtime=spec.manifest.runtime)
    return PluginReport(
        seat.key,
        spec.name,
        UNAVAILABLE if seat.trouble else "new",
        version=str(spec.manifest.version),
        path=str(seat.path),
        runtime=spec.manifest.runtime,
        waiting=len(seat.kept),
        network=spec.permissions.network,
        filesystem=spec.permissions.filesystem,
        system=spec.permissions.system,
    )


def _at_rest(row: PluginReport) -> PluginReport:
    """As it is remembered: its process is gone, its counts and its troubles are not."""
    state = row.state if row.state in {*ENDED, *BARRED, NOT_ENTITLED, UNAVAILABLE} else "stopped"
    return report.as_ended(row, state)
