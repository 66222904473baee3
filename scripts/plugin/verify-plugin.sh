#!/usr/bin/env bash
# Verify a package offline: `scripts/plugin/verify-plugin.sh my-plugin.kmpkg --verbose [--trust FILE] [--customer ID] [--json]`.
# Exits as `km-client plugins verify` does: 0 sound, 2 signature, 3 tampered, 4 customer, 5 review, 6 expired, 7 blocked.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
(
  cd "$root"
  source scripts/bootstrap
  bootstrap client
)
exec "$root/.venv/bin/km-client" plugins verify "$@"
