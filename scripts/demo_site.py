"""A service with a made-up week in it, at a clock that stands still: what `scripts/screenshots` takes its pictures of.

    $ KM_DATA_DIR=/tmp/pictures python -m scripts.demo_site --port 8319
    Kilometers is ready at http://127.0.0.1:8319

One process and SQLite, no worker beside it: the same moment, the same rows, the same pages. Only whoever signs in does
so at the real time.
"""

from __future__ import annotations

import argparse
import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from core import clock
from scripts.demo_story import MOMENT

HOST = "127.0.0.1"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Django logs each request already."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts.demo_site", description="A service with a made-up week in it.")
    parser.add_argument("--port", type=int, default=8319, help="0 takes a free one")
    port = parser.parse_args().port
    _stop_the_clock()
    with _Server((HOST, port), _Quiet) as server:
        os.environ |= {
            "KM_PUBLIC_URL": f"http://{HOST}:{server.server_port}",
            "DJANGO_SETTINGS_MODULE": "kmcloud.settings",
        }
        from kmcloud.wsgi import application  # noqa: PLC0415 - settings are read when this is imported

        _fill()
        server.set_app(application)
        print(f"Kilometers is ready at http://{HOST}:{server.server_port}", flush=True)
        server.serve_forever()
    return 0


def _stop_the_clock() -> None:
    """From here on it is `MOMENT`. `now` is the one place the service reads the clock; nobody has imported it yet."""
    clock.now = lambda: MOMENT


def _fill() -> None:
    from django.core.management import call_command  # noqa: PLC0415 - not before settings

    from scripts import demo_catalog, demo_people, demo_talks  # noqa: PLC0415

    call_command("migrate", verbosity=0, interactive=False)
    made = demo_people.customers(MOMENT)
    acme = made["Acme Robotics"]
    demo_people.acme(acme, MOMENT)
    demo_talks.week(acme, until=MOMENT)
    demo_people.watched(acme, MOMENT)
    reviewers = [demo_catalog.Reviewer(each) for each in demo_people.staff(MOMENT, made["Northwind"])]
    demo_catalog.Catalog(demo_people.owners(made), reviewers, MOMENT).fill()


if __name__ == "__main__":
    sys.exit(main())
