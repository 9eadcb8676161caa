#!/usr/bin/env bash
# Runs the format check, lint, type check and tests. First installs the programs that they need.
#   ./test.sh           all checks that a change must pass; CI runs it
#   ./test.sh --fast    what takes a minute: no tests of processes or of tables, no Spark
#   ./test.sh --all     also the slow tests, which take minutes
#   ./test.sh -k NAME   other arguments are passed to pytest
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
--fast) is_fast=1 && shift ;;
esac
$bin/ruff format --check .
$bin/ruff check .
$bin/mypy
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# The exit status is that of pytest.
tests() {
  local log=$logs/$1
  shift
  $bin/pytest "$@" 2>&1 | tee "$log"
}
closing_line() { grep -E '^=+ .* in [0-9.]+s.* =+$' "$logs/$1" | tail -n 1 || true; }
others=0 spark=0 none_selected=5
# Coverage is measured in the test processes alone: in each process that they start it would cost a
# quarter more. The fast part leaves out too much to measure it.
part=(--cov --cov-report=term --ignore=tests/spark)
[ -z "$is_fast" ] || part=(--fast)
# Three, because a third of the time is waiting for processes.
tests others -n 3 "${part[@]}" -m "not spark$and_chosen" "$@" || others=$?
[ -z "$is_fast" ] || exit $others
# The Spark tests run after the others, in one process: they share a JVM that uses both cores.
[ $# -gt 0 ] || set -- tests/spark
tests spark -m "spark$and_chosen" "$@" || spark=$?
# With -k, one of the two runs may select no test, but not both.
[ $spark -eq $none_selected ] && [ $others -ne $none_selected ] && spark=0
[ $others -eq $none_selected ] && [ $spark -ne $none_selected ] && others=0
# The last line is the summary of a run that failed, or else of the larger run.
if [ $others -eq 0 ] && [ $spark -ne 0 ]; then
  closing_line others
  closing_line spark
  exit $spark
fi
closing_line spark
closing_line others
exit $others
