#!/usr/bin/env bash
# Build a plugin's package for one customer, on this machine, with the service's own database and keys:
#   scripts/plugin/build-plugin.sh --plugin NAME|DIR --customer cus_… [--api-key KEY] [--tier Pro] [--sign] [--output dist]
# Works offline, but for a Go plugin whose modules are neither vendored nor in Go's module cache.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
(
  cd "$root"
  source scripts/bootstrap
  bootstrap server
) >&2
"$root/.venv/bin/python" "$root/manage.py" migrate --verbosity 0
exec "$root/.venv/bin/python" "$root/manage.py" build_plugin "$@"
