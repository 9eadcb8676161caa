#!/usr/bin/env bash
# Runs the receiver on this machine with real Delta tables in a local folder.
#   ./serve.sh          receive on http://127.0.0.1:8000 (PORT, CIO_DATA_DIR, ... as in .env.example)
#   ./serve.sh --demo   the same, and send it realistic signed traffic of every kind
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/venv.sh
ensure_venv requirements.txt
exec .venv/bin/ciolake serve "$@"
