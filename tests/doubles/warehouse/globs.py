"""Patterns in the file name of `read_files`: `*`, `?`, `[ab]` and a set of strings `{ab,cd}`.

Like `read_files` a pattern matches the files that exist; what a set names and is missing is no
error. Not simulated: patterns in folders, sets in sets.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

_SET = re.compile(r"\{([^{}]*)\}")


def named(path: Path) -> list[Path]:
    """Return the paths that a pattern's sets of strings name, whether they exist or not."""
    parts = _SET.split(path.name)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    return [path.with_name("".join(chosen)) for chosen in product(*choices)]


def existing(path: Path) -> list[Path]:
    """Return the files that a pattern or a name matches."""
    return [
        found
        for one in named(path)
        for found in ([one] if one.is_file() else sorted(one.parent.glob(one.name)))
    ]
