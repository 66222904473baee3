"""A unit of the user's own systemd (systemd.unit(5), systemd.service(5), systemd.syntax(7))."""

from __future__ import annotations

from pathlib import Path

from km_client.autostart.job import MARK, Job, Manager

NAME = "km-client-agent.service"
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "%": "%%"}


def manager(job: Job, config_home: Path) -> Manager:
    """`config_home` is `$XDG_CONFIG_HOME`, or `~/.config`."""
    directory = config_home / "systemd" / "user"
    user = ("systemctl", "--user")
    return Manager(
        "systemd",
        directory / NAME,
        unit(job),
        begin=((*user, "daemon-reload"), (*user, "enable", NAME)),
        end=((*user, "disable", "--now", NAME), (*user, "daemon-reload")),
        link=directory / "default.target.wants" / NAME,
    )


def unit(job: Job) -> str:
    """The file. An agent that finds another running, or nothing to do, ends: only a crash starts it again."""
    command = " ".join(_quoted(word).replace("$", "$$") for word in job.command)
    variables = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in job.environment.items())
    return f"""# {MARK}
[Unit]
Description=Kilometers agent: ships what km-client records
Documentation=man:km-client(1)

[Service]
Type=exec
ExecStart={command}
{variables}Restart=on-abnormal
RestartSec=30

[Install]
WantedBy=default.target
"""


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'
