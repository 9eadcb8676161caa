#!/usr/bin/env bash
# Installs the receiver in a Databricks workspace, or updates it: ./deploy.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/venv.sh
ensure_venv requirements.txt
exec .venv/bin/ciolake deploy "$@"
