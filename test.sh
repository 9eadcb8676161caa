#!/usr/bin/env bash
# Format check, lint, types and tests, in this order. Installs what they need and can be installed.
#   ./test.sh           what a change must pass: CI runs it
#   ./test.sh --fast    what takes under a minute: no test that starts a process, no Spark
#   ./test.sh --all     the minutes-long tests as well
#   ./test.sh -k NAME   anything else is given to pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/venv.sh
source .ci/prerequisites.sh
ensure_prerequisites
ensure_venv requirements-dev.txt
bin=.venv/bin
and_chosen=" and not slow"
is_fast=
case "${1:-}" in
--all) and_chosen="" && shift ;;
--fast) and_chosen=" and not slow and not processes" is_fast=1 && shift ;;
esac
$bin/ruff format --check .
$bin/ruff check .
$bin/mypy
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# Its exit status is pytest's.
tests() {
  local log=$logs/$1
  shift
  $bin/pytest "$@" 2>&1 | tee "$log"
}
closing_line() { grep -E '^=+ .* in [0-9.]+s.* =+$' "$logs/$1" | tail -n 1 || true; }
others=0 spark=0 none_selected=5
# Half of the code is run by processes of the tests: the fast part says nothing of coverage.
coverage=(--cov --cov-report=term)
[ -z "$is_fast" ] || coverage=()
tests others -n 2 "${coverage[@]}" -m "not spark$and_chosen" "$@" || others=$?
[ -z "$is_fast" ] || exit $others
# Spark's tests share one JVM that uses both cores: in one process, when the others are done.
[ $# -gt 0 ] || set -- tests/spark
tests spark -m "spark$and_chosen" "$@" || spark=$?
# One part may have no test of a choice, not both.
[ $spark -eq $none_selected ] && [ $others -ne $none_selected ] && spark=0
[ $others -eq $none_selected ] && [ $spark -ne $none_selected ] && others=0
# The last line is that of a part that failed, else of the larger part.
if [ $others -eq 0 ] && [ $spark -ne 0 ]; then
  closing_line others
  closing_line spark
  exit $spark
fi
closing_line spark
closing_line others
exit $others
