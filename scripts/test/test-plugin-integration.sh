#!/usr/bin/env bash
# Run a plugin in real sessions and check what it got: `scripts/test/test-plugin-integration.sh --plugin NAME|DIR|FILE`.
# With a service and accounts of its own, which are gone afterwards. Exits with 0 only when every check passed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
(
  cd "$root"
  source scripts/bootstrap
  bootstrap demo
) >&2
export PYTHONPATH=$root
exec "$root/.venv/bin/python" -m scripts.test.plugin_integration "$@"
