"""The servers beside PostgreSQL that a production service stands on, each a real one, on this machine alone.

with redis_in(directory) as urls: …           a Redis, reached by a socket in `directory`
with aws() as place: …                        S3 and KMS over HTTP, in a process of their own (moto)
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis

from tests.end_to_end.waiting import eventually

REGION = "eu-central-1"
BUCKET = "km-registry"
_STOP_SECONDS = 10
_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True, slots=True)
class RedisUrls:
    """The same server as Django's cache and as Celery's broker write it."""

    cache: str
    broker: str


@dataclass(frozen=True, slots=True)
class Aws:
    """Where it listens. Whoever has these variables finds it there."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "registry",
            "AWS_SECRET_ACCESS_KEY": "a secret that nobody checks",
        }

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="registry",
            aws_secret_access_key="-",
        )

    def names(self) -> list[str]:
        """What is in the bucket."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]


@contextmanager
def redis_in(directory: Path) -> Iterator[RedisUrls]:
    """Skips the test where Redis is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed: `scripts/test/run` installs it")
    socket = directory / "redis.sock"
    settings = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(directory)]
    process = subprocess.Popen(["redis-server", *settings], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(unix_socket_path=str(socket))

        def answers() -> bool:
            with suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        eventually(answers, what="Redis answers")
        client.close()
        yield RedisUrls(f"unix://{socket}", f"redis+socket://{socket}")
    finally:
        ended(process)


@contextmanager
def aws(directory: Path) -> Iterator[Aws]:
    """With an empty bucket."""
    log = directory / "aws.log"
    with log.open("w") as file:
        command = [sys.executable, str(Path(__file__).with_name("aws_server.py")), "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        found = eventually(lambda: _RUNNING.search(log.read_text()), what="S3 says where it listens")
        place = Aws(found.group(1))
        configuration = {"LocationConstraint": REGION}
        place.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=configuration)
        yield place
    finally:
        ended(process)


def ended(process: subprocess.Popen[Any]) -> None:
    """Asked to stop, and made to."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
