"""`init`, `plugins install|refresh|remove|list` and `doctor`, as a person meets the registry."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from tests.client.commands.conftest import Km
from tests.client.registry.conftest import Laptop
from tests.client.registry.registry_server import CUSTOMER, RegistryServer
from tests.client.registry.signed import SignedRegistry, Versioned

DIRECTOR_TIMESTAMP = f"director/{CUSTOMER}/timestamp.json"


def offered(server: RegistryServer, number: str = "1.2.0") -> None:
    server.registry.offer(CUSTOMER, Versioned.of(number, customer_id=CUSTOMER), version=number)
    server.registry.publish()


def begin(km: Km, server: RegistryServer, *flags: str) -> str:
    done = km("init", "--api-key", server.new_key(), "--api-url", server.url, *flags)
    assert done.code == 0, done.err
    return done.out + done.err


def test_init_pins_the_root_shows_its_fingerprint_and_installs(km: Km, server: RegistryServer) -> None:
    offered(server)
    said = begin(km, server)
    assert re.search(r"root, ([0-9a-f]{4} ){15}[0-9a-f]{4} is trusted from now on", said)
    assert "Installed checked 1.2.0, reviewed by 2." in said
    assert "trusted from now on" not in begin(km, server)  # another key of the same customer


def test_init_takes_the_root_from_a_file_and_believes_no_other(km: Km, server: RegistryServer, tmp_path: Path) -> None:
    offered(server)
    root = tmp_path / "root.json"
    root.write_bytes(SignedRegistry().files["catalog/1.root.json"])
    assert "no plugins were installed" in begin(km, server, "--registry-root", str(root))
    assert "No plugin" in km("plugins").out
    root.write_bytes(server.registry.files["catalog/1.root.json"])
    assert "is the one in the file you gave" in begin(km, server, "--registry-root", str(root))
    assert "1.2.0" in km("plugins").out


def test_a_registry_in_trouble_does_not_undo_init(km: Km, server: RegistryServer) -> None:
    offered(server)
    server.answer(f"director/{CUSTOMER}/timestamp.json", b"{}")
    said = begin(km, server)
    assert "no plugins were installed" in said and "hint:" in said
    assert km("config", "get", "api_url").out.strip() == server.url


def test_refresh_list_remove_and_install(km: Km, server: RegistryServer) -> None:
    begin(km, server, "--no-plugins")
    assert km("plugins", "refresh").code == 1  # nobody was trusted yet
    offered(server)
    begin(km, server)
    assert "Nothing to do" in km("plugins", "refresh").out
    listed = json.loads(km("plugins", "list", "--json").out)
    assert [(one["name"], one["standing"]["state"]) for one in listed["installed"]] == [("checked", "ok")]
    assert "Removed `checked`" in km("plugins", "remove", "checked").out
    assert "Nothing to do" in km("plugins", "refresh").out and "No plugin" in km("plugins").out
    assert "Installed checked 1.2.0" in km("plugins", "install", "checked").out
    offered(server, "1.3.0")
    said = json.loads(km("plugins", "refresh", "--json").out)
    assert [one["version"] for one in said["installed"]] == ["1.3.0"] and said["received_bytes"] > 0


def test_what_the_account_may_not_have_is_said(km: Km, server: RegistryServer) -> None:
    offered(server)
    begin(km, server)
    done = km("plugins", "install", "other-tool")
    assert done.code == 1 and "offers this account no `other-tool`" in done.err
    assert ["checked", "other-tool"] in server.ordered
    assert km("plugins", "remove", "other-tool").code == 1
    assert "cannot be a plugin's name" in km("plugins", "install", "../../etc").err


def test_install_waits_for_what_the_service_still_builds(km: Km, server: RegistryServer) -> None:
    server.states["checked"] = ["queued", "building", "ready"]
    offered(server)
    begin(km, server)
    assert len(server.ordered) == 3


def test_init_waits_for_a_repository_that_is_signed_for_the_first_time(km: Km, server: RegistryServer) -> None:
    offered(server)
    server.not_ready[DIRECTOR_TIMESTAMP] = 2
    said = begin(km, server)
    assert "Installed checked 1.2.0" in said and "warning" not in said


def test_nobody_waits_longer_than_was_said(km: Km, server: RegistryServer) -> None:
    offered(server)
    begin(km, server)
    server.not_ready[DIRECTOR_TIMESTAMP] = 1_000
    done = km("plugins", "refresh", "--wait", "0")
    assert done.code == 1 and "director is not ready" in done.err
    assert server.not_ready[DIRECTOR_TIMESTAMP] == 999


def test_a_package_in_quarantine_is_named_by_list_and_doctor(laptop: Laptop, km: Km) -> None:
    laptop.offer("1.0.0")
    begin(km, laptop.server)
    path = laptop.offer("1.1.0")
    file = next(key for key in laptop.registry.files if key.endswith(path.rpartition("/")[2]))
    laptop.server.answer(file, laptop.registry.files[file][:-1] + b"x")
    done = km("plugins", "refresh")
    assert done.code == 1 and "Not installed: checked 1.1.0" in done.out
    assert "In quarantine: checked 1.1.0" in km("plugins").out
    assert "kept in" in km("doctor").out
    assert laptop.versions() == {"checked": "1.0.0"}


def test_what_the_registry_took_back_is_named_by_list_and_doctor(laptop: Laptop, km: Km) -> None:
    laptop.offer("1.0.0")
    begin(km, laptop.server)
    laptop.registry.blocked = [{"name": "checked", "level": "hard", "reason": "it reads \x1b[31mfiles"}]
    laptop.registry.publish()
    assert "Does not run any more: checked: blocked: it reads \\x1b[31mfiles" in km("plugins", "refresh").out
    assert "blocked: it reads" in km("plugins").out
    assert "remove it: `km-client plugins remove checked`" in km("doctor").out


def test_what_is_blocked_softly_goes_on_is_named_everywhere_and_not_installed_anew(laptop: Laptop, km: Km) -> None:
    path = laptop.offer("1.0.0")
    begin(km, laptop.server)
    laptop.registry.blocked = [{"name": "checked", "level": "soft", "reason": "it is slow"}]
    laptop.withdraw(path)
    assert "Goes on, but is not installed anew anywhere: checked: it is slow" in km("plugins", "refresh").out
    assert "installed; the registry advises against it: it is slow" in km("plugins").out
    assert "km-client plugins remove checked" in km("doctor").out
    assert km("plugins", "remove", "checked").code == 0
    done = km("plugins", "install", "checked")
    assert done.code == 1 and "`checked` is blocked: it is slow" in done.err


def test_what_may_be_had_by_name_is_told_to_who_does_not_know_it(km: Km, server: RegistryServer) -> None:
    server.states |= {"checked": ["ready"], "other-tool": ["available"]}
    offered(server)
    assert "To be had as well: other-tool. `km-client plugins install NAME` installs one." in begin(km, server)
    assert "To be had as well: other-tool." in km("plugins", "refresh").out
    assert json.loads(km("plugins", "refresh", "--json").out)["available"] == ["other-tool"]
    assert "did you mean `other-tool`?" in km("plugins", "install", "other-tol").err
    assert km("plugins", "install", "checked").out == "checked 1.2.0 is installed already.\n"


def test_what_never_ran_can_be_looked_at_by_its_name(km: Km, server: RegistryServer) -> None:
    offered(server)
    begin(km, server)
    assert "checked 1.2.0" in km("plugins", "inspect", "checked").out
    assert json.loads(km("plugins", "permissions", "checked", "--json").out)
    assert "is installed and has not run yet" in km("plugins", "logs", "checked").err
    km("plugins", "remove", "checked")
    assert "no plugin `checked` is known" in km("plugins", "inspect", "checked").err
    assert "km-client plugins refresh" in km("plugins").out


def test_what_was_changed_here_is_named_before_it_runs_and_is_fetched_again(laptop: Laptop, km: Km) -> None:
    laptop.offer("1.0.0")
    begin(km, laptop.server)
    file = laptop.directory() / "plugin" / "main.py"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"#")
    assert "changed here: run `km-client plugins refresh`" in km("plugins").out
    assert json.loads(km("plugins", "list", "--json").out)["installed"][0]["is_whole"] is False
    assert "is not what was installed" in km("doctor").out
    assert "Installed checked 1.0.0" in km("plugins", "refresh").out
    assert "changed here" not in km("plugins").out and "is not what was installed" not in km("doctor").out


def test_a_full_disk_is_no_matter_of_permissions(
    km: Km, server: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(server)
    begin(km, server)

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("km_client.atomic_file.tempfile.mkstemp", full)
    done = km("plugins", "refresh")
    assert done.code == 1 and "No space left on device" in done.err and "make room there" in done.err
