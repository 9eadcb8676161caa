# Sourced by serve.sh, deploy.sh and test.sh. Creates .venv and installs pinned requirements into
# it, if they have changed. The current folder must be the project's root.
ensure_venv() {
  local requirements=$1 python=${PYTHON:-python3} stamp wanted
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or newer is needed ($python is not). Set PYTHON=/path/to/python3.11." >&2
    return 1
  fi
  stamp=.venv/.installed-${requirements%.txt}
  wanted=$(cat requirements.txt "$requirements" pyproject.toml | cksum; pwd; "$python" -V 2>&1)
  [ -x .venv/bin/ciolake ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  (
    flock 9
    [ -x .venv/bin/ciolake ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
      rm -rf .venv
      if ! "$python" -m venv .venv >/dev/null 2>&1; then
        echo "Python's venv is missing. On Debian or Ubuntu: apt-get install python3-venv" >&2
        exit 1
      fi
    fi
    echo "Installing $requirements into .venv (only when it changes) ..." >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements" &&
      .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e . &&
      printf '%s' "$wanted" > "$stamp"
  ) 9> .venv.lock
}
