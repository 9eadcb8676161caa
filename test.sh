#!/usr/bin/env bash
# Format check, lint, types and tests, in this order. Installs what they need and can be installed.
#   ./test.sh           what a change must pass
#   ./test.sh --all     the minutes-long tests as well
#   ./test.sh -k NAME   anything else is given to pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/venv.sh
source .ci/prerequisites.sh
ensure_prerequisites
ensure_venv requirements-dev.txt
bin=.venv/bin
and_fast=" and not slow"
if [ "${1:-}" = "--all" ]; then
  and_fast=""
  shift
fi
$bin/ruff format --check .
$bin/ruff check .
$bin/mypy
others=0 spark=0 none_selected=5
$bin/pytest -n 2 --cov --cov-report=term -m "not spark$and_fast" "$@" || others=$?
# Spark's tests share one JVM that uses both cores: in one process, when the others are done.
[ $# -gt 0 ] || set -- tests/spark
$bin/pytest -m "spark$and_fast" "$@" || spark=$?
if [ $others -eq $none_selected ] || { [ $others -eq 0 ] && [ $spark -ne $none_selected ]; }; then
  exit $spark
fi
exit $others
