"""Commands that run another one with fewer rights or with other file systems."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def powerless() -> list[str]:
    """Return a prefix under which modes of files hold for the superuser too."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (Debian: util-linux) is missing")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def with_mounts(script: str, *arguments: str) -> list[str]:
    """Return a prefix that runs a shell script in a mount namespace of its own, then a command.

    Args:
        script: Its `$1`, `$2` ... are the arguments.
        arguments: For the script.
    """
    own = ["unshare", "--mount", "--propagation=private"]
    try:
        allowed = subprocess.run(
            [*own, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("unshare (Debian: util-linux) is missing")
    if allowed.returncode:
        pytest.skip("this user may not mount a file system")
    rest = f'set -e; {script}; shift {len(arguments)}; exec "$@"'
    return [*own, "sh", "-c", rest, "sh", *arguments]
