"""docker/compose.yaml says what the code can do: its commands exist, its settings are known, its rights are few."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from kmcloud.roles import FILE_SUFFIX, ROLES, SECRETS, VARIABLE

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("kilometers")}
ENDS = {"migrate"}  # it runs once, before the others


def test_every_part_of_the_service_has_a_container() -> None:
    assert {"web", "worker", "builder", "signer", "beat", "postgres", "redis"} <= SERVICES.keys()
    assert {service["environment"][VARIABLE] for service in OURS.values()} == set(ROLES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_not_root_writes_nowhere_and_says_how_it_is(name: str) -> None:
    service = SERVICES[name]
    user, group = service["user"].split(":")
    assert int(user) > 0 and int(group) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service and "cap_add" not in service
    assert service["healthcheck"].get("disable", False) is (name in ENDS)
    assert name in ENDS or service["healthcheck"]["test"][0] == "CMD"
    assert name in OURS or not service["image"].endswith(("latest", service["image"].split(":")[0]))


@pytest.mark.parametrize("name", OURS)
def test_a_container_runs_a_command_there_is_with_options_it_takes(name: str) -> None:
    commands = [OURS[name]["command"]]
    if "manage.py" in OURS[name]["healthcheck"].get("test", []):
        commands.append(OURS[name]["healthcheck"]["test"][1:])
    for python, manage, command, *arguments in commands:
        assert (python, manage) == ("python", "manage.py")
        parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
        parser.parse_args(arguments)


@pytest.mark.parametrize("name", OURS)
def test_a_container_gets_the_secrets_of_its_role_by_file_and_no_other(name: str) -> None:
    service = OURS[name]
    variables: dict[str, str] = service["environment"]
    assert not SECRETS & variables.keys(), "a secret is written down"
    held = {variable.removesuffix(FILE_SUFFIX) for variable in variables} & SECRETS
    assert held <= ROLES[variables[VARIABLE]].secrets
    assert ROLES[variables[VARIABLE]].secrets - held <= {
        "KM_HSM_PIN",
        "KM_CLICKHOUSE_URL",
        "KM_EVENT_LOG_URL",
        "KM_OTLP_HEADERS",
        "KM_EMAIL_URL",
        "KM_OIDC_CLIENT_SECRET",
    }  # for who has such
    files = {path for variable, path in variables.items() if variable.endswith(FILE_SUFFIX)}
    assert files == {f"/run/secrets/{secret}" for secret in service["secrets"]}
    assert set(service["secrets"]) <= COMPOSE["secrets"].keys()


def test_only_the_signer_writes_the_registrys_keys_and_only_web_reads_them_too() -> None:
    mounts = {(name, each) for name, service in OURS.items() for each in service["volumes"] if "signers" in each}
    assert mounts == {("signer", "signers:/keys"), ("web", "signers:/keys:ro")}


def test_what_runs_strangers_code_cannot_reach_the_network() -> None:
    assert OURS["builder"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_what_is_mounted_is_declared_and_every_build_target_is_a_stage() -> None:
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == COMPOSE["volumes"].keys()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in OURS.values() if "build" in service} <= stages


@pytest.mark.parametrize("name", ["compose.yaml", "embedded.yaml", "Dockerfile"])
def test_every_setting_it_names_is_documented(name: str) -> None:
    documented = (ROOT / "docs" / "settings.md").read_text()
    named = set(re.findall(r"\bKM_[A-Z_]+[A-Z]\b", (DOCKER / name).read_text())) - {"KM_HOST"}  # compose's own
    missing = [each for each in named if f"`{each.removesuffix(FILE_SUFFIX)}`" not in documented]
    assert not missing


def test_the_image_holds_every_room_of_the_server() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE))
    rooms = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert rooms <= copied
