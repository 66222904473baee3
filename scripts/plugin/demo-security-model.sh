#!/usr/bin/env bash
# Attack a plugin's package in every way and see each refused: `scripts/plugin/demo-security-model.sh --plugin NAME|DIR`.
# With keys made for this run and thrown away after it. Exits with 0 only when every attack was refused.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
(
  cd "$root"
  source scripts/bootstrap
  bootstrap client
)
export PYTHONPATH=$root
exec "$root/.venv/bin/python" -m scripts.plugin.demo_security_model "$@"
