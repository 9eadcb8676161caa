"""How the user calls this program: the hints that it prints can be pasted."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_NAME = "ciolake"


def own_name() -> str:
    """Return `ciolake` if the shell finds it, else its path, else `python -m databricks_app`."""
    script = Path(sys.executable).with_name(_NAME)
    found = shutil.which(_NAME)
    if found is not None and Path(found).samefile(script):
        return _NAME
    if not script.exists():
        return f"{sys.executable} -m databricks_app"
    relative = os.path.relpath(script)
    # The shell looks up a name without a slash in PATH alone.
    return min(str(script), relative if "/" in relative else f"./{relative}", key=len)
