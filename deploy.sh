#!/usr/bin/env bash
# Brings the receiver into a Databricks workspace, or up to date there: ./deploy.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/venv.sh
ensure_venv requirements.txt
exec .venv/bin/ciolake deploy "$@"
