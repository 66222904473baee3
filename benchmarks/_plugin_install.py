"""What it takes a laptop to install a plugin: the real client, the real web server, a package of 3 MB.

    report(registry, directory, moment)      {"install_3mb_ms": 113.0, "install_3mb_command_ms": 498.0, …}

`install_3mb_ms` is the client's own work, with a refresh of both repositories, the download over loopback, every check
and the activation. `install_3mb_command_ms` is `km-client plugins install` as a person waits for it: beside that a new
process, an access token, and asking the service to have the build ready. Imported after Django is set up.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from km_client.registry import accounts, activation
from km_client.registry.link import opened
from km_client.registry.provisioning import Wanted, provision

from plugins_registry.models import Approval, PayloadBuild, RepositoryState
from plugins_registry.repositories import mark_dirty
from plugins_registry.signing.signers import package_signer
from tests.client.registry.signed import Versioned
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded

NAME, VERSION = "three-megabytes", "1.0.0"
SIZE = 3_000_000
TIMES = 15  # installs of each kind; the median is told
START_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent
KM_CLIENT = str(Path(sys.executable).with_name("km-client"))


def report(registry: Founded, directory: Path, moment: datetime) -> dict[str, Any]:
    """Milliseconds, the median and the most of each, and the package's bytes."""
    key, size = _publish(registry, moment)
    laptop = {"KM_DATA_DIR": str(directory / "laptop" / "data"), "KM_CONFIG_DIR": str(directory / "laptop" / "config")}
    with _web(directory / "web.log") as url:
        _km(laptop, "init", "--api-key", key, "--api-url", url)
        figures = _told("install_3mb", [_install(laptop) for _ in range(TIMES)])
        figures |= _told("install_3mb_command", [_command(laptop) for _ in range(TIMES)])
    RepositoryState.objects.filter(name__startswith="cus_").delete()  # what is measured next counts its own
    return figures | {"install_3mb_bytes": size}


def _publish(registry: Founded, moment: datetime) -> tuple[str, int]:
    """A customer's API key, and the size of the package that is published for it."""
    buyer, key = world.customer("Installs", "pro", at=moment)
    issuer: Any = package_signer()
    reviewers: Any = tuple(registry.reviewers)
    files = {"main.py": b"print('reviewed')\n", "data.bin": os.urandom(SIZE)}
    made = Versioned.of(VERSION, NAME, customer_id=buyer.public_id, issuer=issuer, reviewers=reviewers, files=files)
    payload = world.approved(registry, NAME, VERSION, platform="any", at=moment)
    PayloadBuild.objects.filter(pk=payload.pk).update(payload_digest=made.payload_digest)
    for row in registry.reviewer_rows:  # beside those that `world` made, of another payload
        Approval.objects.create(
            revision=payload.revision, platform="any", payload_digest=made.payload_digest,
            statement_sha256=made.payload_digest, envelope=b"{}", reviewer_key=row, at=moment,
        )  # fmt: skip
    registry.review(at=moment)
    world.publish(at=moment)
    content = made.package()
    world.built(payload, buyer, content=content, expires_at=moment + timedelta(days=30))
    mark_dirty(buyer)
    world.publish(at=moment)
    return key, len(content)


@contextmanager
def _web(log: Path) -> Iterator[str]:
    """The service's web server on a free port of this machine, over the benchmark's own database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "manage.py", "run_web", "--port", str(port), "--parent", str(os.getpid())]
    environment = os.environ | {"KM_ALLOWED_HOSTS": "localhost,127.0.0.1"}
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(server, url, log)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the web server ended: {log.read_text()}"
        try:
            if requests.get(f"{url}/livez", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer within {START_SECONDS:.0f} s")


def _install(laptop: dict[str, str]) -> float:
    """Milliseconds, within this process; the plugin is removed first."""
    with _as(laptop):
        place = accounts.place()
        assert place is not None
        activation.remove(activation.directory_of(place, NAME))
        with opened(accounts.destination()) as link:
            begun = time.perf_counter()
            done = provision(link, Wanted(frozenset({NAME})), now=datetime.now().astimezone())
            spent = (time.perf_counter() - begun) * 1e3
    assert [build.name for build in done.installed] == [NAME], done
    return spent


def _command(laptop: dict[str, str]) -> float:
    _km(laptop, "plugins", "remove", NAME)
    begun = time.perf_counter()
    said = _km(laptop, "plugins", "install", NAME)
    spent = (time.perf_counter() - begun) * 1e3
    assert f"Installed {NAME}" in said, said
    return spent


def _km(laptop: dict[str, str], *words: str) -> str:
    done = subprocess.run([KM_CLIENT, *words], env=os.environ | laptop, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def _as(laptop: dict[str, str]) -> Iterator[None]:
    """The service and the client both go by `KM_DATA_DIR`; in here it is the client's."""
    before = {name: os.environ.get(name) for name in laptop}
    os.environ.update(laptop)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _told(name: str, spent: list[float]) -> dict[str, Any]:
    return {f"{name}_ms": round(statistics.median(spent), 1), f"{name}_max_ms": round(max(spent), 1)}
