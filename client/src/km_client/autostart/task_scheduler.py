"""A task of Windows' Task Scheduler (schema version 1.2). The file is tested, its commands on no Windows."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree as Xml

from km_client.autostart.job import MARK, Job, Manager

NAME = "Kilometers agent"
NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


def manager(job: Job, directory: Path, user: str) -> Manager:
    """`directory` is where the file may stay; `user` is `DOMAIN\\name`, who signs in."""
    file = directory / "sign-in-task.xml"
    task = ("schtasks", "/Create", "/TN", NAME, "/XML", str(file), "/F")
    return Manager(
        "Task Scheduler", file, definition(job, user), begin=(task,), end=(("schtasks", "/Delete", "/TN", NAME, "/F"),)
    )


def definition(job: Job, user: str) -> str:
    """The file. A task has no variables of its own: `cmd` sets those that move the user's directories, if any."""
    task = Xml.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    about = Xml.SubElement(task, "RegistrationInfo")
    Xml.SubElement(about, "Description").text = f"Ships what km-client records. {MARK}"
    trigger = Xml.SubElement(Xml.SubElement(task, "Triggers"), "LogonTrigger")
    Xml.SubElement(trigger, "UserId").text = user
    principal = Xml.SubElement(Xml.SubElement(task, "Principals"), "Principal", {"id": "Author"})
    for name, value in (("UserId", user), ("LogonType", "InteractiveToken"), ("RunLevel", "LeastPrivilege")):
        Xml.SubElement(principal, name).text = value
    settings = Xml.SubElement(task, "Settings")
    for name, value in (
        ("MultipleInstancesPolicy", "IgnoreNew"),
        ("DisallowStartIfOnBatteries", "false"),
        ("StopIfGoingOnBatteries", "false"),
        ("ExecutionTimeLimit", "PT0S"),
        ("Hidden", "true"),
    ):
        Xml.SubElement(settings, name).text = value
    action = Xml.SubElement(Xml.SubElement(task, "Actions", {"Context": "Author"}), "Exec")
    command, arguments = _command(job)
    Xml.SubElement(action, "Command").text = command
    Xml.SubElement(action, "Arguments").text = arguments
    Xml.indent(task)
    # `schtasks` hands the text on as UTF-16, where a declaration of another encoding is an error: so none, and ASCII.
    return f'<?xml version="1.0"?>\n{Xml.tostring(task).decode()}\n'


def _command(job: Job) -> tuple[str, str]:
    program, *arguments = job.command
    if not job.environment:
        return program, subprocess.list2cmdline(arguments)
    settings = "".join(f'set "{name}={value}" && ' for name, value in job.environment.items())
    return "cmd.exe", f'/d /s /c "{settings}{subprocess.list2cmdline(job.command)}"'
