#!/usr/bin/env bash
# Runs the receiver on this machine, with Delta tables in ./data.
#   ./serve.sh          receive on http://127.0.0.1:8000; settings: see .env.example
#   ./serve.sh --demo   also send 5,000 signed sample events to it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/venv.sh
ensure_venv requirements.txt
exec .venv/bin/ciolake serve "$@"
