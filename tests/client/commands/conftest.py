"""A machine of its own for each test, and the command line as a person uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from km_client import cli

from tests.client.agent.conftest import machine, record, server

__all__ = ["machine", "record", "server"]


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Km = Callable[..., Done]


@pytest.fixture
def km(machine: object, capsys: pytest.CaptureFixture[str]) -> Km:
    """`km("config", "get", "api_url")`: run `km-client` with these words."""

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = cli.main(list(words))
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run
