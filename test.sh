#!/usr/bin/env bash
# Format check, lint, types and tests, in this order.
#   ./test.sh           what a change must pass
#   ./test.sh --all     the minutes-long tests as well
#   ./test.sh -k NAME   anything else is given to pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/venv.sh
ensure_venv requirements-dev.txt
bin=.venv/bin
marks=(-m "not slow")
if [ "${1:-}" = "--all" ]; then
  marks=()
  shift
fi
$bin/ruff format --check .
$bin/ruff check .
$bin/mypy
$bin/pytest -n 2 --cov --cov-report=term "${marks[@]}" "$@"
