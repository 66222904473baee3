"""A property list of the user's own launchd (launchd.plist(5)). The file is tested, its commands on no Mac."""

from __future__ import annotations

import plistlib
from pathlib import Path

from km_client.autostart.job import MARK, Job, Manager

LABEL = "kilometers.km-client.agent"


def manager(job: Job, home: Path, user: int) -> Manager:
    """`user` is the user's number, by which launchd knows their session."""
    file = home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    session = f"gui/{user}"
    forget = ("launchctl", "bootout", f"{session}/{LABEL}")
    return Manager(
        "launchd",
        file,
        agent(job),
        begin=(("launchctl", "bootstrap", session, str(file)),),
        end=(forget,),
        renew=(forget,),  # launchd refuses what it heeds already
    )


def agent(job: Job) -> str:
    """The file. An agent that finds another running, or nothing to do, ends: only a crash starts it again."""
    wanted = {
        "Label": LABEL,
        "ProgramArguments": list(job.command),
        "EnvironmentVariables": job.environment,
        "RunAtLoad": True,
        "KeepAlive": {"Crashed": True},
        "ThrottleInterval": 30,
        "ProcessType": "Background",
    }
    head, line, rest = plistlib.dumps(wanted, sort_keys=False).decode().partition("<plist")
    return f"{head}<!-- {MARK} -->\n{line}{rest}"
