# Sourced by test.sh: what the tests need and pip cannot install. Does nothing when all is there.
#   ensure_prerequisites   programs by apt, Delta Lake's jars by Maven
#   delta_jars_dir         the folder of the jars, whether it is there or not
# What cannot be installed is named in one line; the tests that need it are then skipped, which
# is a failure where CIOLAKE_NO_SKIPS is set. Needs: cd to the project's root.

delta_jars_dir() {
  local pom=.ci/delta-jars/pom.xml delta spark
  delta=$(sed -n 's|.*<delta.version>\(.*\)</delta.version>.*|\1|p' "$pom")
  spark=$(sed -n 's|.*<spark.minor>\(.*\)</spark.minor>.*|\1|p' "$pom")
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/ciolake/delta-jars-$delta-spark-$spark"
}

ensure_prerequisites() {
  _ensure_programs
  _ensure_delta_jars
}

# Programs, each by the first of its names that is found, and the Debian packages that bring them.
_ensure_programs() {
  local row names packages missing=()
  for row in \
    "java:default-jre-headless" \
    "mvn:maven" \
    "strace:strace" \
    "wrk:wrk" \
    "chromium chromium-browser google-chrome:chromium" \
    "nginx:nginx-light" \
    "caddy:caddy" \
    "systemd-socket-activate:systemd" \
    "unshare:util-linux" \
    "cc:gcc libc6-dev"; do
    names=${row%%:*} packages=${row#*:}
    # shellcheck disable=SC2086  # several names
    command -v $names >/dev/null 2>&1 || missing+=("$packages")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null || ! _as_root true; then
    echo "Not installed, since that takes root and apt-get: ${missing[*]}. Their tests are skipped." >&2
    return 0
  fi
  echo "Installing ${missing[*]} ..." >&2
  # shellcheck disable=SC2048,SC2086  # several packages in one entry
  if ! { _apt update && _apt install -y --no-install-recommends ${missing[*]}; } >/dev/null; then
    echo "apt-get could not install ${missing[*]}. Their tests are skipped." >&2
  fi
}

# RUNLEVEL=1: the packages of servers must not start them.
_apt() {
  _as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# A forge's runner is not root but may become it; nobody else is asked to.
_as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif [ -n "${CI:-}" ] && command -v sudo >/dev/null; then
    sudo -n "$@"
  else
    return 1
  fi
}

_ensure_delta_jars() {
  local folder
  folder=$(delta_jars_dir)
  [ -d "$folder" ] && return 0
  if ! command -v mvn >/dev/null; then
    echo "Delta Lake's jars are not fetched, since Maven is missing. The Spark tests are skipped." >&2
    return 0
  fi
  mkdir -p "$(dirname "$folder")"
  (
    flock 9
    [ -d "$folder" ] && exit 0
    echo "Fetching Delta Lake's jars into $folder ..." >&2
    rm -rf "$folder.new"
    # The folder appears with all of its files or not at all.
    if mvn -B -q -f .ci/delta-jars/pom.xml dependency:copy-dependencies \
      -DoutputDirectory="$folder.new" </dev/null >"$folder.log" 2>&1; then
      mv "$folder.new" "$folder"
    else
      echo "Maven could not fetch Delta Lake's jars, see $folder.log. The Spark tests are skipped." >&2
    fi
  ) 9>"$folder.lock"
}
