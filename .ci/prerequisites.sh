# Sourced by test.sh. Installs what the tests need and pip cannot install, if it is missing.
#   ensure_prerequisites   installs programs with apt, and Delta Lake's jars with Maven
#   delta_jars_dir         prints the folder of the jars, which may not exist yet
# If something cannot be installed, this prints one line, and the tests that need it are skipped.
# With CIOLAKE_NO_SKIPS a skip is a failure. The current folder must be the project's root.

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

# Each row: the names of a program, one of which must exist, and the Debian packages that have it.
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
    "docker-compose:docker-compose" \
    "unshare:util-linux" \
    "cc:gcc libc6-dev"; do
    names=${row%%:*} packages=${row#*:}
    # shellcheck disable=SC2086  # several names
    command -v $names >/dev/null 2>&1 || missing+=("$packages")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null || ! _as_root true; then
    echo "Missing: ${missing[*]}. Installing them needs root and apt-get. Their tests are skipped." >&2
    return 0
  fi
  echo "Installing ${missing[*]} ..." >&2
  # shellcheck disable=SC2048,SC2086  # several packages in one entry
  if ! { _apt update && _apt install -y --no-install-recommends ${missing[*]}; } >/dev/null; then
    echo "apt-get could not install ${missing[*]}. Their tests are skipped." >&2
  fi
}

# RUNLEVEL=1: otherwise the packages of servers start the servers.
_apt() {
  _as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# A CI runner can become root with sudo. On other machines this does not use sudo.
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
    echo "Maven is missing, so Delta Lake's jars cannot be downloaded. The Spark tests are skipped." >&2
    return 0
  fi
  mkdir -p "$(dirname "$folder")"
  (
    flock 9
    [ -d "$folder" ] && exit 0
    echo "Downloading Delta Lake's jars into $folder ..." >&2
    rm -rf "$folder.new"
    # Download into another folder and rename it, so that the folder is never incomplete.
    if mvn -B -q -f .ci/delta-jars/pom.xml dependency:copy-dependencies \
      -DoutputDirectory="$folder.new" </dev/null >"$folder.log" 2>&1; then
      mv "$folder.new" "$folder"
    else
      echo "Maven could not download Delta Lake's jars, see $folder.log. The Spark tests are skipped." >&2
    fi
  ) 9>"$folder.lock"
}
